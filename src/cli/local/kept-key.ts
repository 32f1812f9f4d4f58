import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { KeptSecretsPort } from '../../connectors/connector.ts';
import {
  keysIn,
  recoverIdentityFile,
  stateKeyOf,
  type IdentityFile,
} from '../../delegate/state/identity-file.ts';
import { keptSecretsKeyFrom } from '../../delegate/state/state-key.ts';
import { lockState, type StateLock } from '../../delegate/state/state-lock.ts';
import { fileCalls } from '../../kit/durable-file.ts';
import { DelegateError } from '../../kit/errors.ts';
import { ended } from '../../kit/flow.ts';
import type { Secret } from '../../kit/secret.ts';
import { endsWithin, type Clock } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import { LOCAL_ERRORS, localError } from './errors.ts';

export interface KeptKeyOptions {
  readonly stateDir: string;
  /** 32 bytes in base64; asked for once at most. May throw. */
  readonly stateKey: () => Secret | undefined;
  /** Is given the state key and the private key, as far as they are read. */
  readonly protect: (value: string) => unknown;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** A parameter, because no test can make a disk hang otherwise. */
  readonly lock?: typeof lockState;
}

/** For a look at the state folder that is under way, milliseconds. */
const CLOSE_WITHIN_MS = 2_000;

const STATE_FOLDER_IN_USE = 'state-folder-in-use';

/**
 * The key to the kept secrets, for a command that is no delegate in service. With the first use the state folder is
 * locked until disposal: of a refresh token that is replaced with each use, there must be one user.
 */
export class KeptKey {
  readonly #options: KeptKeyOptions;
  #opening: Promise<{ key: Buffer; lock: StateLock }> | undefined;
  #lock: StateLock | undefined;

  constructor(options: KeptKeyOptions) {
    this.#options = options;
  }

  /** Rejects with `refresh-token-in-use` or `refresh-token-not-keepable`, or with the signal's reason. */
  async get(): Promise<Buffer> {
    this.#opening ??= this.#open().catch((thrown: unknown) => {
      throw this.#explained(thrown);
    });
    const { key, lock } = await this.#opening;
    if (!lock.held) throw this.#notKeepable('the state folder takes no file, or was taken over.');
    return key;
  }

  /** Frees the state folder. Does not wait for a disk that never answers: the process can end without it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const opening = this.#opening;
    if (opening === undefined) return;
    if (!(await endsWithin(this.#options.clock, CLOSE_WITHIN_MS, ended(opening)))) return;
    await this.#lock?.[Symbol.asyncDispose]();
  }

  async #open(): Promise<{ key: Buffer; lock: StateLock }> {
    const { stateDir, stateKey, protect, clock, log, signal, lock: lockFolder = lockState } = this.#options;
    const operatorKey = stateKey();
    if (operatorKey !== undefined) protect(operatorKey.reveal());
    // A lock would make the folder: not for a command that then has no use for it.
    if (operatorKey === undefined && !existsSync(stateDir)) {
      throw this.#notKeepable('there is no such folder.');
    }
    const lock = await lockFolder(stateDir, { clock, log, signal });
    this.#lock = lock;
    const identity = await recoverIdentityFile(stateDir, log, fileCalls);
    for (const { d } of identity === undefined ? [] : keysIn(identity)) protect(d);
    return { key: this.#keyFrom(operatorKey, identity), lock };
  }

  #keyFrom(operatorKey: Secret | undefined, identity: IdentityFile | undefined): Buffer {
    if (operatorKey === undefined && identity === undefined) {
      throw this.#notKeepable('it has no identity, and there is no state key.');
    }
    // Beside an operator's key the identity's is not looked at; an identity is for a delegate that enrols.
    const identityKey: KeyObject =
      identity === undefined ? generateKeyPairSync('ed25519').privateKey : stateKeyOf(identity);
    return keptSecretsKeyFrom({ operatorKey, identityKey });
  }

  #explained(thrown: unknown): unknown {
    if (!(thrown instanceof DelegateError) || Object.hasOwn(LOCAL_ERRORS, thrown.code)) return thrown;
    if (thrown.code !== STATE_FOLDER_IN_USE) return this.#notKeepable(thrown.message, thrown);
    return localError(
      'refresh-token-in-use',
      `A delegate is running on the state folder ${this.#options.stateDir} and holds the newest refresh token.`,
      { details: thrown.details, cause: thrown },
    );
  }

  #notKeepable(why: string, cause?: DelegateError): DelegateError {
    return localError(
      'refresh-token-not-keepable',
      `A new refresh token could not be kept in the state folder ${this.#options.stateDir}: ${why}`,
      { hint: cause?.hint, cause },
    );
  }
}

/**
 * The same kept secrets, with the key asked for before one is looked up. A connector looks there before it sends the
 * refresh token of the secret store: also where nothing is kept yet, it must not be sent by a second user, nor when
 * its successor would have no place to go.
 */
export function underKey(kept: KeptSecretsPort, key: KeptKey): KeptSecretsPort {
  return {
    async read(name) {
      await key.get();
      return await kept.read(name);
    },
    keep: (name, secret) => kept.keep(name, secret),
    forget: (name) => kept.forget(name),
  };
}
