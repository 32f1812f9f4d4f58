import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { DelegateError } from '../../kit/errors.ts';
import { userChangesSchema } from './access/accounts.ts';
import { trustedIssuerSchema } from './access/trusted-issuers.ts';
import { fieldValuesSchema, type Controls } from './controls.ts';
import { faultSpecSchema } from './faults/faults.ts';
import { rateLimitRuleSchema } from './limits/rate-limits.ts';
import type { Journal } from './journal.ts';
import { LEDGER } from './ledger.ts';
import { readBody } from './listener.ts';
import { profileSchema } from './profile.ts';
import { SEED } from './seed/names.ts';

/** The admin plane: `POST /__sim/<operation>` with a JSON body (or none for `{}`), answered by the result as JSON. */
const PREFIX = '/__sim/';

export interface Plane {
  readonly controls: Controls;
  readonly journal: Journal;
}

type Operation = (plane: Plane, input: unknown) => unknown;

function operation<S extends z.ZodType>(
  input: S,
  run: (plane: Plane, input: z.output<S>) => unknown,
): Operation {
  return (plane, raw) => run(plane, input.parse(raw));
}

const nothing = z.strictObject({});
const record = { table: z.string(), key: z.string() };
const userName = z.string();

/** One operation, one line; each does what the method of the same name does in process. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  seed: operation(nothing, () => SEED),
  ledger: operation(nothing, () => LEDGER),
  'journal/read': operation(nothing, ({ journal }) => journal.read()),
  'journal/traffic': operation(nothing, ({ journal }) => journal.traffic()),
  'journal/clear': operation(nothing, ({ journal }) => journal.clear()),
  'tickets/get': operation(z.strictObject(record), ({ controls }, { table, key }) =>
    controls.tickets.get(table, key),
  ),
  'tickets/patch': operation(
    z.strictObject({ ...record, changes: fieldValuesSchema }),
    ({ controls }, { table, key, changes }) => controls.tickets.patch(table, key, changes),
  ),
  'tickets/move': operation(
    z.strictObject({ ...record, state: z.string() }),
    ({ controls }, { table, key, state }) => controls.tickets.move(table, key, state),
  ),
  'tickets/add': operation(
    z.strictObject({ table: z.string(), values: fieldValuesSchema }),
    ({ controls }, { table, values }) => controls.tickets.add(table, values),
  ),
  'faults/add': operation(faultSpecSchema, ({ controls }, spec) => ({ id: controls.faults.add(spec) })),
  'faults/remove': operation(z.strictObject({ id: z.number() }), ({ controls }, { id }) =>
    controls.faults.remove(id),
  ),
  'faults/clear': operation(nothing, ({ controls }) => controls.faults.clear()),
  'faults/list': operation(nothing, ({ controls }) => controls.faults.list()),
  'users/list': operation(nothing, ({ controls }) => controls.users.list()),
  'users/get': operation(z.strictObject({ userName }), ({ controls }, input) =>
    controls.users.get(input.userName),
  ),
  'users/update': operation(z.strictObject({ userName, changes: userChangesSchema }), ({ controls }, input) =>
    controls.users.update(input.userName, input.changes),
  ),
  'tokens/issue-refresh-token': operation(
    z.strictObject({ userName, clientId: z.string(), value: z.string().optional() }),
    ({ controls }, { userName: user, clientId, value }) => ({
      refreshToken: controls.tokens.issueRefreshToken(user, clientId, value),
    }),
  ),
  'tokens/revoke': operation(z.strictObject({ token: z.string() }), ({ controls }, { token }) =>
    controls.tokens.revoke(token),
  ),
  'tokens/revoke-access-tokens': operation(nothing, ({ controls }) => controls.tokens.revokeAccessTokens()),
  'rate-limits/set': operation(z.array(rateLimitRuleSchema), ({ controls }, rules) =>
    controls.rateLimits.set(rules),
  ),
  'rate-limits/list': operation(nothing, ({ controls }) => controls.rateLimits.list()),
  'issuers/trust': operation(trustedIssuerSchema, ({ controls }, issuer) => controls.issuers.trust(issuer)),
  'profile/get': operation(nothing, ({ controls }) => controls.profile.get()),
  'profile/update': operation(profileSchema.partial().strict(), ({ controls }, changes) =>
    controls.profile.update(profileSchema.parse({ ...controls.profile.get(), ...changes })),
  ),
};

export async function answerAdmin(
  message: IncomingMessage,
  response: ServerResponse,
  plane: Plane,
): Promise<void> {
  const { status, body } = perform(message, await readBody(message), plane);
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

function perform(message: IncomingMessage, body: string, plane: Plane): { status: number; body: unknown } {
  const path = message.url ?? '';
  const name = path.startsWith(PREFIX) ? path.slice(PREFIX.length) : '';
  const run = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  if (run === undefined)
    return { status: 404, body: { error: 'unknown operation', operations: Object.keys(OPERATIONS) } };
  if (message.method !== 'POST') return { status: 405, body: { error: 'use POST' } };
  try {
    return { status: 200, body: run(plane, body === '' ? {} : JSON.parse(body)) ?? {} };
  } catch (error) {
    if (error instanceof z.ZodError) return { status: 400, body: { error: z.prettifyError(error) } };
    if (error instanceof DelegateError || error instanceof SyntaxError) {
      return { status: 400, body: { error: error.message } };
    }
    throw error;
  }
}
