import { expect } from 'chai';
import * as fc from 'fast-check';
import type { TaskContext } from '../../../../src/connectors/connector.ts';
import type { Row } from '../../../../src/connectors/servicenow/answer.ts';
import type { Authentication } from '../../../../src/connectors/servicenow/auth/method.ts';
import { ServiceNowClient } from '../../../../src/connectors/servicenow/client.ts';
import { CredentialGuard } from '../../../../src/connectors/servicenow/credential-guard.ts';
import { Instances } from '../../../../src/connectors/servicenow/instance.ts';
import { TicketReader } from '../../../../src/connectors/servicenow/tickets/ticket-reader.ts';
import { wrap } from '../../../../src/kit/errors.ts';
import type { HttpResponse } from '../../../../src/kit/http-exchange.ts';
import { Secret } from '../../../../src/kit/secret.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { taskContext } from '../../../support/servicenow.ts';

const PATIENCE_MS = 3_600_000;
const JSON_TYPE = { 'content-type': 'application/json' };

/** What a ticket does to every answer that it is in. */
const kinds = ['plain', 'missing', 'twice', 'nameless', 'other-case', 'refused', 'broken'] as const;
type Kind = (typeof kinds)[number];
/** More of these in one request than a few are met by nobody; the splitting of a request has an end. */
const FAILING: ReadonlySet<Kind> = new Set(['refused', 'broken']);

/** What befalls one request, whatever it asks for, and is gone with the next. */
const mishap = fc.constantFrom(
  { status: 503 },
  { status: 429, headers: { 'retry-after': '20' } },
  { status: 429 },
  { status: 504, headers: { 'retry-after': '0' } },
);

interface Look {
  readonly ticket: number;
  readonly field: string;
  /** Its task is cancelled then, if it has not ended. */
  readonly abortAtMs: number | undefined;
}

const looks = fc.array(
  fc.record({
    ticket: fc.nat({ max: 29 }),
    field: fc.constantFrom('state', 'risk', 'approval'),
    abortAtMs: fc.option(fc.nat({ max: 60_000 }), { nil: undefined, freq: 4 }),
  }),
  { minLength: 1, maxLength: 60 },
);
const tickets = fc
  .array(fc.oneof({ weight: 4, arbitrary: fc.constant<Kind>('plain') }, fc.constantFrom(...kinds)), {
    minLength: 30,
    maxLength: 30,
  })
  .map((drawn) => {
    let failing = 0;
    return drawn.map((kind): Kind => (FAILING.has(kind) && (failing += 1) > 3 ? 'plain' : kind));
  });

const authentication: Authentication = {
  user: undefined,
  identity: 'one',
  keyMaterial: undefined,
  authorize: () =>
    Promise.resolve({ header: new Secret('Basic x'), bearer: undefined, accessToken: undefined }),
  refused: () => false,
  warnings: () => [],
};

const nameOf = (ticket: number): string => `CHG${1_000 + ticket}`;

/** The instance: it knows which kind each ticket is of, and answers by that alone once the mishaps are over. */
function answerTo(url: URL, kindOf: (name: string) => Kind): HttpResponse {
  const query = url.searchParams.get('sysparm_query') ?? '';
  const asked = query
    .replace(/^number(=|IN)/, '')
    .replace(/\^.*$/, '')
    .split(',');
  const found = new Set(asked.map(kindOf));
  if (found.has('refused')) return { status: 400, headers: JSON_TYPE, body: '{"error":{"message":"m"}}' };
  if (found.has('broken')) return { status: 200, headers: JSON_TYPE, body: '{"result":[{' };
  const cell = (value: string): object => ({ value, display_value: value });
  const fields = (url.searchParams.get('sysparm_fields') ?? '').split(',');
  const rowsOf = (name: string): object[] => {
    const row = Object.fromEntries(fields.map((field) => [field, cell(`${field} of ${name}`)]));
    const named = { ...row, number: cell(name) };
    switch (kindOf(name)) {
      case 'missing':
        return [];
      case 'twice':
        return [named, named];
      case 'nameless':
        return [Object.fromEntries(Object.entries(row).filter(([field]) => field !== 'number'))];
      case 'other-case':
        return [{ ...row, number: cell(name.toLowerCase()) }];
      default:
        return [named];
    }
  };
  return { status: 200, headers: JSON_TYPE, body: JSON.stringify({ result: asked.flatMap(rowsOf) }) };
}

interface Reading {
  readonly clock: ManualClock;
  readonly read: (look: Look, context: TaskContext) => Promise<Row>;
}

function startReading(kindOf: (name: string) => Kind, mishaps: readonly Partial<HttpResponse>[]): Reading {
  const clock = new ManualClock();
  const left = [...mishaps];
  const client = new ServiceNowClient({
    maxRows: 1_000,
    baseUrl: 'https://example.service-now.com',
    auth: authentication,
    send: ({ url, signal }) => {
      signal.throwIfAborted();
      const befallen = left.shift();
      return Promise.resolve(
        befallen === undefined ? answerTo(url, kindOf) : { status: 503, headers: {}, body: '', ...befallen },
      );
    },
    scrub: (text) => text,
    instances: new Instances({ clock, random: () => 0 }),
    guard: new CredentialGuard(clock),
    random: () => 0,
  });
  const reader = new TicketReader(clock, { quietMs: 10, mostMs: 100 });
  return {
    clock,
    read: ({ ticket, field }, context) =>
      reader.read(
        client,
        { type: 'change_request', field: 'number', asked: nameOf(ticket) },
        new Set(['number', field]),
        context,
      ),
  };
}

const told = (work: Promise<Row>): Promise<string> =>
  work.then(
    (row) => JSON.stringify(row),
    (thrown: unknown) => wrap(thrown).code,
  );

describe('reading tickets together, whatever they are', () => {
  it('each look ends once, with what it would have been told alone or by its own end', async () => {
    await fc.assert(
      fc.asyncProperty(
        tickets,
        looks,
        fc.array(mishap, { maxLength: 3 }),
        async (kindsOf, asked, mishaps) => {
          const kindOf = (name: string): Kind => kindsOf[Number(name.slice(3)) - 1_000] ?? 'missing';
          const { clock, read } = startReading(kindOf, mishaps);
          const ends = asked.map((look) => {
            const stop = new AbortController();
            const context = taskContext({ clock, signal: stop.signal, timeMs: PATIENCE_MS });
            if (look.abortAtMs !== undefined)
              clock.after(look.abortAtMs, () => stop.abort(new Error('left')));
            return told(read(look, context));
          });
          await clock.advance(PATIENCE_MS / 2);
          const together = await Promise.all(ends);

          for (const [index, look] of asked.entries()) {
            if (together[index] === 'internal' && look.abortAtMs !== undefined) continue;
            const alone = startReading(kindOf, []);
            const end = told(alone.read(look, taskContext({ clock: alone.clock, timeMs: PATIENCE_MS })));
            await alone.clock.advance(PATIENCE_MS / 2);
            expect(together[index], JSON.stringify(look)).to.equal(await end);
          }
          expect(clock.pending).to.equal(0);
        },
      ),
      { numRuns: 400 },
    );
  }).timeout(20_000);
});
