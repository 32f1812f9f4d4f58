import { z } from 'zod';
import type { DelegateError } from '../../../kit/errors.ts';
import { APPROVAL_ERRORS, approvalError } from './errors.ts';
import { nearNames } from './near-names.ts';
import { isBlank } from './text.ts';

/** The two sides of a field as ServiceNow gives them with `sysparm_display_value=all`; '' if it is not set. */
export interface FieldSides {
  /** As stored: `-1`, a sys_id, a UTC date. */
  readonly value: string;
  /** As the calling user would see it: `Implement`, a name, a date in that user's zone and format. */
  readonly displayValue: string;
}

export interface FieldValue extends FieldSides {
  /** The same without secrets, if there may be any in it. Texts are made of this, decisions never. */
  readonly shown?: FieldSides;
}

/** What a text may say of the field. A text is cut and respaced, and a secret is not recognised after that. */
export function shownOf(field: FieldValue): FieldSides {
  return field.shown ?? field;
}

/** By field name, dot-walked names included (`assigned_to.name`). A field that was not answered is not in it. */
export type TicketFields = ReadonlyMap<string, FieldValue>;

export const MAX_FIELD_NAME_CHARS = 128;

const FIELD_NAME = /^[a-z][a-z0-9_.]*$/;

export function isFieldName(text: string): boolean {
  return text.length <= MAX_FIELD_NAME_CHARS && FIELD_NAME.test(text);
}

/** Nothing but such a name reaches a query: `^` or `,` in it would change what is asked. */
export const fieldNameSchema = z.string().refine(isFieldName, {
  error:
    'a field name is needed: a lower-case letter, then lower-case letters, digits, "_" and "." ' +
    `(at most ${MAX_FIELD_NAME_CHARS} characters)`,
});

/** Both sides, since a journal has text to show and no value, and a dangling reference has a value and no name. */
export function isBlankField(field: FieldValue): boolean {
  return isBlank(field.value) && isBlank(field.displayValue);
}

/** @throws DelegateError `servicenow.field-missing` */
export function fieldOf(fields: TicketFields, name: string): FieldValue {
  const field = fields.get(name);
  if (field === undefined) throw fieldMissing(name);
  return field;
}

/**
 * `servicenow.field-missing`, with the name in `details.field`. ServiceNow leaves a field that the user may not
 * read out of the row, just as one that doesn't exist, so the two can't be told apart here.
 *
 * @param table where the field was looked for, if known
 * @param available names that do exist there; the nearest ones are proposed
 */
export function fieldMissing(name: string, table?: string, available: Iterable<string> = []): DelegateError {
  const near = nearNames(name, available);
  const where = table === undefined ? 'the ticket' : `table ${table}`;
  const proposal = near.length === 0 ? '' : `Did you mean ${near.join(', ')}? `;
  return approvalError(
    'servicenow.field-missing',
    `The field ${name} is not in the answer for ${where}: it doesn't exist, or this user may not read it.`,
    {
      hint: `${proposal}${APPROVAL_ERRORS['servicenow.field-missing'].remedy}`,
      details: { field: name, ...(table === undefined ? {} : { table }), suggestions: near },
    },
  );
}
