import { z } from 'zod';
import { wireErrorSchema } from '../../../protocol/messages.ts';
import { DelegateError, wrap } from '../../../kit/errors.ts';
import { toTimestamp } from '../../../kit/time.ts';
import { defineTask, type TaskContext, type TaskType } from '../../connector.ts';
import type { Row } from '../answer.ts';
import { changeWindowSchema } from '../approval/change-window.ts';
import { approvalCriteriaSchema, rejectionCriteriaSchema } from '../approval/criteria.ts';
import { decide, fieldsNeeded } from '../approval/decide.ts';
import { fieldMissing, fieldNameSchema, shownOf, type TicketFields } from '../approval/ticket.ts';
import type { ServiceNowClient } from '../client.ts';
import { assertConnectorAllowed, openClient, settingsWarnings, type ServiceNowRuntime } from '../runtime.ts';
import { connectorSchema } from '../schema.ts';

/** What the summary shows of every ticket, criteria or not. */
const SUMMARY_FIELDS = ['number', 'sys_id', 'sys_updated_on'] as const;

const ticketSchema = z
  .object({
    type: fieldNameSchema,
    number: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, "_" or "-"')
      .optional(),
    sysId: z
      .string()
      .regex(/^[0-9a-f]{32}$/, 'must be 32 hexadecimal digits')
      .optional(),
  })
  .transform((ticket, context): TicketName => {
    const { type, number, sysId } = ticket;
    if (number !== undefined && sysId === undefined) return { type, field: 'number', asked: number };
    if (sysId !== undefined && number === undefined) return { type, field: 'sys_id', asked: sysId };
    context.addIssue({ code: 'custom', path: ['number'], message: 'give either number or sysId' });
    return z.NEVER;
  });

/** One ticket, by the one field that it was asked for with. */
interface TicketName {
  type: string;
  field: 'number' | 'sys_id';
  asked: string;
}

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

const outputSchema = z.object({
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
    name: 'servicenow.approval.check',
    version: 1,
    effect: 'reads',
    input: inputSchema,
    output: outputSchema,
    authorize: ({ connector }) => assertConnectorAllowed(connector, runtime.deps),
    async run(input, context) {
      const { connector, ticket } = input;
      const question = {
        approval: input.approvalCriteria,
        rejection: input.rejectionCriteria ?? null,
        window: input.changeWindow ?? null,
      };
      const wanted = new Set([...SUMMARY_FIELDS, ...fieldsNeeded(question)]);
      const { client, authentication } = await openClient(connector, runtime, context);
      const row = await readTicket(client, ticket, wanted, context);
      const fields = ticketFields(row, runtime.deps.scrub);
      const missing = [...wanted].find((name) => !fields.has(name));
      if (missing !== undefined) {
        throw fieldMissing(missing, ticket.type, await readableFields(client, ticket, context));
      }
      const now = context.clock.now();
      const shown = Object.fromEntries([...fields].map(([name, field]) => [name, shownOf(field)]));
      const text = (name: string): string => shown[name]?.value ?? '';
      const warnings = [...settingsWarnings(connector), ...authentication.warnings()];
      return {
        ...decide({ ...question, fields, now }),
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

/** Exactly the row that was asked for. Anything else is an error, because a decision would be about a stranger. */
async function readTicket(
  client: ServiceNowClient,
  ticket: TicketName,
  fields: ReadonlySet<string>,
  context: TaskContext,
): Promise<Row> {
  const rows = await readRows(client, ticket, { sysparm_fields: [...fields].join(',') }, context);
  const [row, second] = rows;
  if (row === undefined) throw notFound(ticket);
  // ServiceNow drops a condition that it doesn't understand and then answers with any rows at all.
  if (rows.some((candidate) => candidate[ticket.field]?.value !== ticket.asked)) {
    throw row[ticket.field] === undefined
      ? fieldMissing(ticket.field, ticket.type)
      : filterNotApplied(ticket);
  }
  if (second !== undefined) throw ambiguous(ticket);
  return row;
}

/**
 * The names that this user can read of the ticket, to propose one for a name that it can't. None if this second
 * look fails: what is known already must not be hidden behind it.
 */
async function readableFields(
  client: ServiceNowClient,
  ticket: TicketName,
  context: TaskContext,
): Promise<string[]> {
  try {
    const [row] = await readRows(client, ticket, {}, context);
    return Object.keys(row ?? {});
  } catch (thrown) {
    context.signal.throwIfAborted();
    context.log.info({ code: wrap(thrown).code }, 'no field names can be proposed');
    return [];
  }
}

async function readRows(
  client: ServiceNowClient,
  ticket: TicketName,
  selection: Readonly<Record<string, string>>,
  context: TaskContext,
): Promise<Row[]> {
  const { rows } = await client.readTable(
    {
      table: ticket.type,
      // Two, so that a number that exists twice shows.
      maxRows: 2,
      params: {
        // The schema lets no character through that means something in an encoded query.
        sysparm_query: `${ticket.field}=${ticket.asked}^ORDERBYsys_id`,
        sysparm_display_value: 'all',
        sysparm_exclude_reference_link: 'true',
        sysparm_no_count: 'true',
        sysparm_suppress_pagination_header: 'true',
        ...selection,
      },
    },
    context,
  );
  return rows;
}

function describe(ticket: TicketName): string {
  return `${ticket.type} ${ticket.asked}`;
}

function notFound(ticket: TicketName): DelegateError {
  return new DelegateError(
    'servicenow.ticket-not-found',
    `${describe(ticket)} does not exist, or is not visible to this user.`,
    {
      category: 'not-found',
      hint: 'Check ticket type and number, and that the integration user may read it (sn_change_read, sn_incident_read or itil).',
      details: { type: ticket.type, asked: ticket.asked },
    },
  );
}

function ambiguous(ticket: TicketName): DelegateError {
  return new DelegateError('servicenow.ticket-ambiguous', `${describe(ticket)} exists more than once.`, {
    category: 'not-found',
    hint: 'Give its sysId instead of its number.',
    details: { type: ticket.type, asked: ticket.asked },
  });
}

function filterNotApplied(ticket: TicketName): DelegateError {
  return new DelegateError(
    'servicenow.filter-not-applied',
    `ServiceNow answered with another row than ${describe(ticket)}.`,
    {
      category: 'invalid-input',
      hint: `Check that the table ${ticket.type} has a field ${ticket.field}: ServiceNow ignores conditions on fields that it doesn't know.`,
      details: { type: ticket.type, asked: ticket.asked },
    },
  );
}

function ticketUrl(baseUrl: string, table: string, sysId: string): string {
  return `${baseUrl}/nav_to.do?uri=${encodeURIComponent(`${table}.do?sys_id=${sysId}`)}`;
}

/** ServiceNow's `yyyy-MM-dd HH:mm:ss` in UTC as RFC 3339; anything else as it came. */
function utcTimestamp(text: string): string {
  return /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/.test(text) ? `${text.replace(' ', 'T')}Z` : text;
}
