import { z } from 'zod';
import { errorsOf, type DelegateError, type ErrorKinds } from '../../../kit/errors.ts';
import { fieldNameSchema } from '../approval/ticket.ts';

/** One ticket, by the one field that it was asked for with. */
export interface TicketName {
  readonly type: string;
  readonly field: 'number' | 'sys_id';
  readonly asked: string;
}

/** No character passes that means something in an encoded query. */
export const ticketSchema = z
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

export const TICKET_ERRORS = {
  'servicenow.ticket-not-found': {
    category: 'not-found',
    means: 'No ticket of this type with this number or sys_id is visible to the user of the connector.',
    remedy:
      'Check ticket type and number, and that the integration user may read it (sn_change_read, sn_incident_read or itil).',
  },
  'servicenow.ticket-ambiguous': {
    category: 'not-found',
    means:
      'More than one ticket has this number: numbers are unique by custom alone. A decision could be about the wrong one.',
    remedy: 'Give its sysId instead of its number.',
  },
  'servicenow.filter-not-applied': {
    category: 'invalid-input',
    means:
      'ServiceNow answered with another ticket than the one that was asked for. It leaves out conditions on fields that it does not know, and then answers with any rows at all.',
    remedy: 'Check that the table of the ticket has the field that the ticket is looked up by.',
  },
} as const satisfies ErrorKinds;

const ticketError = errorsOf(TICKET_ERRORS);

export function notFound(ticket: TicketName): DelegateError {
  return ticketError(
    'servicenow.ticket-not-found',
    `${describe(ticket)} does not exist, or is not visible to this user.`,
    { details: detailsOf(ticket) },
  );
}

export function ambiguous(ticket: TicketName): DelegateError {
  return ticketError('servicenow.ticket-ambiguous', `${describe(ticket)} exists more than once.`, {
    details: detailsOf(ticket),
  });
}

export function filterNotApplied(ticket: TicketName): DelegateError {
  return ticketError(
    'servicenow.filter-not-applied',
    `ServiceNow answered with another row than ${describe(ticket)}.`,
    {
      hint: `Check that the table ${ticket.type} has a field ${ticket.field}: ServiceNow ignores conditions on fields that it doesn't know.`,
      details: detailsOf(ticket),
    },
  );
}

function describe({ type, asked }: TicketName): string {
  return `${type} ${asked}`;
}

function detailsOf({ type, asked }: TicketName): { type: string; asked: string } {
  return { type, asked };
}
