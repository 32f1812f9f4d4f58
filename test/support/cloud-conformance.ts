import { inspect } from 'node:util';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { CACHE_MS, type CloudRoom } from './cloud-room.ts';
import { findLeaks } from './canaries.ts';
import { failureOf, rejectionOf } from './failure.ts';
import { SILENCE, type CloudAnswer, type FakeCloud } from './fake-cloud.ts';

const SECRET = 'conformance-canary-Zx81-value';
const OTHER = 'conformance-canary-Qm47-value';
/** What a value may have. */
const MAX_BYTES = 65_536;
const READ_WITHIN_MS = 20_000;
/** Each client tries so often at most. */
const MOST_ATTEMPTS = 4;

/** One cloud, as the suite needs it. Everything is made anew for each test. */
export interface CloudCase {
  readonly cloud: FakeCloud;
  /** A room whose writable secrets are these references. */
  room(writable?: readonly string[]): CloudRoom;
  put(name: string, value: string): void;
  valueOf(name: string): string | undefined;
  referenceTo(name: string): string;
  readonly scheme: string;
  /** Of every request for a secret. */
  readonly path: RegExp;
  /** References that must be refused before anything is sent. */
  readonly odd: readonly string[];
  readonly answers: Readonly<
    Record<'denied' | 'throttled' | 'failing' | 'badLogin' | 'notFound' | 'unknown', CloudAnswer>
  >;
  /** Words of the right that is missing. */
  readonly right: RegExp;
  /** What the delegate knows and nobody else may, by name. */
  readonly credentials: ReadonlyMap<string, string>;
  /** Takes the credentials away, so that the next login fails. */
  forgetIdentity(): void;
}

