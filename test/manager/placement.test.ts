import { expect } from 'chai';
import * as fc from 'fast-check';
import { GATES, gatesFor, passes, tooOldMessage } from '../../src/manager/gates.ts';
import { effectAt, normalTag, place, type Candidate } from '../../src/manager/placement.ts';
import type { TaskRecord } from '../../src/manager/store.ts';

const CAPABILITY = 'servicenow.auth.RefreshTokenGrantType';
const gatedInput = { connector: { spec: { auth: { type: 'RefreshTokenGrantType' } } } };

type Wanted = Pick<TaskRecord, 'name' | 'version' | 'input' | 'selectors' | 'affinity' | 'refusals'>;

function task(changes: Partial<Wanted> = {}): Wanted {
  return {
    name: 'demo.read',
    version: 1,
    input: null,
    selectors: [],
    affinity: null,
    refusals: [],
    ...changes,
  };
}

function candidate(name: string, changes: Partial<Candidate> & { version?: string } = {}): Candidate {
  const { version = '26.11.90100', ...rest } = changes;
  return {
    delegate: { id: name, name, instanceId: '00000000-0000-4000-8000-000000000000', version },
    tags: new Set([name, 'eu']),
    tasks: [{ name: 'demo.read', version: 1 }],
    capabilities: [],
    freeCredit: 1,
    ...rest,
  };
}

const hints = { cooling: () => false, reluctance: () => 0 };

function outcomeOf(placement: ReturnType<typeof place>): string {
  if (placement.kind === 'offer') return placement.candidate.delegate.name;
  return placement.kind === 'wait' ? placement.blocked : placement.error.code;
}

