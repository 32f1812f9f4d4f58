import { z } from 'zod';
import { wireErrorSchema } from '../../../protocol/messages.ts';
import { toTimestamp } from '../../../kit/time.ts';
import { defineTask, type TaskType } from '../../connector.ts';
import type { Row } from '../answer.ts';
import { changeWindowSchema } from '../approval/change-window.ts';
import { approvalCriteriaSchema, rejectionCriteriaSchema } from '../approval/criteria.ts';
import { decide, fieldsNeeded } from '../approval/decide.ts';
import { fieldMissing, shownOf, type TicketFields } from '../approval/ticket.ts';
import { ticketWarnings, WARNING_FIELDS } from '../approval/warnings.ts';
import {
  authorizeConnector,
  openClient,
  secretNeeds,
  settingsWarnings,
  type ServiceNowRuntime,
} from '../runtime.ts';
import { connectorSchema } from '../schema.ts';
import { ticketSchema } from '../tickets/ticket-name.ts';

/** What the summary shows of every ticket, criteria or not. */
const SUMMARY_FIELDS = ['number', 'sys_id', 'sys_updated_on'] as const;

export const CHECK_APPROVAL = 'servicenow.approval.check';

const inputSchema = z.object({
  connector: connectorSchema,
  ticket: ticketSchema,
  approvalCriteria: approvalCriteriaSchema,
  rejectionCriteria: rejectionCriteriaSchema.nullish(),
  changeWindow: changeWindowSchema.nullish(),
});

const criteriaResult = z.object({
  met: z.boolean(),
  conditions: z.array(
    z.object({
      key: z.string(),
      operator: z.string(),
      expected: z.string(),
      value: z.string(),
      displayValue: z.string(),
      compared: z.enum(['either', 'value', 'displayValue']),
      met: z.boolean(),
    }),
  ),
});

export const approvalAnswerSchema = z.object({
  decision: z.enum(['approved', 'rejected', 'pending']),
  reason: z.string(),
  approval: criteriaResult,
  rejection: criteriaResult.nullable(),
  window: z
    .object({
      start: z.string().nullable(),
      end: z.string().nullable(),
      now: z.string(),
      inside: z.boolean(),
    })
    .nullable(),
  ticket: z.object({
    type: z.string(),
    number: z.string(),
    sysId: z.string(),
    url: z.string(),
    /** UTC, RFC 3339 as far as ServiceNow's own text is a date. */
    updatedAt: z.string(),
    fields: z.record(z.string(), z.object({ value: z.string(), displayValue: z.string() })),
  }),
  warnings: z.array(wireErrorSchema),
  checkedAt: z.string(),
});

/** One look at a ticket: approve, reject, or wait. Reads only. */
export function approvalCheck(runtime: ServiceNowRuntime): TaskType {
  return defineTask({
    name: CHECK_APPROVAL,
    version: 1,
    effect: 'reads',
    input: inputSchema,
    output: approvalAnswerSchema,
    authorize: ({ connector, ticket }) =>
      authorizeConnector(connector, { name: CHECK_APPROVAL, tables: [ticket.type] }, runtime.deps),
    secrets: ({ connector }) => secretNeeds(connector),
    async run(input, context) {
      const { connector, ticket } = input;
      const question = {
        approval: input.approvalCriteria,
        rejection: input.rejectionCriteria ?? null,
        window: input.changeWindow ?? null,
      };
      const wanted = new Set([...SUMMARY_FIELDS, ...fieldsNeeded(question)]);
      const { client, authentication } = await openClient(connector, runtime, context);
      const asked = new Set([...wanted, ...WARNING_FIELDS]);
      const row = await runtime.tickets.read(client, ticket, asked, context);
      const fields = ticketFields(row, runtime.deps.scrub);
      const missing = [...wanted].find((name) => !fields.has(name));
      if (missing !== undefined) {
        const readable = await runtime.readableFields.of(client, ticket, context);
        throw fieldMissing(missing, ticket.type, readable);
      }
      const now = context.clock.now();
      const answer = decide({ ...question, fields, now });
      const shown = Object.fromEntries(
        [...fields].flatMap(([name, field]) => (wanted.has(name) ? [[name, shownOf(field)] as const] : [])),
      );
      const text = (name: string): string => shown[name]?.value ?? '';
      const warnings = [
        ...settingsWarnings(connector),
        ...authentication.warnings(),
        ...ticketWarnings(question, answer, fields),
      ];
      return {
        ...answer,
        ticket: {
          type: ticket.type,
          number: text('number'),
          sysId: text('sys_id'),
          url: ticketUrl(client.baseUrl, ticket.type, text('sys_id')),
          updatedAt: utcTimestamp(text('sys_updated_on')),
          fields: shown,
        },
        warnings: warnings.map((warning) => warning.toWire()),
        checkedAt: toTimestamp(now),
      };
    },
  });
}

/** Decided on as they are, shown without secrets. */
function ticketFields(row: Row, scrub: (text: string) => string): TicketFields {
  return new Map(
    Object.entries(row).map(([name, { value, displayValue }]) => {
      const shown = { value: scrub(value), displayValue: scrub(displayValue) };
      return [name, { value, displayValue, shown }];
    }),
  );
}

function ticketUrl(baseUrl: string, table: string, sysId: string): string {
  return `${baseUrl}/nav_to.do?uri=${encodeURIComponent(`${table}.do?sys_id=${sysId}`)}`;
}

/** ServiceNow's `yyyy-MM-dd HH:mm:ss` in UTC as RFC 3339; anything else as it came. */
function utcTimestamp(text: string): string {
  return /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/.test(text) ? `${text.replace(' ', 'T')}Z` : text;
}
