import { expect } from 'chai';
import type { Row } from '../../../../src/connectors/servicenow/answer.ts';
import type { Authentication } from '../../../../src/connectors/servicenow/auth/method.ts';
import { ServiceNowClient } from '../../../../src/connectors/servicenow/client.ts';
import { CredentialGuard } from '../../../../src/connectors/servicenow/credential-guard.ts';
import { Instances } from '../../../../src/connectors/servicenow/instance.ts';
import type { TicketName } from '../../../../src/connectors/servicenow/tickets/ticket-name.ts';
import { TicketReader } from '../../../../src/connectors/servicenow/tickets/ticket-reader.ts';
import { DelegateError, wrap } from '../../../../src/kit/errors.ts';
import type { HttpResponse } from '../../../../src/kit/http-exchange.ts';
import { Secret } from '../../../../src/kit/secret.ts';
import type { TaskContext } from '../../../../src/connectors/connector.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { taskContext } from '../../../support/servicenow.ts';

const TIMES = { quietMs: 10, mostMs: 100 };
const LONG_MS = 3_600_000;

const authentication = (identity: string): Authentication => ({
  user: undefined,
  identity,
  keyMaterial: undefined,
  authorize: () =>
    Promise.resolve({ header: new Secret('Basic x'), bearer: undefined, accessToken: undefined }),
  refused: () => false,
  warnings: () => [],
});

const change = (asked: string): TicketName => ({ type: 'change_request', field: 'number', asked });
const numbers = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `CHG${10_000 + index}`);

