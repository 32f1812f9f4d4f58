import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { z } from 'zod';
import { Secret } from '../kit/secret.ts';
import { toTimestamp, type Clock } from '../kit/time.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk } from '../protocol/enrolment.ts';
import { TASK_SIGNING_KEYS_TYPE } from '../protocol/limits.ts';
import type { Json, TaskAssign } from '../protocol/messages.ts';
import { inputHash, type TaskSignatureClaims } from '../protocol/task-signature.ts';
import type { TaskSigningKeysClaims } from '../protocol/task-signing-keys.ts';
import { managerError } from './errors.ts';
import type { KeySetStatement, ManagerStore, SigningKeyRecord } from './store.ts';

/** From the offer to the delegate's check: transit and clock skew, not the task's own time. */
const SIGNATURE_LIFE_S = 300;

/** Keys that one set may name (PROTOCOL.md, section 8.2); retired ones are remembered as long. */
const MAX_KEYS = 16;

export interface TaskSigner {
  /** Handed out at enrolment. */
  readonly published: { readonly keys: readonly Ed25519PublicJwk[]; readonly sequence?: number };
  /** All keys, retired ones included, in the order in which they were made. */
  readonly records: readonly SigningKeyRecord[];
  /**
   * Every change of the published keys that is remembered, oldest first. Each is signed by a key of the set before, so
   * that a delegate which was away for several follows them one by one.
   */
  statements(): string[];
  /**
   * Publishes another key beside those that are. It signs nothing until those before it are retired: by then every
   * delegate that is connected knows it.
   *
   * @throws DelegateError `too-many-signing-keys`
   */
  add(): Promise<KeySetStatement>;
  /**
   * Takes a key out of the published ones and forgets its private half. Undefined if there is no such key among them.
   *
   * @throws DelegateError `last-signing-key`
   */
  retire(kid: string): KeySetStatement | undefined;
  /** @throws DelegateError `input-not-canonical`: such an input can't be signed for anyone */
  assertSignable(input: Json): void;
  /** Compact JWS for `task.assign.signature` (PROTOCOL.md, section 5). */
  sign(assign: Omit<TaskAssign, 'type' | 'signature'>, delegateId: string): string;
}

interface PublishedKey {
  readonly record: SigningKeyRecord;
  readonly privateKey: KeyObject;
}

/** Signs with the stored keys, or makes one: a delegate trusts the keys of its enrolment across our restarts. */
export async function openTaskSigner(store: ManagerStore, clock: Clock): Promise<TaskSigner> {
  const { signingKeys } = store;
  if (published(store).length === 0) {
    const first = await createSigningKey();
    signingKeys.put(first.kid, first);
  }
  /** The oldest: who knows any of the published keys knows that one. */
  const signing = (): PublishedKey => {
    const [oldest] = published(store);
    if (oldest === undefined) throw new TypeError('there is always a published key');
    return oldest;
  };
  const statement = (keys: readonly SigningKeyRecord[], by: PublishedKey): KeySetStatement => {
    const now = clock.now();
    const sequence = (statementsOf(store).at(-1)?.sequence ?? 0) + 1;
    const claims: TaskSigningKeysClaims = {
      keys: keys.map(({ publicKey }) => publicKey),
      sequence,
      iat: Math.floor(now / 1_000),
    };
    return { sequence, at: toTimestamp(now), signed: compactJws(TASK_SIGNING_KEYS_TYPE, claims, by) };
  };
  return {
    get published() {
      const keys = published(store).map(({ record }) => record.publicKey);
      const sequence = statementsOf(store).at(-1)?.sequence;
      return { keys, ...(sequence === undefined ? {} : { sequence }) };
    },
    get records() {
      return [...signingKeys.values()];
    },
    statements: () => statementsOf(store).map(({ signed }) => signed),
    async add() {
      const made = await createSigningKey();
      const known = published(store).map(({ record }) => record);
      if (known.length >= MAX_KEYS) {
        throw managerError('too-many-signing-keys', `There are ${MAX_KEYS} task-signing keys already.`);
      }
      const added = statement([...known, made], signing());
      signingKeys.put(made.kid, { ...made, added });
      return added;
    },
    retire(kid) {
      const known = published(store);
      const retiring = known.find(({ record }) => record.kid === kid);
      if (retiring === undefined) return undefined;
      const rest = known.filter((one) => one !== retiring);
      const [successor] = rest;
      if (successor === undefined) {
        throw managerError('last-signing-key', `The key ${kid} is the only task-signing key.`);
      }
      // By one that stays: the one that leaves may leave because somebody else has it.
      const retired = statement(
        rest.map(({ record }) => record),
        successor,
      );
      signingKeys.put(kid, { ...retiring.record, privateKey: undefined, retired });
      const gone = [...signingKeys.values()].filter((record) => record.retired !== undefined);
      for (const { kid: oldest } of gone.slice(0, -MAX_KEYS)) signingKeys.delete(oldest);
      return retired;
    },
    assertSignable: (input) => {
      inputHash(input);
    },
    sign({ taskId, attempt, name, version, input }, delegateId) {
      const iat = Math.floor(clock.now() / 1000);
      const claims: TaskSignatureClaims = {
        taskId,
        attempt,
        name,
        version,
        delegateId,
        inputHash: inputHash(input),
        iat,
        exp: iat + SIGNATURE_LIFE_S,
      };
      return compactJws(undefined, claims, signing());
    },
  };
}

/** In the order in which they were made. */
function published({ signingKeys }: ManagerStore): PublishedKey[] {
  return [...signingKeys.values()].flatMap((record) =>
    record.privateKey === undefined ? [] : [{ record, privateKey: readPrivateKey(record.privateKey) }],
  );
}

function statementsOf({ signingKeys }: ManagerStore): KeySetStatement[] {
  return [...signingKeys.values()]
    .flatMap(({ added, retired }) => [added, retired])
    .filter((one) => one !== undefined)
    .sort((a, b) => a.sequence - b.sequence);
}

/**
 * RFC 7515, section 7.1. By Node rather than jose because jose signs asynchronously: between the choice of a
 * delegate and the frame no other event may come.
 */
function compactJws(typ: string | undefined, claims: object, { record, privateKey }: PublishedKey): string {
  const header = { alg: 'EdDSA', kid: record.kid, ...(typ === undefined ? {} : { typ }) };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signingInput = `${part(header)}.${part(claims)}`;
  return `${signingInput}.${sign(null, Buffer.from(signingInput), privateKey).toString('base64url')}`;
}

async function createSigningKey(): Promise<SigningKeyRecord> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { kty, crv, x } = ed25519PublicJwkSchema.parse(publicKey.export({ format: 'jwk' }));
  const kid = await calculateJwkThumbprint({ kty, crv, x });
  return {
    kid,
    publicKey: { kty, crv, x, kid, alg: 'EdDSA', use: 'sig' },
    privateKey: new Secret(JSON.stringify(privateKey.export({ format: 'jwk' }))),
  };
}

const privateJwkSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
});

function readPrivateKey(secret: Secret): KeyObject {
  const jwk = privateJwkSchema.parse(JSON.parse(secret.reveal()));
  return createPrivateKey({ key: jwk, format: 'jwk' });
}
