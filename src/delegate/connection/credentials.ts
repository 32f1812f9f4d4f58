import { isDeepStrictEqual } from 'node:util';
import { fileCalls, type FileCalls } from '../../kit/durable-file.ts';
import { wrap } from '../../kit/errors.ts';
import { ended } from '../../kit/flow.ts';
import type { HttpSend } from '../../kit/http-exchange.ts';
import type { Redactor, Secret } from '../../kit/secret.ts';
import type { Clock } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Ed25519PublicJwk } from '../../protocol/enrolment.ts';
import { delegateError } from '../errors.ts';
import {
  loadIdentity,
  newKey,
  saveEnrolment,
  saveIdentity,
  signConnectToken,
  type Enrolment,
  type Identity,
  type IdentityKey,
} from '../state/identity.ts';
import { enrol } from './enrol.ts';
import { ManagerRefusal } from './manager-refusal.ts';
import { requestKeyChange } from './rotate-key.ts';
import { judgeKeySet } from './signing-key-set.ts';

/** Connect tokens refused in a row (401 or 4401), each a new one, before the identity itself is taken for unknown. */
const REFUSED_BEFORE_ENROLLING = 2;

/** A value is for one enrolment, and is let go of behind it. A reader is asked each time, so that nothing is kept. */
export type EnrolmentToken = Secret | (() => Secret | undefined) | undefined;

export interface CredentialsOptions {
  readonly managerUrl: string;
  readonly stateDir: string;
  readonly name: string;
  readonly version: string;
  readonly enrolmentToken: EnrolmentToken;
  readonly send: HttpSend;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly log: Logger;
  readonly calls?: FileCalls;
}

/**
 * Who this delegate is to its manager, and with what it proves that. The one place that changes the identity's file.
 *
 * A key is replaced in steps, each on the disk before the next, so that wherever the process ends the manager accepts
 * a key that is in the file:
 *
 *   key ──► key, next ──(manager accepts both)──► next, previous ──(session with it: manager forgets the old)──► next
 *               ▲                                      │
 *               └──── 401: the manager does not know it, and was reached with the previous one
 */