describe('choosing a delegate for a task', () => {
  const rows: readonly (readonly [string, Wanted, Candidate[], string])[] = [
    ['nobody is connected', task(), [], 'no-delegate'],
    ['a tag is missing', task({ selectors: ['eu', 'us'] }), [candidate('a')], 'no-delegate'],
    ['tags differ in case and blanks', task({ selectors: [' EU '] }), [candidate('a')], 'a'],
    ['its name is asked for', task({ selectors: ['B'] }), [candidate('a'), candidate('b')], 'b'],
    ['there is no credit', task(), [candidate('a', { freeCredit: 0 })], 'no-capacity'],
    ['one has more room', task(), [candidate('a'), candidate('b', { freeCredit: 3 })], 'b'],
    ['nobody knows the task', task({ name: 'other' }), [candidate('a')], 'unknown-task'],
    ['nobody knows its version', task({ version: 2 }), [candidate('a')], 'unsupported-version'],
    ['one does not know it', task(), [candidate('a', { tasks: [] }), candidate('b')], 'b'],
    [
      'one is too old',
      task({ input: gatedInput }),
      [
        candidate('a', { version: '23.06.79899', capabilities: [CAPABILITY], freeCredit: 9 }),
        candidate('b', { version: '23.07.79900', capabilities: [CAPABILITY] }),
      ],
      'b',
    ],
    [
      'the new one is full',
      task({ input: gatedInput }),
      [
        candidate('a', { version: '23.06.79899' }),
        candidate('b', { capabilities: [CAPABILITY], freeCredit: 0 }),
      ],
      'no-capacity',
    ],
    [
      'one is new but lacks the capability',
      task({ input: gatedInput }),
      [candidate('a')],
      'delegate-too-old',
    ],
    [
      'an old one with the tags lists no such task',
      task({ input: gatedInput }),
      [candidate('a', { version: '23.06.79899', tasks: [] })],
      'delegate-too-old',
    ],
    [
      'those that know it are old and the new one does not know it',
      task({ input: gatedInput }),
      [candidate('a', { version: '23.06.79899' }), candidate('b', { capabilities: [CAPABILITY], tasks: [] })],
      'delegate-too-old',
    ],
    [
      'the new one does not know it and there is no other',
      task({ input: gatedInput }),
      [candidate('b', { capabilities: [CAPABILITY], tasks: [] })],
      'unknown-task',
    ],
    [
      'the old one has other tags',
      task({ input: gatedInput, selectors: ['us'] }),
      [candidate('a', { version: '23.06.79899' })],
      'no-delegate',
    ],
  ];
  for (const [when, wanted, connected, expected] of rows) {
    it(`gives ${expected} when ${when}`, () => {
      expect(outcomeOf(place(wanted, connected, hints))).to.equal(expected);
    });
  }

  it('asks a delegate that refused for good never again, and fails with its words when it was the last', () => {
    const holder = { delegateId: 'a', name: 'a', version: '26.11.90100' };
    const refused = task({ refusals: [{ holder, code: 'policy-denied', message: 'no' }] });
    expect(outcomeOf(place(refused, [candidate('a', { freeCredit: 9 }), candidate('b')], hints))).to.equal(
      'b',
    );
    expect(outcomeOf(place(refused, [candidate('a')], hints))).to.equal('policy-denied');
  });

  it('names every old delegate with the tags, those that do not list the task included', () => {
    const placement = place(
      task({ input: gatedInput, selectors: ['eu'] }),
      [
        candidate('eu-1', { version: '23.06.79812', tasks: [] }),
        candidate('us-1', { version: '23.06.79813', tags: new Set(['us']) }),
      ],
      hints,
    );
    expect(placement).to.have.nested.property(
      'error.message',
      'OIDC refresh token needs delegate build 79900 or higher; connected: eu-1 23.06.79812',
    );
  });

  it('keeps the reason of the delegate that refused, when those left could never do the task', () => {
    const holder = { delegateId: 'a', name: 'a', version: '26.11.90100' };
    const refused = task({
      input: gatedInput,
      refusals: [{ holder, code: 'policy-denied', message: 'no' }],
    });
    const refuser = candidate('a', { capabilities: [CAPABILITY] });
    const unable = [
      candidate('b', { capabilities: [CAPABILITY], tasks: [] }),
      candidate('b', { version: '23.06.79899' }),
    ];
    for (const other of unable) {
      expect(outcomeOf(place(refused, [refuser, other], hints))).to.equal('policy-denied');
    }
    const full = candidate('b', { capabilities: [CAPABILITY], freeCredit: 0 });
    expect(outcomeOf(place(refused, [refuser, full], hints))).to.equal('no-capacity');
  });

  it('leaves a delegate alone while it cools, and asks a doubtful one only when there is no other', () => {
    const both = [candidate('a', { freeCredit: 9 }), candidate('b')];
    expect(outcomeOf(place(task(), both, { ...hints, cooling: (id) => id === 'a' }))).to.equal('b');
    const reluctance = (id: string): number => (id === 'a' ? 1 : 0);
    expect(outcomeOf(place(task(), both, { ...hints, reluctance }))).to.equal('b');
    expect(outcomeOf(place(task(), [candidate('a')], { ...hints, reluctance }))).to.equal('a');
  });

  it('takes a type to read unless the delegate says in any entry that it writes', () => {
    const type = { name: 'demo.read', version: 1 };
    const declared = [
      [[type], 'reads'],
      [[{ ...type, effect: 'reads' }], 'reads'],
      [[{ ...type, effect: 'writes' }], 'writes'],
      [[type, { ...type, effect: 'writes' }], 'writes'],
      [[{ ...type, version: 2, effect: 'writes' }, type], 'reads'],
    ] as const;
    for (const [tasks, effect] of declared) {
      expect(effectAt(candidate('a', { tasks }), task())).to.equal(effect);
    }
  });

  it('never offers to a delegate without credit, the tags or the task', () => {
    const tag = fc.constantFrom('eu', 'us', 'Blue', ' blue');
    const anyone = fc
      .record({
        name: fc.string({ minLength: 1 }),
        tags: fc.array(tag),
        freeCredit: fc.nat(2),
        knows: fc.boolean(),
      })
      .map(({ name, tags, freeCredit, knows }) =>
        candidate(name, { tags: new Set(tags.map(normalTag)), freeCredit, ...(knows ? {} : { tasks: [] }) }),
      );
    fc.assert(
      fc.property(fc.array(anyone), fc.array(tag), (connected, selectors) => {
        const placement = place(task({ selectors }), connected, hints);
        if (placement.kind !== 'offer') return;
        expect(placement.candidate.freeCredit).to.be.greaterThan(0);
        expect(placement.candidate.tasks).to.have.length(1);
        for (const selector of selectors)
          expect(placement.candidate.tags.has(normalTag(selector))).to.equal(true);
      }),
    );
  });
});

