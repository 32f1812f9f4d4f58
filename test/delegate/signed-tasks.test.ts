import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { expect } from 'chai';
import { pino } from 'pino';
import { MAX_REMEMBERED_ENDED } from '../../src/delegate/journal/ended-attempts.ts';
import { openJournal } from '../../src/delegate/journal/file-journal.ts';
import { ed25519PublicJwkSchema } from '../../src/protocol/enrolment.ts';
import type { TaskAssign } from '../../src/protocol/messages.ts';
import { inputHash } from '../../src/protocol/task-signature.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { MemoryTransport } from '../support/memory-transport.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';
import { assignOf, resultOf } from './frames.ts';
import { FaultyFolder } from './journal/faulty-folder.ts';
import { Room } from './room.ts';

const NOW_MS = Date.UTC(2026, 10, 23, 13, 10, 35);
const KEY = randomBytes(32);
const pair = generateKeyPairSync('ed25519');
const publicJwk = ed25519PublicJwkSchema.parse(pair.publicKey.export({ format: 'jwk' }));

/** An assign as the manager signs it, at a time of the wall clock. */
function signed(taskId: string, attempt: number, atMs: number, lifeS = 300): TaskAssign {
  const assign = assignOf({ taskId, attempt });
  const { name, version, input } = assign;
  const iat = atMs / 1_000;
  const delegateId = resultOf().delegate.id;
  const claims = {
    taskId,
    attempt,
    name,
    version,
    delegateId,
    inputHash: inputHash(input),
    iat,
    exp: iat + lifeS,
  };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'EdDSA' })}.${part(claims)}`;
  const key = createPrivateKey({ key: pair.privateKey.export({ format: 'jwk' }), format: 'jwk' });
  return { ...assign, signature: `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}` };
}

/** One disk, one machine, one delegate after the other; each ends as in a crash. */
class House {
  readonly folder = new FaultyFolder();

  async next(nowMs: number, key = KEY): Promise<{ transport: MemoryTransport; clock: ManualClock }> {
    const clock = new ManualClock(nowMs);
    const log = pino({ level: 'silent' });
    const journal = await openJournal({ folder: this.folder, key, clock, log });
    const { id: delegateId } = resultOf().delegate;
    const signatureRules = () => Promise.resolve({ keys: [publicJwk], required: true, delegateId });
    const room = new Room({ clock, journal, signatureRules });
    await room.recovered;
    const { transport } = await room.open();
    return { transport, clock };
  }
}

/** What comes of an assign: how it ended, or why it was not taken. An acknowledged result is forgotten. */
async function fateOf(transport: MemoryTransport, assign: TaskAssign): Promise<string> {
  const seen = transport.sentOf('task.result').length;
  const refused = transport.sentOf('task.reject').length;
  transport.arrive(assign);
  await until(
    'an answer',
    () => transport.sentOf('task.result').length > seen || transport.sentOf('task.reject').length > refused,
  );
  const reject = transport.sentOf('task.reject')[refused];
  if (reject !== undefined) return `${reject.code}: ${reject.message}`;
  const { taskId, attempt } = assign;
  transport.arrive({ type: 'result.ack', taskId, attempt });
  return transport.sentOf('task.result')[seen]?.outcome ?? '';
}

const USED = /^bad-signature: The signature was used before/;

describe('a signed task', () => {
  leavesNothingOpen();

  /** So many others that the journal has forgotten the first by its name. */
  async function forgets(transport: MemoryTransport, nowMs: number): Promise<void> {
    for (let n = 0; n <= MAX_REMEMBERED_ENDED; n += 1) {
      expect(await fateOf(transport, signed(`other-${n}`, 1, nowMs))).to.equal('succeeded');
    }
  }

  it('is not run again when its frame is sent again: not after a thousand others, not after a crash', async () => {
    const house = new House();
    const before = await house.next(NOW_MS);
    const order = signed('t-1', 1, NOW_MS);
    expect(await fateOf(before.transport, order)).to.equal('succeeded');
    expect(await fateOf(before.transport, order)).to.match(/^stale-attempt/);
    await forgets(before.transport, NOW_MS);
    expect(await fateOf(before.transport, order)).to.match(USED);

    const after = await house.next(NOW_MS + 1_000);
    expect(await fateOf(after.transport, order)).to.match(USED);
    // Each start compacts: what is left is what the compaction before it has kept.
    house.folder.cutPower();
    const last = await house.next(NOW_MS + 2_000);
    expect(await fateOf(last.transport, order)).to.match(USED);
    expect(await fateOf(last.transport, signed('t-1', 2, NOW_MS))).to.equal('succeeded');
  }).timeout(10_000);

  it('is not run again when the clock is set back, whether or not it was taken before', async () => {
    const house = new House();
    const before = await house.next(NOW_MS);
    const [taken, kept] = [signed('t-1', 1, NOW_MS), signed('t-2', 1, NOW_MS)];
    expect(await fateOf(before.transport, taken)).to.equal('succeeded');
    const hourLater = await house.next(NOW_MS + 3_600_000);
    expect(await fateOf(hourLater.transport, taken)).to.match(/stale-attempt|has expired/);
    expect(await fateOf(hourLater.transport, signed('t-3', 1, NOW_MS + 3_600_000))).to.equal('succeeded');
    const setBack = await house.next(NOW_MS);
    expect(await fateOf(setBack.transport, kept)).to.match(/^bad-signature: .*all that it has seen/);
    expect(await fateOf(setBack.transport, signed('t-4', 1, NOW_MS + 3_600_000))).to.equal('succeeded');
  });

  it('is taken again when a clock that was far ahead is set right', async () => {
    const house = new House();
    const ahead = await house.next(NOW_MS + 1_000 * 86_400_000);
    expect(await fateOf(ahead.transport, signed('t-1', 1, NOW_MS))).to.match(/has expired/);
    const right = await house.next(NOW_MS);
    expect(await fateOf(right.transport, signed('t-1', 1, NOW_MS))).to.equal('succeeded');
  });

  it('that was signed before the journal was lost is not run; one that is signed after it is', async () => {
    const house = new House();
    const before = await house.next(NOW_MS);
    const order = signed('t-1', 1, NOW_MS);
    expect(await fateOf(before.transport, order)).to.equal('succeeded');
    const otherKey = randomBytes(32);
    const after = await house.next(NOW_MS + 1_000, otherKey);
    expect(await fateOf(after.transport, order)).to.match(/loss of the journal/);
    const later = await house.next(NOW_MS + 62_000, otherKey);
    expect(await fateOf(later.transport, order)).to.match(/loss of the journal/);
    expect(await fateOf(later.transport, signed('t-2', 1, NOW_MS + 62_000))).to.equal('succeeded');
  });
});
