import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { calculateJwkThumbprint } from 'jose';
import { pino } from 'pino';
import { z } from 'zod';
import type { Credentials } from '../../../src/delegate/connection/credentials.ts';
import { KeyRotation, LOOK_EVERY_MS } from '../../../src/delegate/connection/key-rotation.ts';
import { rotationRequest } from '../../../src/delegate/state/rotation-request.ts';
import { keptSecretsKeyFrom, stateKeyFrom } from '../../../src/delegate/state/state-key.ts';
import type { HttpSend } from '../../../src/kit/http-exchange.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { createMemoryStore } from '../../../src/manager/store.ts';
import { withKeyInUse } from '../../../src/manager/key-rotation.ts';
import { Enrolment } from '../../../src/manager/enrolment.ts';
import { judgeConnectToken, ReplayCache } from '../../../src/manager/connect-token.ts';
import { WRITE_STEPS, watchedCalls } from '../../kit/write-steps.ts';
import { managersUnderTest } from '../../manager/support/manager-under-test.ts';
import { failureOf } from '../../support/failure.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { plainSend } from '../plain-send.ts';
import { credentialsIn } from '../state/credentials.ts';

const ROTATOR = fileURLToPath(new URL('../state/rotation-process.ts', import.meta.url));
const never = new AbortController().signal;
/** Two writes of two copies. */
const STEPS = 4 * WRITE_STEPS.length;