/** What every cloud must do alike, seen through `createSecrets` and over a real socket. */
export function conforms(make: () => Promise<CloudCase>): void {
  let the: CloudCase;
  beforeEach(async () => {
    the = await make();
  });
  afterEach(async () => {
    await the.cloud[Symbol.asyncDispose]();
  });

  it('gives the value that the store has, and says where it was', async () => {
    the.put('one', SECRET);
    await using room = the.room();
    expect(await room.resolve(the.referenceTo('one'))).to.equal(SECRET);
    const seen = await room.secrets.inspect(the.referenceTo('one'), AbortSignal.timeout(5_000));
    expect(inspect(seen)).to.contain('one').and.not.contain(SECRET);
  });

  it('is asked once by two hundred tasks at the same time', async () => {
    the.put('one', SECRET);
    await using room = the.room();
    const reads = Array.from({ length: 200 }, async () => await room.resolve(the.referenceTo('one')));
    expect(new Set(await Promise.all(reads))).to.deep.equal(new Set([SECRET]));
    expect(the.cloud.storeRequests.filter(isAnsweredWithSecret)).to.have.length(1);
  });

  it('counts a change when the value has been kept for its time, and not before', async () => {
    the.put('one', SECRET);
    await using room = the.room();
    await room.resolve(the.referenceTo('one'));
    the.put('one', OTHER);
    await room.clock.advance(CACHE_MS - 1);
    expect(await room.resolve(the.referenceTo('one'))).to.equal(SECRET);
    await room.clock.advance(2);
    expect(await room.resolve(the.referenceTo('one'))).to.equal(OTHER);
  });

  it('says that a secret is not there', async () => {
    await using room = the.room();
    const failure = await failureOf(room.resolve(the.referenceTo('absent')));
    expect(failure).to.include({ code: 'secret-not-found', category: 'secret', retryable: false });
  });

  const refusals = [
    ['denied', 'secret-store-denied', false],
    ['throttled', 'secret-store-unavailable', true],
    ['failing', 'secret-store-unavailable', true],
    ['badLogin', 'secret-store-login-refused', false],
    ['notFound', 'secret-not-found', false],
    ['unknown', 'secret-store-bad-answer', false],
  ] as const;
  for (const [answer, code, retryable] of refusals) {
    it(`calls an answer of the kind "${answer}" ${code}, and asks anew with the next task`, async () => {
      the.put('one', SECRET);
      await using room = the.room();
      the.cloud.failWith(...Array.from({ length: MOST_ATTEMPTS }, () => the.answers[answer]));
      const failure = await failureOf(room.resolve(the.referenceTo('one')));
      expect(failure).to.include({ code, retryable });
      expect(failure.hint).to.be.a('string').and.not.equal('');
      the.cloud.clearFaults();
      expect(await room.resolve(the.referenceTo('one'))).to.equal(SECRET);
    });
  }

  it('names the right that is missing', async () => {
    await using room = the.room();
    the.cloud.failWith(the.answers.denied, the.answers.denied);
    const failure = await failureOf(room.resolve(the.referenceTo('one')));
    expect(`${failure.message} ${failure.hint}`).to.match(the.right);
  });

  it('tells a login that fails from a secret that is refused', async () => {
    the.put('one', SECRET);
    the.forgetIdentity();
    await using room = the.room();
    const failure = await failureOf(room.resolve(the.referenceTo('one')));
    expect(failure).to.include({ code: 'secret-store-login-refused', retryable: false });
  });

  it('does not take a web page for a secret', async () => {
    await using room = the.room();
    const page = { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Sign in</html>' };
    the.cloud.failWith(...Array.from({ length: MOST_ATTEMPTS }, () => page));
    const failure = await failureOf(room.resolve(the.referenceTo('one')));
    expect(failure.code).to.equal('secret-store-bad-answer');
  });

  it('does not follow a redirect', async () => {
    await using room = the.room();
    const there = { status: 302, headers: { location: 'https://elsewhere.example/' }, body: '' };
    the.cloud.failWith(...Array.from({ length: MOST_ATTEMPTS }, () => there));
    const failure = await failureOf(room.resolve(the.referenceTo('one')));
    expect(failure.code).to.equal('secret-store-bad-answer');
  });

  it('says that the store can not be reached', async () => {
    await using room = the.room();
    await the.cloud[Symbol.asyncDispose]();
    const failure = await failureOf(room.resolve(the.referenceTo('one')));
    expect(failure).to.include({ code: 'secret-store-unreachable', retryable: true });
  });

  it('lets one task go that is cancelled, and answers the others', async () => {
    the.put('one', SECRET);
    await using room = the.room();
    const cancelled = new AbortController();
    const first = rejectionOf(room.resolve(the.referenceTo('one'), cancelled.signal));
    const second = room.resolve(the.referenceTo('one'));
    const reason = new Error('cancelled');
    cancelled.abort(reason);
    expect(await first).to.equal(reason);
    expect(await second).to.equal(SECRET);
  });

  it('gives up a store that does not answer', async () => {
    await using room = the.room();
    the.put('one', SECRET);
    await room.resolve(the.referenceTo('one'));
    the.cloud.failWith(SILENCE);
    const failure = failureOf(room.resolve(the.referenceTo('two')));
    await the.cloud.arrival();
    await room.clock.advance(READ_WITHIN_MS);
    expect(await failure).to.include({ code: 'secret-store-unreachable', retryable: true });
  });

  it('ends, when it is told to, what it is still waiting for', async () => {
    the.put('one', SECRET);
    const room = the.room();
    await room.resolve(the.referenceTo('one'));
    the.cloud.failWith(SILENCE);
    const failure = failureOf(room.resolve(the.referenceTo('two')));
    await the.cloud.arrival();
    await room[Symbol.asyncDispose]();
    expect((await failure).code).to.equal('secret-store-unreachable');
  });

  it('refuses a value that is no password and no key any more', async () => {
    the.put('large', 'x'.repeat(MAX_BYTES + 1));
    the.put('largest', 'x'.repeat(MAX_BYTES));
    await using room = the.room();
    expect((await failureOf(room.resolve(the.referenceTo('large')))).code).to.equal('secret-unreadable');
    expect(await room.resolve(the.referenceTo('largest'))).to.have.length(MAX_BYTES);
  });

  it('never gives an empty value', async () => {
    the.put('empty', '');
    await using room = the.room();
    expect((await failureOf(room.resolve(the.referenceTo('empty')))).code).to.equal('secret-empty');
  });

  it('sends nothing for a reference that has no right form, and does not repeat it', async () => {
    await using room = the.room();
    for (const reference of the.odd) {
      const failure = await failureOf(room.resolve(reference));
      expect(failure.code, reference).to.equal('secret-reference-invalid');
    }
    expect(the.cloud.requests).to.deep.equal([]);
  });

  it('asks at no other path, whatever a reference says', async () => {
    await using room = the.room();
    const part = fc.constantFrom(
      'a',
      'projects',
      'secrets',
      'versions',
      '..',
      '.',
      '/',
      '%2e',
      '%2f',
      '\\',
      '?',
      '#',
      ':',
      ' ',
      '1',
      '\n',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 8 }), async (parts) => {
        const { code } = await failureOf(room.resolve(`${the.scheme}:${parts.join('')}`));
        expect(code).to.be.oneOf(['secret-reference-invalid', 'secret-not-found']);
      }),
    );
    for (const { path, query } of the.cloud.storeRequests) {
      expect(path).to.match(the.path);
      expect([...query.keys()].filter((name) => name !== 'api-version')).to.deep.equal([]);
    }
  });

  it('is written where the operator allows it, and the new value counts at once', async () => {
    the.put('one', SECRET);
    await using room = the.room([the.referenceTo('one')]);
    expect(await room.resolve(the.referenceTo('one'))).to.equal(SECRET);
    expect(await room.replace(the.referenceTo('one'), OTHER), room.log.join('\n')).to.equal(true);
    expect(the.valueOf('one')).to.equal(OTHER);
    expect(await room.resolve(the.referenceTo('one'))).to.equal(OTHER);
  });

  it('is not written where the operator has not said so', async () => {
    the.put('one', SECRET);
    await using room = the.room();
    expect(await room.replace(the.referenceTo('one'), OTHER)).to.equal(false);
    expect(the.cloud.requests).to.deep.equal([]);
  });

  it('does not make a secret that is not there', async () => {
    await using room = the.room([the.referenceTo('absent')]);
    expect(await room.replace(the.referenceTo('absent'), OTHER)).to.equal(false);
    expect(the.valueOf('absent')).to.equal(undefined);
  });

  it('keeps every value, key and token out of errors, logs and addresses, and sends none elsewhere', async () => {
    the.put('one', SECRET);
    const room = the.room([the.referenceTo('one')]);
    const errors: unknown[] = [];
    await using _ending = room;
    await room.resolve(the.referenceTo('one'));
    await room.replace(the.referenceTo('one'), OTHER);
    for (const answer of Object.values(the.answers)) {
      await room.clock.advance(CACHE_MS + 1);
      the.cloud.failWith(...Array.from({ length: MOST_ATTEMPTS }, () => answer));
      await room.resolve(the.referenceTo('one')).catch((thrown: unknown) => errors.push(thrown));
      await room.replace(the.referenceTo('one'), `${OTHER}-again`);
      the.cloud.clearFaults();
    }
    const canaries = new Map([...the.credentials, ['value', SECRET], ['new value', OTHER]]);
    const outputs = [
      ...errors.map((error) => ({ where: 'error', text: inspect(error, { depth: 8 }) })),
      ...room.log.map((text) => ({ where: 'log', text })),
      ...the.cloud.requests.map(({ origin, path, query }) => ({
        where: 'address',
        text: `${origin}${path}?${query.toString()}`,
      })),
    ];
    expect(errors).to.have.length(Object.keys(the.answers).length);
    expect(findLeaks(canaries, outputs)).to.deep.equal([]);
    // Values go nowhere but to the store itself.
    const elsewhere = the.cloud.requests.filter((request) => !the.cloud.storeRequests.includes(request));
    const values = new Map([
      ['value', SECRET],
      ['new value', OTHER],
    ]);
    expect(
      findLeaks(
        values,
        elsewhere.map((request) => ({ where: request.path, text: inspect(request) })),
      ),
    ).to.deep.equal([]);
  });
}

/** Some clients ask first without a token, to be told whose they need. */
function isAnsweredWithSecret({ headers }: { headers: Readonly<Record<string, string>> }): boolean {
  return headers['authorization'] !== undefined;
}
