import type { WebSocket } from 'ws';
import { toTimestamp } from '../kit/time.ts';
import { CloseCode } from '../protocol/close-codes.ts';
import { ProtocolViolation } from '../protocol/codec.ts';
import { publicKeyOf, withKeyInUse } from './key-rotation.ts';
import type { Settings } from './options.ts';
import type { Scheduler } from './scheduler.ts';
import { Session, type SessionHost, type SessionSnapshot } from './session.ts';
import type { DelegateRecord } from './store.ts';
import type { TaskSigner } from './task-signing.ts';

/** Open connections, those before `hello` included. */
const MAX_SESSIONS = 5_000;

/** Owns every session; knows which one speaks for a delegate now. */
export class SessionTable {
  readonly #settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #signer: TaskSigner | undefined;
  readonly #running = new Map<Session, Promise<void>>();
  readonly #current = new Map<string, Session>();
  #pauseReason: string | undefined;

  constructor(settings: Settings, scheduler: Scheduler, signer?: TaskSigner) {
    this.#settings = settings;
    this.#scheduler = scheduler;
    this.#signer = signer;
  }

  get full(): boolean {
    return this.#running.size >= MAX_SESSIONS;
  }

  /** @param keyId thumbprint of the key that it connected with */
  start(socket: WebSocket, delegate: DelegateRecord, keyId: string = delegate.thumbprint): void {
    const { store, onEvent, clock } = this.#settings;
    const host: SessionHost = {
      opening: (session, hello) => {
        const live = this.#current.get(session.delegateId);
        // By the connections: a proxy may hold a `hello` until the one that wrote it has given up and come back.
        if (live !== undefined && live.openedAt > session.openedAt) {
          throw new ProtocolViolation('a newer connection of this instance is open', CloseCode.Superseded);
        }
        // Read again: another connect, or a revocation, may have changed the record since the upgrade.
        const known = store.delegates.get(session.delegateId) ?? delegate;
        assertAdmitted(known, keyId);
        this.#current.set(session.delegateId, session);
        live?.close(CloseCode.Superseded, 'a newer session of this instance took over');
        const record = withKeyInUse(known, keyId);
        const { name, version } = hello.delegate;
        const lastSeenAt = toTimestamp(clock.now());
        store.delegates.put(session.delegateId, { ...record, name, version, lastSeenAt });
      },
      opened: (session) => {
        onEvent({ type: 'session.opened', sessionId: session.sessionId, delegateId: session.delegateId });
        for (const signed of this.#signer?.statements() ?? []) {
          session.send({ type: 'task-signing-keys', signed });
        }
        if (this.#pauseReason !== undefined) session.pause(this.#pauseReason);
        this.#scheduler.seat(session);
      },
      left: (session) => {
        // The entry may be a newer session's by now.
        if (this.#current.get(session.delegateId) === session) this.#current.delete(session.delegateId);
        this.#scheduler.unseat(session);
      },
      closed: ({ sessionId, delegateId }, code) => {
        onEvent({ type: 'session.closed', sessionId, delegateId, code });
      },
    };
    const session = new Session(socket, delegate, {
      settings: this.#settings,
      scheduler: this.#scheduler,
      host,
    });
    this.#running.set(
      session,
      session.run().finally(() => this.#running.delete(session)),
    );
  }

  /** The session that speaks for a delegate now. */
  of(delegateId: string): SessionSnapshot | undefined {
    return this.#current.get(delegateId)?.snapshot();
  }

  snapshots(): SessionSnapshot[] {
    return [...this.#current.values()].map((session) => session.snapshot());
  }

  /** Sessions that begin later are paused too, until `resume`. */
  pause(reason: string): void {
    this.#pauseReason = reason;
    for (const session of this.#current.values()) session.pause(reason);
  }

  resume(): void {
    this.#pauseReason = undefined;
    for (const session of this.#current.values()) session.resume();
    this.#scheduler.creditChanged();
  }

  drain(reason: string, reconnectAfterMs: number): void {
    for (const session of this.#current.values()) session.drain(reason, reconnectAfterMs);
  }

  /** To every delegate that is connected; the others are told when they come. */
  tellTaskSigningKeys(signed: string): void {
    for (const session of this.#current.values()) session.send({ type: 'task-signing-keys', signed });
  }

  /** Every connection of the delegate, whether or not it has said hello. */
  revoke(delegateId: string): void {
    for (const session of this.#running.keys()) {
      if (session.delegateId === delegateId) session.close(CloseCode.Revoked, 'this delegate was revoked');
    }
  }

  /** Resolves when every connection has ended. */
  async closeAll(reason: string): Promise<void> {
    for (const session of this.#running.keys()) session.close(CloseCode.GoingAway, reason);
    await Promise.all(this.#running.values());
  }
}

/** The upgrade has asked the same; between it and `hello` lies as much time as the delegate takes. */
function assertAdmitted(delegate: DelegateRecord, keyId: string): void {
  if (delegate.revokedAt !== null) {
    throw new ProtocolViolation('this delegate was revoked', CloseCode.Revoked);
  }
  if (publicKeyOf(delegate, keyId) === undefined) {
    throw new ProtocolViolation('the key was replaced by another', CloseCode.NotAuthenticated);
  }
}