export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #protect: (value: string) => unknown;
  #enrolmentToken: EnrolmentToken;
  #identity: Identity | undefined;
  #connectsRefused = 0;
  /** What the last token was signed with, if it was made since the last change of keys, and the last one accepted. */
  #tokenKeyId: string | undefined;
  #acceptedKeyId: string | undefined;
  /** The next token is by the previous key, because the manager has refused the present one. */
  #fallsBack = false;
  /** The manager's clock less this machine's, milliseconds, as far as it was the reason of a refusal. */
  #managerAheadMs = 0;
  #changing: Promise<void> = Promise.resolve();

  constructor(options: CredentialsOptions) {
    this.#options = options;
    this.#enrolmentToken = options.enrolmentToken;
    this.#protect = (value) => options.redactor.register(value, { pinned: true, origins: [] });
  }

  /** To be called once, when the state folder is this process's own. Rejects with `identity-unusable`. */
  async load(): Promise<Identity> {
    const { stateDir, log, calls = fileCalls } = this.#options;
    this.#identity = await loadIdentity(stateDir, this.#protect, log, calls);
    // Trying again can't bring a token that nobody gave.
    if (this.enrolment === undefined && this.#token() === undefined) throw this.#noToken();
    return this.#identity;
  }

  get identity(): Identity {
    if (this.#identity === undefined) throw new Error('the identity is used before it was loaded');
    return this.#identity;
  }

  /** Undefined before the first enrolment with the manager that is configured now. */
  get enrolment(): Enrolment | undefined {
    const enrolment = this.#identity?.enrolment;
    return enrolment?.managerUrl === this.#options.managerUrl ? enrolment : undefined;
  }

  /** Those that the manager gave. */
  get taskSigningKeys(): readonly Ed25519PublicJwk[] {
    return this.#identity?.enrolment?.taskSigningKeys ?? [];
  }

  /** The key's public name, and since when it is the key, milliseconds since the epoch; undefined before it is loaded. */
  get key(): { readonly id: string; readonly sinceMs: number | undefined } | undefined {
    const identity = this.#identity;
    return identity && { id: identity.keyId, sinceMs: identity.keySinceMs };
  }

  /** By how much the next token's time will differ from this machine's, milliseconds. */
  get tokenAheadMs(): number {
    return this.#managerAheadMs;
  }

  /** Whether it would take an enrolment to connect. */
  get mustEnrol(): boolean {
    if (this.enrolment === undefined) return true;
    return this.#connectsRefused >= REFUSED_BEFORE_ENROLLING && this.#token() !== undefined;
  }

  /** @returns what the manager calls this delegate */
  async enrol(signal: AbortSignal): Promise<string> {
    const { managerUrl, name, version, send, stateDir, clock, log } = this.#options;
    const token = this.#token();
    if (token === undefined) throw this.#noToken();
    // Before the answer: a token that is used up must not keep away an identity that the manager knows again.
    this.#connectsRefused = 0;
    const { instanceId, publicJwk } = this.identity;
    const request = { name, instanceId, publicKey: publicJwk, version };
    const response = await enrol(send, managerUrl, token, request, clock, signal);
    const trusted = this.enrolment?.taskSigningKeys;
    await this.#change((identity) => saveEnrolment(stateDir, identity, managerUrl, response, log));
    log.info({ delegateId: response.delegateId }, 'enrolled');
    if (trusted !== undefined && !isSameSet(trusted, this.taskSigningKeys)) {
      const hint =
        'If the manager was not set up anew, ask its owner. Keys in a file of your own stand above it.';
      log.warn(
        { keys: this.taskSigningKeys.length, hint },
        'the enrolment has replaced the task-signing keys',
      );
    }
    return response.delegateId;
  }

  /** The bearer of one connect attempt. */
  async connectToken(enrolment: Enrolment): Promise<string> {
    const { previousKey } = this.identity;
    const used = this.#fallsBack && previousKey !== undefined ? previousKey : this.identity;
    this.#tokenKeyId = used.keyId;
    const epochMs = this.#options.clock.now() + this.#managerAheadMs;
    const token = await signConnectToken(used, enrolment, epochMs);
    this.#protectToken(token);
    return token;
  }

  /** A token expires by the manager's clock. To wait until somebody sets this one right would be an outage. */
  learnTimeFrom(failure: unknown): void {
    if (failure instanceof ManagerRefusal && failure.managerDateMs !== undefined) {
      this.#managerAheadMs = failure.managerDateMs - this.#options.clock.now();
    }
  }

  /** The manager did not accept the last token, or the identity behind it. */
  refused(next: 'new-token' | 'enrol-again'): void {
    // Of a token that is older than the present keys, nothing can be learnt of either.
    if (this.#tokenKeyId === undefined) return;
    // First the other key, if there is one: that one it knew.
    this.#fallsBack = !this.#fallsBack && this.#identity?.previousKey !== undefined;
    if (!this.#fallsBack) this.#connectsRefused += next === 'enrol-again' ? REFUSED_BEFORE_ENROLLING : 1;
  }

  /** The manager has accepted the last token. */
  accepted(): void {
    this.#connectsRefused = 0;
    this.#acceptedKeyId = this.#tokenKeyId;
    if (typeof this.#enrolmentToken !== 'function') this.#enrolmentToken = undefined;
  }

  /**
   * Of two keys, the one that the manager has accepted is from now on the key.
   *
   * - `replaced`: that is the new one, and the previous one is gone.
   * - `went-back`: that is the previous one, and the manager does not know the other.
   * - `open`: the manager has seen neither since the change.
   * - `settled`: there is one key, and was before.
   */
  async settle(): Promise<'settled' | 'replaced' | 'went-back' | 'open'> {
    const { keyId, previousKey: previous } = this.identity;
    if (previous === undefined) return 'settled';
    const { log, clock } = this.#options;
    const isBack = this.#acceptedKeyId === previous.keyId;
    if (!isBack && this.#acceptedKeyId !== keyId) return 'open';
    await this.#changeKept(({ previousKey, ...identity }) =>
      isBack && previousKey !== undefined
        ? { ...identity, ...previousKey, previousKey: undefined, nextKey: keyOf(identity) }
        : { ...identity, keySinceMs: clock.now(), previousKey: undefined },
    );
    this.#fallsBack = false;
    if (isBack) log.warn('the manager does not know the new key of this delegate; the old one goes on');
    else
      log.info({ keyId: this.identity.keyId }, 'the manager has accepted the new key; the old one is gone');
    return isBack ? 'went-back' : 'replaced';
  }

  /**
   * Makes a new key and has the manager accept it. When it resolves with `rotated`, the next token is by the new key.
   * Whatever is thrown, and wherever the process ends, both sides agree on one key at least.
   */
  async rotate(signal: AbortSignal): Promise<'rotated' | 'unsupported'> {
    const { send, clock } = this.#options;
    const { enrolment } = this;
    if (enrolment === undefined) throw new Error('a key is rotated before the enrolment');
    const made = this.identity.nextKey ?? (await newKey());
    // On the disk before the manager hears of it: it may accept nothing else a moment later.
    await this.#changeKept((identity) => ({ ...identity, nextKey: made }));
    const { nextKey } = this.identity;
    if (nextKey === undefined) throw new Error('the next key was just kept');
    const epochMs = clock.now() + this.#managerAheadMs;
    const change = { from: keyOf(this.identity), to: nextKey, enrolment, epochMs };
    const answer = await requestKeyChange(send, change, (token) => this.#protectToken(token), signal);
    if (answer === 'unsupported') return answer;
    await this.#changeKept((identity) => ({
      ...identity,
      ...nextKey,
      nextKey: undefined,
      previousKey: keyOf(identity),
    }));
    // A connect that is under way may yet be accepted, by the key before: that does not say that this one is unknown.
    this.#tokenKeyId = undefined;
    this.#acceptedKeyId = undefined;
    return 'rotated';
  }

  /** How old the key is, milliseconds by the wall clock. It counts from the first time that somebody asks. */
  async keyAgeMs(): Promise<number> {
    const now = this.#options.clock.now();
    const { keySinceMs } = this.identity;
    if (keySinceMs !== undefined) return now - keySinceMs;
    await this.#changeKept((identity) => ({ ...identity, keySinceMs: now }));
    return 0;
  }

  /** Takes up a set of task-signing keys, if a key known now vouches for it. On the disk before it is used. */
  async adoptTaskSigningKeys(signed: string): Promise<void> {
    const { log } = this.#options;
    const { enrolment } = this;
    if (enrolment === undefined) return;
    const verdict = await judgeKeySet(signed, enrolment);
    if (verdict.is === 'fault') log.warn({ why: verdict.why }, 'new task-signing keys were not taken');
    if (verdict.is !== 'newer') return;
    try {
      await this.#changeKept((identity) => ({ ...identity, enrolment: verdict.enrolment }));
    } catch (thrown) {
      // The known ones go on; the manager tells again at the next opening.
      log.error(wrap(thrown).toWire(), 'new task-signing keys could not be kept, and are not used');
      return;
    }
    const { taskSigningKeys: keys = [], taskSigningSequence: sequence } = verdict.enrolment;
    log.info({ keys: keys.length, sequence }, 'new task-signing keys of the manager');
  }

  #changeKept(change: (identity: Identity) => Identity): Promise<void> {
    const { stateDir, log, calls = fileCalls } = this.#options;
    const folder = { stateDir, protect: this.#protect, log, calls };
    return this.#change((identity) => saveIdentity(folder, change(identity)));
  }

  /** One at a time: each begins from what the one before has left. */
  #change(save: (identity: Identity) => Promise<Identity>): Promise<void> {
    const changed = this.#changeAfter(this.#changing, save);
    this.#changing = ended(changed);
    return changed;
  }

  async #changeAfter(before: Promise<void>, save: (identity: Identity) => Promise<Identity>): Promise<void> {
    await before;
    this.#identity = await save(this.identity);
  }

  #token(): Secret | undefined {
    const token = this.#enrolmentToken;
    return typeof token === 'function' ? token() : token;
  }

  #protectToken(token: string): void {
    const origins = [new URL(this.#options.managerUrl).origin];
    this.#options.redactor.register(token, { issued: true, origins });
  }

  #noToken(): Error {
    return delegateError(
      'enrolment-token-missing',
      `This delegate is not enrolled with ${this.#options.managerUrl}.`,
    );
  }
}

function isSameSet(some: readonly Ed25519PublicJwk[], others: readonly Ed25519PublicJwk[]): boolean {
  const values = (keys: readonly Ed25519PublicJwk[]): Set<string> => new Set(keys.map(({ x }) => x));
  return isDeepStrictEqual(values(some), values(others));
}

/** The key alone, without what else an identity holds. */
function keyOf({ publicJwk, keyId, privateKey }: IdentityKey): IdentityKey {
  return { publicJwk, keyId, privateKey };
}
