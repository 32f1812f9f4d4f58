import type { HttpRequest } from '../kit/http-exchange.ts';
import { assertAddress, assertDestination, type DestinationRules } from './destination.ts';

/** What a task is to do: the instance, tables and token server that its input names. */
export interface TaskAsk {
  readonly task: string;
  readonly instance: URL;
  readonly instanceField: string;
  readonly tables: readonly string[];
  readonly tokenServer: URL | undefined;
  readonly tokenServerField: string;
}

/**
 * What the customer allows. It is asked at each border that something passes: a task when it comes, a secret before it
 * is read, a request right before it is sent, an address before it is connected to. Every refusal is a `policy` error
 * that names the rule. Nothing that comes from the manager can widen it.
 */
export interface Policy {
  /** Of the policy file, as it goes out in `hello`; null without one. */
  readonly hash: string | null;
  readonly requireSignedTasks: boolean;
  /** Rows that one answer of ServiceNow may have. */
  readonly maxRows: number;
  /** Bytes that the body of one answer may have. */
  readonly maxAnswerBytes: number;
  /** The rules that allow the task, in the words of the policy. */
  authorize(ask: TaskAsk): readonly string[];
  /** Asked with the very object that is sent. */
  assertUrl(url: URL): void;
  /** Asked after `assertUrl`. */
  assertRequest(exchange: HttpRequest): void;
  /** Asked of each address that a host name resolves to. */
  assertAddress(address: string): void;
  /**
   * Whether the secret of this provider reference may go to these origins, before it is read.
   *
   * @param origins none: the value stays on this machine
   */
  admitSecret(name: string, origins: readonly string[], signal: AbortSignal): Promise<void>;
}

/** Of the policy without a file; above what any task asks for. */
const DEFAULT_MAX_ROWS = 1_000;
const DEFAULT_MAX_ANSWER_BYTES = 16 * 1_048_576;

const DEFAULT_RULE = 'default: https to any host but link-local, metadata and loopback addresses';

/** What holds without a policy file. */
export function defaultPolicy(rules: DestinationRules): Policy {
  return {
    hash: null,
    requireSignedTasks: false,
    maxRows: DEFAULT_MAX_ROWS,
    maxAnswerBytes: DEFAULT_MAX_ANSWER_BYTES,
    authorize({ instance, instanceField, tokenServer, tokenServerField }) {
      assertDestination(instance, instanceField, rules);
      if (tokenServer !== undefined) assertDestination(tokenServer, tokenServerField, rules);
      return [DEFAULT_RULE];
    },
    assertUrl: (url) => assertDestination(url, 'request', rules),
    assertRequest: () => {},
    assertAddress: (address) => assertAddress(address, 'request', rules),
    admitSecret: () => Promise.resolve(),
  };
}
