import { expect } from 'chai';
import { CredentialGuard } from '../../../src/connectors/servicenow/credential-guard.ts';
import { DelegateError, wrap } from '../../../src/kit/errors.ts';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const MINUTE_MS = 60_000;

const refusal = new DelegateError('servicenow.not-authenticated', 'Not accepted.', {
  category: 'credentials',
  hint: 'Check the password.',
  status: 401,
  details: { contentType: 'application/json' },
});

describe('the guard of credentials', () => {
  let clock: ManualClock;
  let guard: CredentialGuard;
  /** The requests that were let through, to be answered by the test. */
  let sent: Deferred<string>[];
  beforeEach(() => {
    clock = new ManualClock();
    guard = new CredentialGuard(clock);
    sent = [];
  });

  /** As a client does: again whenever somebody else has found out meanwhile. */
  const ask = async (
    identity = 'one',
    options: { signal?: AbortSignal; anew?: boolean; kind?: 'password' | 'token' } = {},
  ): Promise<string> => {
    const send = async (): Promise<string> => {
      const answer = deferred<string>();
      sent.push(answer);
      try {
        return await answer.promise;
      } catch (thrown) {
        if (thrown === refusal) guard.refused(identity, refusal, options.kind ?? 'password');
        throw thrown;
      }
    };
    const { signal = new AbortController().signal, anew = false } = options;
    for (;;) {
      const said = await guard.run(identity, send, { signal, anew });
      if (said !== undefined) return said;
    }
  };
  const failure = async (work: Promise<string>): Promise<DelegateError> =>
    wrap(await work.then(String, (thrown: unknown) => thrown));
  const refuse = async (options: Parameters<typeof ask>[1] = {}): Promise<void> => {
    const failed = failure(ask('one', options));
    await clock.settle();
    sent.at(-1)?.reject(refusal);
    expect(await failed).to.equal(refusal);
  };

  it('of fifty that come with unproven credentials one is let through; all go when it was accepted', async () => {
    const all = Promise.all(Array.from({ length: 50 }, () => ask()));
    await clock.settle();
    expect(sent).to.have.length(1);
    sent[0]?.resolve('fine');
    await clock.settle();
    expect(sent).to.have.length(50);
    for (const answer of sent) answer.resolve('fine');
    expect(await all).to.have.length(50);
  });

  it('of fifty that come with a wrong password one is sent, and all are told', async () => {
    const all = Promise.all(Array.from({ length: 50 }, () => failure(ask())));
    await clock.settle();
    sent[0]?.reject(refusal);
    const errors = await all;
    expect(sent).to.have.length(1);
    expect(new Set(errors.map(({ code }) => code))).to.deep.equal(new Set(['servicenow.not-authenticated']));
  });

  it('who comes later is told what was said, and when it is asked again', async () => {
    await refuse();
    await clock.advance(20_000);
    const told = await failure(ask());
    expect(told.toWire()).to.deep.equal({
      ...refusal.toWire(),
      hint: 'Check the password. This was the answer a moment ago; the delegate asks again in 280 s, or at once if the credentials change or the connector is tested.',
      details: { contentType: 'application/json', askedAgainInMs: 280_000 },
    });
    expect(sent).to.have.length(1);
  });

  it('a refusal without a hint gets one', async () => {
    guard.refused(
      'one',
      new DelegateError('servicenow.mfa-required', 'No.', { category: 'credentials' }),
      'password',
    );
    expect((await failure(ask())).hint).to.match(/^This was the answer a moment ago; .* in 300 s/);
  });

  it('a wrong password is believed to be wrong for 5, 10, 20, 40, 60, 60 minutes', async () => {
    for (const minutes of [5, 10, 20, 40, 60, 60]) {
      await refuse();
      await clock.advance(minutes * MINUTE_MS - 1);
      const before = sent.length;
      await failure(ask());
      expect(sent, `${minutes} min`).to.have.length(before);
      await clock.advance(1);
    }
  });

  it('a refused token is asked for again every 30 s', async () => {
    for (let time = 0; time < 3; time += 1) {
      await refuse({ kind: 'token' });
      await clock.advance(29_999);
      const before = sent.length;
      await failure(ask());
      expect(sent).to.have.length(before);
      await clock.advance(1);
    }
  });

  it('success ends the count', async () => {
    await refuse();
    await clock.advance(5 * MINUTE_MS);
    const accepted = ask();
    await clock.settle();
    sent.at(-1)?.resolve('fine');
    await accepted;
    await refuse();
    await clock.advance(5 * MINUTE_MS);
    const again = ask();
    await clock.settle();
    expect(sent).to.have.length(4);
    sent.at(-1)?.resolve('fine');
    await again;
  });

  it('other credentials are tried at once', async () => {
    await refuse();
    const other = ask('two');
    await clock.settle();
    expect(sent).to.have.length(2);
    sent[1]?.resolve('fine');
    expect(await other).to.equal('fine');
  });

  it('a test tries them even so', async () => {
    await refuse();
    const test = ask('one', { anew: true });
    await clock.settle();
    expect(sent).to.have.length(2);
    sent[1]?.resolve('fine');
    expect(await test).to.equal('fine');
    const next = ask();
    await clock.settle();
    sent[2]?.resolve('fine');
    expect(await next).to.equal('fine');
  });

  it('a test that fails by the network leaves what was known', async () => {
    await refuse();
    const test = failure(ask('one', { anew: true }));
    await clock.settle();
    sent[1]?.reject(new Error('reset'));
    await test;
    await failure(ask());
    expect(sent).to.have.length(2);
  });

  it('several that were on their way together count as one refusal', async () => {
    const proven = ask();
    await clock.settle();
    sent[0]?.resolve('fine');
    await proven;
    const three = [failure(ask()), failure(ask()), failure(ask())];
    await clock.settle();
    for (const answer of sent) answer.reject(refusal);
    await Promise.all(three);
    await clock.advance(5 * MINUTE_MS);
    const next = ask();
    await clock.settle();
    expect(sent).to.have.length(5);
    sent.at(-1)?.resolve('fine');
    await next;
  });

  it('who stands in a queue with credentials refused meanwhile is told before it sends them', async () => {
    expect(() => guard.assertNotRefused('one')).not.to.throw();
    await refuse();
    expect(() => guard.assertNotRefused('one')).to.throw('Not accepted.');
    expect(() => guard.assertNotRefused('two')).not.to.throw();
  });

  it('the next one finds out when the first was cut off', async () => {
    const first = failure(ask());
    const second = ask();
    await clock.settle();
    sent[0]?.reject(new Error('reset'));
    await first;
    await clock.settle();
    expect(sent).to.have.length(2);
    sent[1]?.resolve('fine');
    expect(await second).to.equal('fine');
  });

  it('the next one finds out when the first did not come to send anything', async () => {
    const options = { signal: new AbortController().signal, anew: false };
    expect(await guard.run('one', () => Promise.resolve(undefined), options)).to.equal(undefined);
    const two = Promise.all([ask(), ask()]);
    await clock.settle();
    expect(sent).to.have.length(1);
    sent[0]?.resolve('fine');
    await clock.settle();
    sent[1]?.resolve('fine');
    await two;
  });

  it('who is aborted while another finds out leaves at once', async () => {
    const first = ask();
    const stop = new AbortController();
    const waiting = ask('one', { signal: stop.signal }).catch((thrown: unknown) => thrown);
    await clock.settle();
    const reason = new Error('cancelled');
    stop.abort(reason);
    expect(await waiting).to.equal(reason);
    sent[0]?.resolve('fine');
    await first;
  });

  it('500 credentials are remembered', async () => {
    await refuse();
    for (let index = 0; index < 500; index += 1) guard.refused(`other ${index}`, refusal, 'password');
    expect(() => guard.assertNotRefused('one')).not.to.throw();
    expect(() => guard.assertNotRefused('other 0')).to.throw();
  });
});