describe('reading tickets together', () => {
  let clock: ManualClock;
  let reader: TicketReader;
  let instances: Instances;
  let guard: CredentialGuard;
  /** What was asked of the instance, by its query. */
  let asked: string[];
  /** The answer to a query; by default a row for each ticket that was asked for. */
  let answer: (tickets: string[], query: string) => HttpResponse | Promise<HttpResponse>;
  beforeEach(() => {
    clock = new ManualClock();
    reader = new TicketReader(clock, TIMES);
    instances = new Instances({ clock, random: () => 0 });
    guard = new CredentialGuard(clock);
    asked = [];
    answer = (tickets) => rowsOf(tickets);
  });

  const rowsOf = (tickets: readonly string[], fields: readonly string[] = ['state']): HttpResponse => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      result: tickets.map((number) => ({
        number: { value: number, display_value: number },
        ...Object.fromEntries(
          fields.map((name) => [name, { value: `${name} of ${number}`, display_value: '' }]),
        ),
      })),
    }),
  });
  const failing = (status: number): HttpResponse => ({
    status,
    headers: { 'content-type': 'application/json' },
    body: '{"error":{"message":"m","detail":null},"status":"failure"}',
  });
  const client = (identity = 'one', baseUrl = 'https://example.service-now.com'): ServiceNowClient =>
    new ServiceNowClient({
      maxRows: 1_000,
      baseUrl,
      auth: authentication(identity),
      send: async ({ url }) => {
        const query = url.searchParams.get('sysparm_query') ?? '';
        asked.push(query);
        const tickets = query
          .replace(/^(number|sys_id)(=|IN)/, '')
          .replace(/\^.*$/, '')
          .split(',');
        return await answer(tickets, query);
      },
      scrub: (text) => text,
      instances,
      guard,
      random: () => 0,
    });
  const read = (
    number: string,
    options: { fields?: string[]; context?: TaskContext; client?: ServiceNowClient } = {},
  ): Promise<Row> =>
    reader.read(
      options.client ?? client(),
      change(number),
      new Set(options.fields ?? ['number', 'state']),
      options.context ?? taskContext({ clock, timeMs: LONG_MS }),
    );
  const outcome = async (work: Promise<Row>): Promise<string> =>
    await work.then(
      (row) => row['state']?.value ?? row['number']?.value ?? 'a row without a number',
      (thrown: unknown) => wrap(thrown).code,
    );
  const outcomes = async (list: readonly string[]): Promise<string[]> => {
    const all = Promise.all(list.map((number) => outcome(read(number))));
    await clock.advance(LONG_MS / 2);
    return await all;
  };
  const states = (list: readonly string[]): string[] => list.map((number) => `state of ${number}`);

  it('one alone is asked for after a moment of quiet', async () => {
    const one = outcome(read('CHG1'));
    await clock.advance(9);
    expect(asked).to.deep.equal([]);
    await clock.advance(1);
    expect(asked).to.deep.equal(['number=CHG1^ORDERBYsys_id']);
    expect(await one).to.equal('state of CHG1');
    expect(clock.pending).to.equal(0);
  });

  it('nobody waits for others where no time is given for it', async () => {
    reader = new TicketReader(clock, { quietMs: 0, mostMs: 0 });
    expect(await Promise.all(['CHG1', 'CHG2'].map((number) => outcome(read(number))))).to.deep.equal(
      states(['CHG1', 'CHG2']),
    );
    expect(asked).to.deep.equal(['number=CHG1^ORDERBYsys_id', 'number=CHG2^ORDERBYsys_id']);
    expect(clock.pending).to.equal(0);
  });

  it('those that come within a moment of each other share a request, and each gets its own', async () => {
    const first = outcome(read('CHG1'));
    await clock.advance(9);
    const second = outcome(read('CHG2'));
    await clock.advance(9);
    const third = outcome(read('CHG3'));
    await clock.advance(10);
    expect(asked).to.deep.equal(['numberINCHG1,CHG2,CHG3^ORDERBYnumber']);
    expect(await Promise.all([first, second, third])).to.deep.equal(states(['CHG1', 'CHG2', 'CHG3']));
  });

  it('nobody waits longer than a tenth of a second for others', async () => {
    const all: Promise<string>[] = [];
    for (let time = 0; time < 11; time += 1) {
      all.push(outcome(read(`CHG${time}`)));
      await clock.advance(9);
    }
    expect(asked).to.deep.equal([]);
    await clock.advance(1);
    expect(asked).to.have.length(1);
    await Promise.all(all);
  });

  it('a full request goes at once', async () => {
    const all = Promise.all(numbers(100).map((number) => outcome(read(number))));
    await clock.settle();
    expect(asked).to.have.length(1);
    expect(await all).to.deep.equal(states(numbers(100)));
    expect(clock.pending).to.equal(0);
  });

  it('a thousand are ten requests', async () => {
    expect(await outcomes(numbers(1_000))).to.deep.equal(states(numbers(1_000)));
    expect(asked).to.have.length(10);
  });

  it('a hundred looks at one ticket are one request', async () => {
    const list = Array.from({ length: 100 }, () => 'CHG1');
    expect(await outcomes(list)).to.deep.equal(states(list));
    expect(asked).to.deep.equal(['number=CHG1^ORDERBYsys_id']);
  });

  it('everybody is given what was asked for, and nothing that others asked for', async () => {
    answer = (tickets) => rowsOf(tickets, ['state', 'risk']);
    const one = read('CHG1', { fields: ['number', 'state'] });
    const other = read('CHG2', { fields: ['risk', 'sate'] });
    await clock.advance(10);
    expect(Object.keys(await one)).to.deep.equal(['number', 'state']);
    expect(Object.keys(await other)).to.deep.equal(['risk']);
  });

  it('credentials, tables and the two names of a ticket are never mixed', async () => {
    const context = taskContext({ clock, timeMs: LONG_MS });
    const fields = new Set(['number', 'state']);
    const sysId = { type: 'change_request', field: 'sys_id', asked: 'a'.repeat(32) } as const;
    answer = (tickets, query) => (query.startsWith('sys_id') ? failing(403) : rowsOf(tickets));
    const all = Promise.all([
      outcome(reader.read(client('one'), change('CHG1'), fields, context)),
      outcome(reader.read(client('two'), change('CHG2'), fields, context)),
      outcome(reader.read(client('one'), { ...change('INC1'), type: 'incident' }, fields, context)),
      outcome(reader.read(client('one'), sysId, fields, context)),
    ]);
    await clock.advance(10);
    expect(await all).to.deep.equal([...states(['CHG1', 'CHG2', 'INC1']), 'servicenow.forbidden']);
    expect(asked).to.have.length(4);
  });

  describe('one that is not among the rows', () => {
    it('is looked up alone before it is called missing', async () => {
      answer = (tickets) => rowsOf(tickets.filter((number) => number !== 'CHG2'));
      expect(await outcomes(['CHG1', 'CHG2', 'CHG3'])).to.deep.equal([
        'state of CHG1',
        'servicenow.ticket-not-found',
        'state of CHG3',
      ]);
      expect(asked).to.deep.equal(['numberINCHG1,CHG2,CHG3^ORDERBYnumber', 'number=CHG2^ORDERBYsys_id']);
    });

    it('may be found that way', async () => {
      answer = (tickets) => rowsOf(tickets.length > 1 ? tickets.slice(1) : tickets);
      expect(await outcomes(['CHG1', 'CHG2'])).to.deep.equal(states(['CHG1', 'CHG2']));
    });
  });

  it('one whose number is hidden is asked for alone, and the others get their answer', async () => {
    answer = (tickets) => {
      const whole = rowsOf(tickets);
      const hidden = '"number":{"value":"CHG2","display_value":"CHG2"},';
      return { ...whole, body: whole.body.replace(hidden, '') };
    };
    expect(await outcomes(['CHG1', 'CHG2', 'CHG3'])).to.deep.equal([
      'state of CHG1',
      'servicenow.field-missing',
      'state of CHG3',
    ]);
    expect(asked).to.have.length(2);
  });

  it('one that exists twice does not fail the others', async () => {
    answer = (tickets) =>
      rowsOf(tickets.flatMap((number) => (number === 'CHG2' ? [number, number] : [number])));
    expect(await outcomes(['CHG1', 'CHG2'])).to.deep.equal(['state of CHG1', 'servicenow.ticket-ambiguous']);
    expect(asked).to.have.length(1);
  });

  describe('a request that fails', () => {
    for (const [what, bad] of [
      ['400', failing(400)],
      ['414', failing(414)],
      ['500', failing(500)],
      [
        'a cancelled transaction',
        { ...failing(200), body: '{"result":[],"error":{"message":"m"},"status":"failure"}' },
      ],
      ['a body cut short', { ...failing(200), body: '{"result":[{' }],
      ['a field of an unknown shape', { ...failing(200), body: '{"result":[{"number":[]}]}' }],
    ] as const) {
      it(`by ${what} because of one ticket is split until only that one fails`, async () => {
        answer = (tickets) => (tickets.includes('CHG10042') ? bad : rowsOf(tickets));
        const list = numbers(100);
        const told = await outcomes(list);
        expect(told.filter((text) => text.startsWith('state of'))).to.have.length(99);
        expect(told[42]).to.match(/^servicenow\./);
        // Fourteen halves; the one that is left alone is tried as often as any single one.
        expect(asked.length).to.be.within(15, 18);
      });
    }

    it('because the answer is larger than what is accepted is split until it fits', async () => {
      answer = (tickets) => {
        if (tickets.length <= 30) return rowsOf(tickets);
        throw new DelegateError('http.response-too-large', 'Too large.', { category: 'bad-response' });
      };
      expect(await outcomes(numbers(100))).to.deep.equal(states(numbers(100)));
      expect(asked).to.have.length(7);
    });

    it('because of five tickets far apart is split until only those fail', async () => {
      const bad = new Set([3, 21, 42, 63, 96].map((index) => `CHG${10_000 + index}`));
      answer = (tickets) => (tickets.some((number) => bad.has(number)) ? failing(400) : rowsOf(tickets));
      const list = numbers(100);
      expect(await outcomes(list)).to.deep.equal(
        list.map((number) => (bad.has(number) ? 'servicenow.invalid-request' : `state of ${number}`)),
      );
    });

    it('by its size alone is split until it fits', async () => {
      answer = (tickets) => (tickets.length > 30 ? failing(500) : rowsOf(tickets));
      expect(await outcomes(numbers(100))).to.deep.equal(states(numbers(100)));
      expect(asked).to.have.length(7);
    });

    it('whatever is asked is split at most eight times', async () => {
      answer = () => failing(400);
      const told = await outcomes(numbers(100));
      expect(new Set(told)).to.deep.equal(new Set(['servicenow.invalid-request']));
      expect(asked).to.have.length(17);
    });

    for (const [status, code] of [
      [401, 'not-authenticated'],
      [403, 'forbidden'],
    ] as const) {
      it(`by ${status} concerns all, and is not asked again`, async () => {
        answer = () => failing(status);
        expect(new Set(await outcomes(numbers(100)))).to.deep.equal(new Set([`servicenow.${code}`]));
        expect(asked).to.have.length(1);
      });
    }

    it('and is repeated too late for one task tells that one why, at once, and goes on for the other', async () => {
      let failures = 1;
      const busy = { ...failing(503), headers: { 'content-type': 'text/html', 'retry-after': '60' } };
      answer = (tickets) => ((failures -= 1) < 0 ? rowsOf(tickets) : busy);
      const hurried = taskContext({ clock, timeMs: 30_000 });
      const first = outcome(read('CHG1', { context: hurried }));
      const second = outcome(read('CHG2'));
      await clock.advance(10);
      expect(await first).to.equal('servicenow.unavailable');
      await clock.advance(LONG_MS / 2);
      expect(await second).to.equal('state of CHG2');
      expect(hurried.progressed).to.have.length(0);
    });

    it('and may pass is repeated whole, and everybody is told why it takes so long', async () => {
      let failures = 2;
      answer = (tickets) => ((failures -= 1) < 0 ? rowsOf(tickets) : failing(503));
      const contexts = [taskContext({ clock, timeMs: LONG_MS }), taskContext({ clock, timeMs: LONG_MS })];
      const all = Promise.all(contexts.map((context, index) => outcome(read(`CHG${index}`, { context }))));
      await clock.advance(LONG_MS / 2);
      expect(await all).to.deep.equal(states(['CHG0', 'CHG1']));
      expect(asked).to.have.length(3);
      for (const { progressed } of contexts) {
        expect(progressed).to.have.length(2);
        expect(progressed[0]).to.match(/^example\.service-now\.com is not available/);
      }
    });
  });

  describe('a task that ends early', () => {
    const stopped = async (stop: AbortController, work: Promise<Row>): Promise<unknown> => {
      const end = work.catch((thrown: unknown) => thrown);
      await clock.settle();
      stop.abort(new Error('cancelled'));
      return await end;
    };

    it('before the request: its ticket is not asked for', async () => {
      const stop = new AbortController();
      const other = outcome(read('CHG2'));
      const ended = await stopped(
        stop,
        read('CHG1', { context: taskContext({ clock, signal: stop.signal }) }),
      );
      expect(ended).to.have.property('message', 'cancelled');
      await clock.advance(10);
      expect(await other).to.equal('state of CHG2');
      expect(asked).to.deep.equal(['number=CHG2^ORDERBYsys_id']);
    });

    it('as the only one: no request is made, and no timer stays', async () => {
      const stop = new AbortController();
      await stopped(stop, read('CHG1', { context: taskContext({ clock, signal: stop.signal }) }));
      expect(clock.pending).to.equal(0);
      await clock.advance(100);
      expect(asked).to.deep.equal([]);
    });

    it('during the request: the others get their answer', async () => {
      const stop = new AbortController();
      let respond = (): void => {};
      answer = (tickets) =>
        new Promise((resolve) => {
          respond = () => resolve(rowsOf(tickets));
        });
      const first = read('CHG1', { context: taskContext({ clock, signal: stop.signal }) }).catch(
        (thrown: unknown) => thrown,
      );
      const second = outcome(read('CHG2'));
      await clock.advance(10);
      stop.abort(new Error('cancelled'));
      expect(await first).to.have.property('message', 'cancelled');
      respond();
      expect(await second).to.equal('state of CHG2');
    });

    it('as the last of all during a wait between attempts: the wait ends', async () => {
      answer = () => failing(503);
      const stops = [new AbortController(), new AbortController()];
      const all = stops.map(({ signal }, index) =>
        read(`CHG${index}`, { context: taskContext({ clock, signal, timeMs: LONG_MS }) }).catch(
          (thrown: unknown) => thrown,
        ),
      );
      await clock.advance(10);
      guard = new CredentialGuard(clock);
      for (const stop of stops) stop.abort(new Error('cancelled'));
      await Promise.all(all);
      await clock.settle();
      expect(clock.pending).to.equal(0);
    });

    it('before it began', async () => {
      const stop = new AbortController();
      stop.abort(new Error('cancelled'));
      const ended = await read('CHG1', { context: taskContext({ clock, signal: stop.signal }) }).catch(
        (thrown: unknown) => thrown,
      );
      expect(ended).to.have.property('message', 'cancelled');
      expect(clock.pending).to.equal(0);
    });
  });
});