describe("the change of a delegate's key", () => {
  const newManager = managersUnderTest();
  const tempDir = tempDirs();
  leavesNothingOpen();

  /** A state folder of an enrolled delegate, and a manager that knows it. */
  async function enrolled() {
    const store = createMemoryStore();
    const { manager } = await newManager({ store });
    const stateDir = await tempDir();
    const enrolmentToken = manager.createEnrolmentToken().value;
    const credentials = credentialsIn(stateDir, manager.url, { enrolmentToken });
    await credentials.load();
    await credentials.enrol(never);
    return { manager, store, stateDir, credentials };
  }

  type World = Awaited<ReturnType<typeof enrolled>>;

  /** As the manager judges the next connect; what it learns from one that it admits is in its store. */
  async function connects({ manager, store }: Pick<World, 'manager' | 'store'>, credentials: Credentials) {
    const { enrolment } = credentials;
    if (enrolment === undefined) throw new Error('it is enrolled');
    const keys = new Enrolment(store, systemClock);
    const judgement = await judgeConnectToken(await credentials.connectToken(enrolment), {
      audiences: [manager.url],
      delegateByThumbprint: (thumbprint) => keys.delegateByThumbprint(thumbprint),
      seen: new ReplayCache(store.seenTokens),
      clock: systemClock,
    });
    return judgement;
  }

  /** Tries as the connection does: with the other key after a refusal. True if one was admitted. */
  async function reaches(
    world: Pick<World, 'manager' | 'store'>,
    credentials: Credentials,
  ): Promise<boolean> {
    for (const _ of [1, 2]) {
      if ((await connects(world, credentials)).kind === 'admitted') return true;
      credentials.refused('enrol-again');
    }
    return false;
  }

  /** A session with the present key, as far as the manager's store and the delegate's memory go. */
  async function opens(world: Pick<World, 'manager' | 'store'>, credentials: Credentials): Promise<void> {
    const judgement = await connects(world, credentials);
    if (judgement.kind !== 'admitted') throw new Error(judgement.message);
    const { delegate, keyId } = judgement;
    world.store.delegates.put(delegate.delegateId, withKeyInUse(delegate, keyId));
    credentials.accepted();
  }

  it('is accepted by the manager, which knows both until the new one has connected', async () => {
    const world = await enrolled();
    const { credentials } = world;
    const before = credentials.identity.keyId;
    expect(await credentials.rotate(never)).to.equal('rotated');
    expect(credentials.identity.keyId).not.to.equal(before);
    expect(credentials.identity.previousKey?.keyId).to.equal(before);
    expect(await connects(world, credentials)).to.deep.include({
      kind: 'admitted',
      keyId: credentials.identity.keyId,
    });
    credentials.refused('enrol-again');
    expect(await connects(world, credentials)).to.deep.include({ kind: 'admitted', keyId: before });
  });

  it('leaves what lies in the state folder readable', async () => {
    const world = await enrolled();
    const { credentials, manager, stateDir } = world;
    const keysNow = () => {
      const source = { operatorKey: undefined, identityKey: credentials.identity.stateKey };
      return [stateKeyFrom({ ...source, managerUrl: manager.url }), keptSecretsKeyFrom(source)];
    };
    const before = keysNow();
    for (const _ of [1, 2]) {
      await credentials.rotate(never);
      await opens(world, credentials);
      expect(await credentials.settle()).to.equal('replaced');
    }
    expect(keysNow()).to.deep.equal(before);
    const again = credentialsIn(stateDir, manager.url);
    await again.load();
    expect(again.identity.stateKey.equals(credentials.identity.stateKey)).to.equal(true);
  });

  it('is the same change when it is asked for again after the answer was lost', async () => {
    const world = await enrolled();
    const { stateDir, manager } = world;
    const losing: HttpSend = async (request) => {
      await plainSend(request);
      throw new Error('the answer is lost');
    };
    const first = credentialsIn(stateDir, manager.url, { send: losing });
    await first.load();
    await failureOf(first.rotate(never)).catch(() => {});
    const { nextKey } = first.identity;
    const second = credentialsIn(stateDir, manager.url);
    await second.load();
    expect(await reaches(world, second)).to.equal(true);
    await second.rotate(never);
    expect(second.identity.keyId).to.equal(nextKey?.keyId);
    expect(await reaches(world, second)).to.equal(true);
  });

  it('makes the old key useless from the first session with the new one', async () => {
    const world = await enrolled();
    const { credentials, stateDir, manager } = world;
    const stolen = await tempDir();
    await cp(stateDir, stolen, { recursive: true });
    await credentials.rotate(never);
    await opens(world, credentials);
    const thief = credentialsIn(stolen, manager.url);
    await thief.load();
    expect(await connects(world, thief)).to.include({ kind: 'refused', status: 401 });
    expect((await failureOf(thief.rotate(never))).status).to.equal(401);
  });

  it('goes back, on the disk, when the manager has forgotten the new key', async () => {
    const world = await enrolled();
    const { credentials, store, stateDir, manager } = world;
    const [record] = store.delegates.values();
    const before = credentials.identity.keyId;
    await credentials.rotate(never);
    if (record !== undefined) store.delegates.put(record.delegateId, record);
    expect((await connects(world, credentials)).kind).to.equal('refused');
    credentials.refused('enrol-again');
    expect((await connects(world, credentials)).kind).to.equal('admitted');
    credentials.accepted();
    expect(await credentials.settle()).to.equal('went-back');
    const again = credentialsIn(stateDir, manager.url);
    await again.load();
    expect(again.identity.keyId).to.equal(before);
    expect(again.identity.previousKey).to.equal(undefined);
    expect(await again.settle()).to.equal('settled');
  });

  it('is not taken for unknown when a connect that began before it is accepted, with the old key', async () => {
    const { credentials } = await enrolled();
    const { enrolment, identity: before } = credentials;
    if (enrolment === undefined) throw new Error('it is enrolled');
    await credentials.connectToken(enrolment);
    await credentials.rotate(never);
    credentials.accepted();
    expect(await credentials.settle()).to.equal('open');
    expect(credentials.identity.previousKey?.keyId).to.equal(before.keyId);
  });

  it('leaves the age of a key that it went back to, so that it is soon due again', async () => {
    const clock = new ManualClock();
    const { stateDir, manager } = await enrolled();
    const credentials = credentialsIn(stateDir, manager.url, { clock });
    await credentials.load();
    expect(await credentials.keyAgeMs()).to.equal(0);
    await clock.advance(1_000);
    const { enrolment } = credentials;
    if (enrolment === undefined) throw new Error('it is enrolled');
    const send: HttpSend = ({ body = '' }) => {
      const { x } = z.object({ publicKey: z.object({ x: z.string() }) }).parse(JSON.parse(body)).publicKey;
      return calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x }).then((keyId) => ({
        status: 200,
        headers: {},
        body: JSON.stringify({ keyId }),
      }));
    };
    const forgetful = credentialsIn(stateDir, manager.url, { clock, send });
    await forgetful.load();
    await forgetful.rotate(never);
    await forgetful.connectToken(enrolment);
    forgetful.refused('enrol-again');
    await forgetful.connectToken(enrolment);
    forgetful.accepted();
    expect(await forgetful.settle()).to.equal('went-back');
    expect(await forgetful.keyAgeMs()).to.equal(1_000);
  });

  it('keeps both keys for as long as the manager has accepted neither', async () => {
    const { credentials } = await enrolled();
    await credentials.rotate(never);
    expect(await credentials.settle()).to.equal('open');
    expect(credentials.identity.previousKey).not.to.equal(undefined);
  });

  for (const code of ['ENOSPC', 'EROFS', 'EIO']) {
    it(`strands nobody when the disk refuses (${code}) any one of its steps`, async () => {
      const world = await enrolled();
      const { stateDir, manager } = world;
      for (let fatal = 1; fatal <= STEPS; fatal += 1) {
        const copy = await tempDir();
        await cp(stateDir, copy, { recursive: true });
        let steps = 0;
        let armed = false;
        const calls = watchedCalls(() => {
          if (armed) steps += 1;
          if (steps === fatal) throw Object.assign(new Error('made by a test'), { code });
        });
        const struck = credentialsIn(copy, manager.url, { calls });
        await struck.load();
        armed = true;
        await struck.rotate(never).catch(() => {});
        armed = false;
        steps = 0;
        expect(await reaches(world, struck), `alive after step ${fatal}`).to.equal(true);
        const next = credentialsIn(copy, manager.url);
        await next.load();
        expect(await reaches(world, next), `started again after step ${fatal}`).to.equal(true);
      }
    });
  }

  it('strands nobody when the process is killed at any moment', async () => {
    const world = await enrolled();
    const { stateDir, manager } = world;
    // Around each rename and each request; what lies between them is as good as before or after.
    const fatal = [3, 7, 12, 18, 23, 27, 33, 39];
    const killed = async (step: number): Promise<void> => {
      const copy = await tempDir();
      await cp(stateDir, copy, { recursive: true });
      const rotator = fork(ROTATOR, [copy, manager.url, String(step)], { execArgv: ['--import', 'tsx'] });
      const [, signal] = await once(rotator, 'close');
      expect(signal).to.equal('SIGKILL');
      const next = credentialsIn(copy, manager.url);
      await next.load();
      expect(await reaches(world, next), `killed at step ${step}`).to.equal(true);
    };
    while (fatal.length > 0) await Promise.all(fatal.splice(0, 2).map(killed));
  }).timeout(30_000);

  it('shows its keys to nobody, in no file but the identity and in no request', async () => {
    const { manager, stateDir } = await enrolled();
    const sent: string[] = [];
    const listening: HttpSend = async (request) => {
      sent.push(JSON.stringify({ ...request, url: request.url.href, signal: undefined }));
      return await plainSend(request);
    };
    const redactor = new Redactor();
    const lines: string[] = [];
    const log = pino({ level: 'trace' }, { write: (line) => void lines.push(line) });
    const credentials = credentialsIn(stateDir, manager.url, { send: listening, redactor, log });
    await credentials.load();
    await credentials.rotate(never);
    const { privateKey, previousKey, stateKey } = credentials.identity;
    for (const key of [privateKey, previousKey?.privateKey, stateKey]) {
      const d = key?.export({ format: 'jwk' }).d ?? '';
      expect(redactor.scrub(`a ${d} b`)).to.equal('a [secret] b');
      expect([...sent, ...lines].join('\n')).not.to.include(d);
    }
    const kept = await readFile(join(stateDir, 'identity.json'), 'utf8');
    expect(kept).to.include(privateKey.export({ format: 'jwk' }).d);
  });

  describe('when it is due', () => {
    const clock = new ManualClock();
    const silent = pino({ level: 'silent' });

    function rotationOf(changes: {
      ageMs?: number;
      settled?: Awaited<ReturnType<Credentials['settle']>>;
      answer?: () => Promise<'rotated' | 'unsupported'>;
      asked?: boolean;
    }) {
      let rotations = 0;
      let moves = 0;
      let changed = 0;
      let asked = changes.asked ?? false;
      const rotation = new KeyRotation({
        credentials: {
          settle: () => Promise.resolve(changes.settled ?? 'settled'),
          keyAgeMs: () => Promise.resolve(changes.ageMs ?? 0),
          rotate: async () => {
            rotations += 1;
            return await (changes.answer?.() ?? Promise.resolve('rotated' as const));
          },
        },
        request: {
          make: () => Promise.resolve(),
          isThere: () => Promise.resolve(asked),
          remove: () => Promise.resolve(void (asked = false)),
        },
        maxAgeMs: 90,
        changed: () => void (changed += 1),
        move: () => void (moves += 1),
        clock,
        log: silent,
      });
      return { rotation, counts: () => ({ rotations, moves, changes: changed }), isAsked: () => asked };
    }

    /** Looks at once and at each hour, as often as the test says. */
    async function looked(changes: Parameters<typeof rotationOf>[0], hours = 0) {
      const { rotation, counts } = rotationOf(changes);
      rotation.begin();
      for (let hour = 0; hour < hours; hour += 1) await clock.advance(LOOK_EVERY_MS);
      await rotation[Symbol.asyncDispose]();
      return counts();
    }

    it('is made when the key is too old, and the session moves', async () => {
      expect(await looked({ ageMs: 90 })).to.include({ rotations: 1, moves: 1, changes: 1 });
    });

    it('is made when the operator has asked for it', async () => {
      expect(await looked({ asked: true })).to.include({ rotations: 1, moves: 1, changes: 1 });
    });

    it('is not made before, nor while the last one is not through', async () => {
      expect(await looked({ ageMs: 89 }, 3)).to.include({ rotations: 0, moves: 0 });
      expect(await looked({ ageMs: 90, settled: 'open' }, 3)).to.include({ rotations: 0 });
      expect(await looked({ ageMs: 90, settled: 'went-back' }, 3)).to.include({ rotations: 0, moves: 0 });
    });

    it('moves a session that began before it', async () => {
      expect(await looked({ settled: 'open' })).to.include({ rotations: 0, moves: 1, changes: 0 });
    });

    it('tells of the key that is in use again when the manager did not know the other', async () => {
      expect(await looked({ settled: 'went-back' })).to.include({ changes: 1 });
    });

    it('grants a wish when the manager has accepted the new key, and not before', async () => {
      for (const settled of ['settled', 'open', 'went-back', 'replaced'] as const) {
        const { rotation, isAsked } = rotationOf({ asked: true, settled });
        rotation.begin();
        await rotation[Symbol.asyncDispose]();
        expect(isAsked(), settled).to.equal(settled !== 'replaced');
      }
    });

    it('is asked for once a day of a manager that does not know it', async () => {
      const answer = () => Promise.resolve('unsupported' as const);
      expect(await looked({ ageMs: 90, answer }, 23)).to.include({ rotations: 1, moves: 0 });
      expect(await looked({ ageMs: 90, answer }, 25)).to.include({ rotations: 2, moves: 0 });
    });

    it('is tried again at the next look when it failed', async () => {
      const answer = () => Promise.reject(new Error('the network'));
      expect(await looked({ ageMs: 90, answer }, 2)).to.include({ rotations: 3, moves: 0 });
    });
  });

  it('is asked for by a file that goes away with it', async () => {
    const request = rotationRequest(await tempDir());
    expect(await request.isThere()).to.equal(false);
    await request.make();
    await request.make();
    expect(await request.isThere()).to.equal(true);
    await request.remove();
    expect(await request.isThere()).to.equal(false);
    const nowhere = rotationRequest(join(await tempDir(), 'not-there'));
    expect((await failureOf(nowhere.make())).code).to.equal('state-folder-unusable');
  });

  const noRoute: [status: number, outcome: string][] = [
    [404, 'unsupported'],
    [405, 'unsupported'],
    [501, 'unsupported'],
    [401, 'key-rotation-refused'],
    [500, 'key-rotation-refused'],
    [403, 'forbidden'],
    [200, 'key-rotation-refused'],
  ];
  for (const [status, outcome] of noRoute) {
    it(`changes nothing when the manager answers ${status}`, async () => {
      const { manager, stateDir } = await enrolled();
      const send: HttpSend = () => Promise.resolve({ status, headers: {}, body: '{}' });
      const credentials = credentialsIn(stateDir, manager.url, { send });
      await credentials.load();
      const before = credentials.identity.keyId;
      const rotated = outcome === 'unsupported' ? await credentials.rotate(never) : undefined;
      if (rotated === undefined) expect((await failureOf(credentials.rotate(never))).code).to.equal(outcome);
      else expect(rotated).to.equal(outcome);
      expect(credentials.identity.keyId).to.equal(before);
    });
  }
});
