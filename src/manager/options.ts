import type { Secret } from '../kit/secret.ts';
import { systemClock, type Clock } from '../kit/time.ts';
import {
  ACCEPT_WITHIN_MS,
  HELLO_WITHIN_MS,
  MAX_FRAME_BYTES,
  MAX_TIMEOUT_MS,
  MIN_FRAME_BYTES,
  MIN_HEARTBEATS_PER_LEASE,
} from '../protocol/limits.ts';
import { managerError } from './errors.ts';
import type { ManagerEvent } from './events.ts';
import { createMemoryStore, type ManagerStore } from './store.ts';

export interface ManagerLog {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

/** Sees every text frame as it crossed the wire, before it is parsed and after it is encoded. */
export type FrameObserver = (direction: 'received' | 'sent', sessionId: string, text: string) => void;

export interface ManagerOptions {
  /** Address to listen on. Default `127.0.0.1`. */
  host?: string | undefined;
  /** Default 0: a free port. */
  port?: number | undefined;
  /**
   * The address that delegates are configured with; connect tokens must name it as their audience. Without it
   * the address listened on counts, in each of its loopback spellings.
   */
  publicUrl?: string | undefined;
  /** Bearer token of `/api`. Generated if absent; read it from `manager.apiToken`. */
  apiToken?: Secret | undefined;
  /** Default 10 s. */
  heartbeatMs?: number | undefined;
  /** At least three heartbeats. Default 30 s. */
  leaseMs?: number | undefined;
  /** An assign that is neither accepted nor rejected for this long was not received. Default 5 s. */
  acceptWithinMs?: number | undefined;
  /** Default 5 s. */
  helloWithinMs?: number | undefined;
  /** Default, and most, 1 MiB. */
  maxFrameBytes?: number | undefined;
  /** Begun attempts of one reading task that may lose their lease before the task fails. Default 3. */
  maxAttempts?: number | undefined;
  /** How long a task waits for a delegate that may take it, or for a silent one that may have written. Default 60 s. */
  queueTimeoutMs?: number | undefined;
  /** Least interval between two looks at a ticket. Default 10 s; lower it for development alone. */
  minRetryIntervalMs?: number | undefined;
  /** Signs every task with a key whose public half delegates get at enrolment. Default false. */
  signTasks?: boolean | undefined;
  /** Least build number that may connect at all. Default 0. */
  minBuildToConnect?: number | undefined;
  /** Shown in the API description; the protocol doesn't carry it. */
  version?: string | undefined;
  clock?: Clock | undefined;
  /** Uniform in [0, 1). */
  random?: (() => number) | undefined;
  /** Everything durable. Default: in memory, gone with the process. */
  store?: ManagerStore | undefined;
  log?: ManagerLog | undefined;
  onFrame?: FrameObserver | undefined;
  onEvent?: ((event: ManagerEvent) => void) | undefined;
}

/** The options with every default in place; nothing past the door asks again. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly publicUrl: URL | undefined;
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly acceptWithinMs: number;
  readonly helloWithinMs: number;
  readonly maxFrameBytes: number;
  readonly maxAttempts: number;
  readonly queueTimeoutMs: number;
  readonly minRetryIntervalMs: number;
  readonly signTasks: boolean;
  readonly minBuildToConnect: number;
  readonly version: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly store: ManagerStore;
  readonly log: ManagerLog;
  readonly onFrame: FrameObserver;
  readonly onEvent: (event: ManagerEvent) => void;
}

/** @throws DelegateError `invalid-options`, naming every option that is wrong. */
export function resolveOptions(options: ManagerOptions): Settings {
  const complaints: string[] = [];
  const whole = (name: string, given: number | undefined, fallback: number, least: number, most: number) => {
    const value = given ?? fallback;
    if (!Number.isInteger(value) || value < least || value > most) {
      complaints.push(`${name}: must be a whole number from ${least} to ${most}`);
    }
    return value;
  };
  const durationMs = (name: string, given: number | undefined, fallback: number) =>
    whole(name, given, fallback, 1, MAX_TIMEOUT_MS);

  const settings: Settings = {
    host: options.host ?? '127.0.0.1',
    port: whole('port', options.port, 0, 0, 65_535),
    publicUrl: readPublicUrl(options.publicUrl, complaints),
    heartbeatMs: durationMs('heartbeatMs', options.heartbeatMs, 10_000),
    leaseMs: durationMs('leaseMs', options.leaseMs, 30_000),
    acceptWithinMs: durationMs('acceptWithinMs', options.acceptWithinMs, ACCEPT_WITHIN_MS),
    helloWithinMs: durationMs('helloWithinMs', options.helloWithinMs, HELLO_WITHIN_MS),
    maxFrameBytes: whole(
      'maxFrameBytes',
      options.maxFrameBytes,
      MAX_FRAME_BYTES,
      MIN_FRAME_BYTES,
      MAX_FRAME_BYTES,
    ),
    maxAttempts: whole('maxAttempts', options.maxAttempts, 3, 1, 100),
    queueTimeoutMs: durationMs('queueTimeoutMs', options.queueTimeoutMs, 60_000),
    minRetryIntervalMs: durationMs('minRetryIntervalMs', options.minRetryIntervalMs, 10_000),
    signTasks: options.signTasks ?? false,
    minBuildToConnect: whole('minBuildToConnect', options.minBuildToConnect, 0, 0, 999_999_999),
    version: options.version,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    store: options.store ?? createMemoryStore(),
    log: options.log ?? silentLog,
    onFrame: options.onFrame ?? (() => {}),
    onEvent: options.onEvent ?? (() => {}),
  };
  if (settings.leaseMs < MIN_HEARTBEATS_PER_LEASE * settings.heartbeatMs) {
    complaints.push(`leaseMs: must be at least ${MIN_HEARTBEATS_PER_LEASE} × heartbeatMs`);
  }
  if (complaints.length > 0) {
    throw managerError('invalid-options', complaints.join('; '));
  }
  return settings;
}

function readPublicUrl(text: string | undefined, complaints: string[]): URL | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : null;
  const fits =
    url !== null &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '';
  if (fits) return url;
  complaints.push('publicUrl: must be an http or https URL without user, query or fragment');
  return undefined;
}

const silentLog: ManagerLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