describe('choosing a delegate for tasks of one affinity', () => {
  const affinity = fc.string({ minLength: 1 });
  const ids = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 8 });
  const chosen = (connector: string, connected: readonly Candidate[]): string =>
    outcomeOf(place(task({ affinity: connector }), connected, hints));

  it('gives the same one in whatever order they stand and however much room they have', () => {
    fc.assert(
      fc.property(
        affinity,
        ids,
        fc.infiniteStream(fc.integer({ min: 1, max: 999 })),
        (connector, all, credit) => {
          const roomy = all.map((id) => candidate(id, { freeCredit: [...credit.take(1)][0] ?? 1 }));
          expect(chosen(connector, roomy)).to.equal(chosen(connector, roomy.toReversed()));
          expect(chosen(connector, roomy)).to.equal(
            chosen(
              connector,
              all.map((id) => candidate(id)),
            ),
          );
        },
      ),
    );
  });

  it('uses up the credit of one before it goes to the next, and comes back to it', () => {
    fc.assert(
      fc.property(affinity, ids, fc.integer({ min: 1, max: 5 }), (connector, all, credit) => {
        const left = new Map(all.map((id) => [id, credit]));
        const connected = (): Candidate[] =>
          [...left].map(([id, freeCredit]) => candidate(id, { freeCredit }));
        const order = Array.from({ length: all.length * credit }, () => {
          const id = chosen(connector, connected());
          left.set(id, (left.get(id) ?? 0) - 1);
          return id;
        });
        const blocks = [...new Set(order)];
        expect(blocks).to.have.members(all);
        expect(order).to.deep.equal(blocks.flatMap((id) => Array.from({ length: credit }, () => id)));
        expect(chosen(connector, connected())).to.equal('no-capacity');
        for (const id of all) left.set(id, 1);
        expect(chosen(connector, connected())).to.equal(blocks[0]);
      }),
    );
  });

  it('moves nobody but to the one that joined', () => {
    fc.assert(
      fc.property(affinity, ids, fc.uuid(), (connector, all, joined) => {
        const before = all.map((id) => candidate(id));
        const after = chosen(connector, [...before, candidate(joined)]);
        expect([chosen(connector, before), joined]).to.include(after);
      }),
    );
  });

  it('gives each delegate its share of the connectors', () => {
    const connected = ['a', 'b', 'c', 'd'].map((id) => candidate(id));
    const owners = Array.from({ length: 1_000 }, (_, n) => chosen(`servicenow_${n}`, connected));
    for (const id of ['a', 'b', 'c', 'd'])
      expect(owners.filter((owner) => owner === id)).to.have.length.within(190, 310);
  });

  it('prefers another to one that is better not asked', () => {
    const connected = ['a', 'b', 'c'].map((id) => candidate(id));
    const own = chosen('servicenow_prod', connected);
    const reluctance = (id: string): number => Number(id === own);
    const placement = place(task({ affinity: 'servicenow_prod' }), connected, { ...hints, reluctance });
    expect(outcomeOf(placement)).to.not.equal(own);
  });
});

describe('the version gates', () => {
  const [gate] = GATES;
  if (gate === undefined) throw new Error('there is one gate');

  it('stand before the inputs that ask for them alone', () => {
    expect(gatesFor(gatedInput)).to.deep.equal([gate]);
    const others = [
      null,
      'text',
      [],
      { connector: null },
      { connector: { spec: { auth: { type: 'UsernamePassword' } } } },
    ];
    for (const input of others) expect(gatesFor(input)).to.deep.equal([]);
  });

  const rows = [
    ['23.06.79812', [CAPABILITY], false],
    ['23.06.79899', [CAPABILITY], false],
    ['23.07.79900', [CAPABILITY], true],
    ['23.07.79900', [], false],
    ['26.01.100000', [CAPABILITY], true],
  ] as const;
  for (const [version, capabilities, expected] of rows) {
    it(`${expected ? 'let through' : 'hold back'} ${version} with [${capabilities.join()}]`, () => {
      expect(passes(gate, { name: 'a', version, capabilities })).to.equal(expected);
    });
  }

  it('name the requirement and every candidate', () => {
    const old = [
      { name: 'eu-1', version: '23.06.79812', capabilities: [] },
      { name: 'eu-2', version: '22.01.70000', capabilities: [] },
    ];
    expect(tooOldMessage(gate, old)).to.equal(
      'OIDC refresh token needs delegate build 79900 or higher; connected: eu-1 23.06.79812, eu-2 22.01.70000',
    );
    expect(tooOldMessage(gate, [{ name: 'eu-1', version: '26.11.90100', capabilities: [] }])).to.contain(
      CAPABILITY,
    );
  });
});
