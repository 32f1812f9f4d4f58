import { expect } from 'chai';
import { readinessChecks, type ReadinessView } from '../../src/delegate/readiness.ts';
import { Outbox } from '../../src/delegate/tasks/outbox.ts';
import { resultOf } from './frames.ts';

const FULL = new Outbox({ maxResults: 1, maxBytes: 1_000_000 });
FULL.put(resultOf());

const AT_WORK: ReadinessView = {
  phase: 'ready',
  isRevoked: false,
  session: { healthy: true, credit: 3, paused: false },
  workload: { unwritable: undefined, outbox: new Outbox({ maxResults: 10, maxBytes: 1_000_000 }) },
  running: 1,
};
const SESSION = { healthy: true, credit: 3, paused: false };
const { outbox } = AT_WORK.workload;

/** Name and detail of each check that fails. */
function failing(changes: Partial<ReadinessView>): string[] {
  return readinessChecks({ ...AT_WORK, ...changes })
    .filter(({ ok }) => !ok)
    .map(({ name, detail }) => `${name}: ${detail ?? ''}`);
}

/** What is said of the credit. */
function credit(changes: Partial<ReadinessView>): unknown {
  const { ok, detail } = readinessChecks({ ...AT_WORK, ...changes }).at(-1) ?? {};
  return { ok, detail };
}

describe('whether a delegate is ready', () => {
  it('is asked by seven names, in the order in which a reason is looked for', () => {
    expect(readinessChecks(AT_WORK).map(({ name, ok }) => [name, ok])).to.deep.equal([
      ['serving', true],
      ['accepted', true],
      ['connected', true],
      ['heartbeats', true],
      ['journal', true],
      ['audit', true],
      ['credit', true],
    ]);
  });

  const cases: readonly [string, Partial<ReadinessView>, readonly string[]][] = [
    ['it is leaving', { phase: 'draining' }, ['serving: the delegate is leaving']],
    [
      'it has stopped',
      { phase: 'stopped', session: undefined },
      [
        'serving: the delegate has ended',
        'connected: no session with the manager',
        'heartbeats: no session with the manager',
        'credit: no session with the manager',
      ],
    ],
    [
      'there is no session',
      { phase: 'connecting', session: undefined },
      [
        'connected: no session with the manager',
        'heartbeats: no session with the manager',
        'credit: no session with the manager',
      ],
    ],
    [
      'the session that it was to leave has ended before the next is there',
      { session: undefined },
      [
        'connected: no session with the manager',
        'heartbeats: no session with the manager',
        'credit: no session with the manager',
      ],
    ],
    [
      'it is revoked',
      { phase: 'connecting', session: undefined, isRevoked: true },
      [
        'accepted: the manager has revoked this delegate',
        'connected: no session with the manager',
        'heartbeats: no session with the manager',
        'credit: no session with the manager',
      ],
    ],
    [
      'heartbeats are not acknowledged',
      { session: { ...SESSION, healthy: false } },
      ['heartbeats: the manager does not acknowledge heartbeats'],
    ],
    [
      'the journal cannot be written',
      { workload: { unwritable: 'journal', outbox } },
      ['journal: the journal cannot be written'],
    ],
    [
      'the audit log cannot be written',
      { workload: { unwritable: 'audit log', outbox } },
      ['audit: the audit log cannot be written'],
    ],
    [
      'it could keep no other result, and nothing runs',
      { session: { ...SESSION, credit: 0 }, running: 0, workload: { unwritable: undefined, outbox: FULL } },
      ['credit: too many results wait for acknowledgement'],
    ],
    [
      'it could keep no other result, and the last tasks still run',
      { session: { ...SESSION, credit: 0 }, running: 1, workload: { unwritable: undefined, outbox: FULL } },
      ['credit: too many results wait for acknowledgement'],
    ],
    [
      'it could keep no other result, and credit of before is left',
      { workload: { unwritable: undefined, outbox: FULL } },
      ['credit: too many results wait for acknowledgement'],
    ],
    [
      'it could keep no other result, and the manager has paused it',
      { session: { ...SESSION, paused: true }, workload: { unwritable: undefined, outbox: FULL } },
      ['credit: too many results wait for acknowledgement'],
    ],
    [
      'it has granted nothing, for whatever reason',
      { session: { ...SESSION, credit: 0 }, running: 0 },
      ['credit: no credit is granted'],
    ],
  ];
  for (const [when, changes, expected] of cases) {
    it(`is no when ${when}, and says so`, () => {
      expect(failing(changes)).to.deep.equal(expected);
    });
  }

  it('is yes when every slot is taken: busy is not broken', () => {
    const changes = { session: { ...SESSION, credit: 0 }, running: 4 };
    expect(failing(changes)).to.deep.equal([]);
    expect(credit(changes)).to.deep.equal({ ok: true, detail: 'every slot is taken' });
  });

  it('is yes when the manager has paused it, with a word of that: it does as it is told', () => {
    const changes = { session: { healthy: true, credit: 0, paused: true }, running: 0 };
    expect(failing(changes)).to.deep.equal([]);
    expect(credit(changes)).to.deep.equal({ ok: true, detail: 'the manager has paused this delegate' });
  });
});
