import { expect } from 'chai';
import { PASSWORDS, SEED, type FakeServiceNow } from '../../../src/dev/fake-servicenow/index.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { until } from '../../support/until.ts';
import { failureOf, openBench, QUESTION, tableCalls, type Bench } from '../../support/servicenow.ts';

describe('many tasks on one instance', () => {
  let bench: Bench;
  let instance: FakeServiceNow;
  beforeEach(async () => {
    bench = await openBench();
    ({ instance } = bench);
  });
  afterEach(() => bench[Symbol.asyncDispose]());
  leavesNothingOpen();

  const about = (number: string): Record<string, unknown> => ({
    ...QUESTION,
    ticket: { type: 'change_request', number },
  });
  const numbers = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => `CHG00${50_000 + index}`);

  it('a thousand looks at once are ten list requests, and each look has its own answer', async () => {
    const list = numbers(1_000);
    for (const number of list) {
      instance.tickets.add('change_request', { number, state: number.endsWith('7') ? '-1' : '-5' });
    }
    const auth = bench.asUser('svc_deploy');
    const answers = await Promise.all(list.map((number) => bench.check(auth, about(number))));
    for (const [index, number] of list.entries()) {
      expect(answers[index]?.ticket.number).to.equal(number);
      expect(answers[index]?.decision).to.equal(number.endsWith('7') ? 'approved' : 'pending');
    }
    expect(tableCalls(instance)).to.have.length(10);
  }).timeout(20_000);

  it('one ticket that does not exist costs one request more, and fails alone', async () => {
    const auth = bench.asUser('svc_deploy');
    const [there, missing] = await Promise.all([
      bench.check(auth, QUESTION),
      failureOf(() => bench.check(auth, about('CHG9999999'))),
    ]);
    expect(there.decision).to.equal('approved');
    expect(missing.code).to.equal('servicenow.ticket-not-found');
    expect(tableCalls(instance)).to.have.length(2);
  });

  it('a field that one look misspells fails that look alone', async () => {
    const auth = bench.asUser('svc_deploy');
    const misspelt = {
      ...about(SEED.changes.implement),
      approvalCriteria: {
        type: 'KeyValues',
        spec: { conditions: [{ key: 'sate', operator: 'equals', value: 'Implement' }] },
      },
    };
    const [right, wrong] = await Promise.all([
      bench.check(auth, QUESTION),
      failureOf(() => bench.check(auth, misspelt)),
    ]);
    expect(right.decision).to.equal('approved');
    expect(right.ticket.fields).not.to.have.property('sate');
    expect(wrong.code).to.equal('servicenow.field-missing');
    expect(wrong.details?.['suggestions']).to.deep.equal(['state']);
  });

  it('a hundred looks with one mistake propose a field from one look more', async () => {
    const auth = bench.asUser('svc_deploy');
    const misspelt = {
      ...about(SEED.changes.implement),
      approvalCriteria: { type: 'Expression', spec: { expression: 'ticket.sate.value == "-1"' } },
    };
    await Promise.all(Array.from({ length: 100 }, () => failureOf(() => bench.check(auth, misspelt))));
    expect(tableCalls(instance)).to.have.length(2);
  });

  it('fifty looks with a wrong password are one failed login: five would lock the account', async () => {
    bench.surroundings.secrets.set('wrong', 'not-the-password');
    const wrong = { type: 'UsernamePassword', spec: { username: 'svc_deploy', passwordRef: 'test:wrong' } };
    const errors = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        failureOf(() => bench.check(wrong, about(numbers(50)[index] ?? ''))),
      ),
    );
    expect(new Set(errors.map(({ code }) => code))).to.deep.equal(new Set(['servicenow.not-authenticated']));
    expect(tableCalls(instance)).to.have.length(1);
    const next = await failureOf(() => bench.check(wrong, QUESTION));
    expect(next.hint).to.match(/asks again in 300 s, or at once if the credentials change/);
    expect(tableCalls(instance)).to.have.length(1);
    bench.surroundings.secrets.set('wrong', PASSWORDS.svc_deploy);
    expect((await bench.check(wrong, QUESTION)).decision).to.equal('approved');
  });

  it('twelve connectors with one outdated password are one failed login', async () => {
    bench.surroundings.secrets.set('wrong', 'not-the-password');
    const wrong = { type: 'UsernamePassword', spec: { username: 'svc_deploy', passwordRef: 'test:wrong' } };
    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        failureOf(() => bench.check(wrong, QUESTION, { connector: { identifier: `project_${index}` } })),
      ),
    );
    expect(tableCalls(instance)).to.have.length(1);
    expect((await bench.check(bench.asUser('svc_deploy'), QUESTION)).decision).to.equal('approved');
  });

  it('a 429 with Retry-After: 2 stops every call to that instance for 2 s, and none elsewhere', async () => {
    const clock = new ManualClock();
    await using refusing = await openBench({ clock });
    await using other = await openBench({ clock });
    refusing.instance.faults.add({ fault: 'rate-limit', seconds: 2, times: 1 });
    const first = refusing.check(refusing.asUser('svc_deploy'), QUESTION);
    await clock.advance(0);
    await until('the refusal has arrived', () => clock.pending > 0);
    expect(tableCalls(refusing.instance).map(({ status }) => status)).to.deep.equal([429]);
    const others = ['svc_deploy', 'svc_read'] as const;
    const waiting = others.map((user) => refusing.check(refusing.asUser(user), about(SEED.changes.unicode)));
    await Promise.all(Array.from({ length: 5 }, () => other.check(other.asUser('svc_deploy'), QUESTION)));
    await clock.advance(1_999);
    expect(tableCalls(refusing.instance)).to.have.length(1);
    await clock.advance(1);
    await Promise.all([first, ...waiting]);
    expect(tableCalls(refusing.instance)).to.have.length(4);
  });
});
