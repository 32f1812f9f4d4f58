import type { z } from 'zod';
import { errorsOf, type ErrorKinds } from '../kit/errors.ts';
import type { ConnectionFacts, HttpSend } from '../kit/http-exchange.ts';
import type { Secret } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { TaskTrace } from '../observability/tracing/tracer.ts';
import type { TaskAsk } from '../policy/policy.ts';
import type { TaskEffect } from '../protocol/messages.ts';
import type { SecretUse } from '../secrets/resolver.ts';
import { ownWordsOf } from './own-words.ts';

/** What a connector knows of its surroundings. No frame, no session, no journal. */
export interface TaskContext {
  /** Aborts on cancel, deadline, lost lease or stop; goes into everything that waits. */
  readonly signal: AbortSignal;
  /** End of the task on `clock.monotonic()`, milliseconds. */
  readonly deadline: number;
  readonly clock: Clock;
  /** Bound to task id, attempt and name; scrubs secrets. */
  readonly log: TaskLog;
  /**
   * To be called right before each step that changes something in the customer's systems: throws if this attempt may
   * no longer write, also when a blocked event loop has kept `signal` from saying so.
   */
  fence(): void;
  /** Tells whoever waits what the task is doing. May be dropped; never a secret. */
  progress(message: string): void;
  /**
   * For the audit log: this task has been given a secret.
   *
   * @param name as the customer's list has it, never a value
   * @param origins where it may be sent from here
   */
  usedSecret(name: string, origins: readonly string[]): void;
  /** Where requests go out through, and where what takes long is shown to whoever follows the task. */
  readonly trace: TaskTrace;
}

export interface TaskLog {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}

/** What a connector is built with, once: the adapters below it. */
export interface ConnectorDeps {
  readonly http: HttpPort;
  readonly secrets: SecretsPort;
  readonly kept: KeptSecretsPort;
  readonly clock: Clock;
  readonly policy: PolicyPort;
  readonly random: () => number;
  /** For the delegate's metrics: to be told of each request to the customer's system, and of each token exchange. */
  readonly meter: ConnectorMeter;
  /** Registers a derived secret (token, assertion): scrubbed wherever it turns up, and sent to these origins alone. */
  readonly protect: (value: string, origins: readonly string[]) => Secret;
  /** The text without any registered secret. Goes before every cut: half a secret is not found any more. */
  readonly scrub: (text: string) => string;
  readonly delegate: { readonly id: () => string; readonly name: string; readonly version: string };
}

export type ConnectorMeter = Pick<Metrics, 'instanceAnswered' | 'tokenRequested'>;

export interface HttpPort {
  readonly send: HttpSend;
  /** Opens, and closes, a connection the very way that `send` would. */
  probe(url: URL, signal: AbortSignal): Promise<ConnectionFacts>;
}

/** What the customer allows. No task, and nothing that the manager sends, can widen it. */
export interface PolicyPort {
  /** The rules that allow it, in the words of the policy; throws a `policy` error that names the rule that does not. */
  authorize(ask: TaskAsk): readonly string[];
  /** Rows that one answer may have. */
  readonly maxRows: number;
}

/** A secret that a task names, and where it would go. */
export interface SecretNeed {
  /** Where in the input it is named: `auth.spec.passwordRef`. */
  readonly field: string;
  /** As it stands there. */
  readonly reference: string;
  /** None: it is used on this machine alone. */
  readonly origins: readonly string[];
}

export interface SecretsPort {
  /**
   * The value behind a reference, resolved on this machine. Rejects with a `secret` error naming the reference, or with
   * a `policy` error if it may not go there.
   */
  resolve(reference: string, use: SecretUse): Promise<Secret>;
  /**
   * Puts a new value in the place of the one that the reference leads to. False if the customer has not allowed that,
   * or if it can't be done; never rejects.
   */
  replace(reference: string, value: Secret): Promise<boolean>;
}

/** Where secrets go that a server has given in the place of the customer's: encrypted, on this machine. */
export interface KeptSecretsPort {
  /**
   * @param name 64 hexadecimal digits; one writer for one name at a time
   * Undefined if nothing is kept. Rejects if it can't be known: something newer than the customer's may be there.
   */
  read(name: string): Promise<Secret | undefined>;
  /** Resolves when it would survive a power cut; rejects if it can't be kept. */
  keep(name: string, secret: Secret): Promise<void>;
  /** Never rejects. */
  forget(name: string): Promise<void>;
}

/** One kind of task as the runner sees it: input not yet decoded, output ready for the wire. */
export interface TaskType {
  readonly name: string;
  readonly version: number;
  /** Whether it changes anything in the customer's systems; decides what a crash or a lost lease means. */
  readonly effect: TaskEffect;
  /** Decodes the input, or throws `invalid-input` naming the field. */
  prepare(input: unknown): PreparedTask;
}

export interface PreparedTask {
  /** Words of the answer that are never masked: see `ownWordsOf`. */
  readonly ownWords?: readonly string[];
  /** The rules of the policy that allow it. */
  readonly allowedBy?: readonly string[];
  /** The secrets that it will ask for. */
  readonly secrets?: readonly SecretNeed[];
  run(context: TaskContext): Promise<unknown>;
}

export interface TaskDefinition<I extends z.ZodType, O extends z.ZodType> {
  name: string;
  version: number;
  effect: TaskEffect;
  input: I;
  output: O;
  /**
   * The rules that allow this input; throws a `policy` error for what this delegate's operator does not allow. Nothing
   * was done yet.
   */
  authorize?: (input: z.output<I>) => readonly string[];
  /** The secrets that this input names, for whoever explains what a policy says of it. */
  secrets?: (input: z.output<I>) => readonly SecretNeed[];
  run(input: z.output<I>, context: TaskContext): Promise<z.input<O>>;
}

/** Binds a handler to its input and output schemas, so that no handler runs on input that was not decoded. */
export function defineTask<I extends z.ZodType, O extends z.ZodType>(
  definition: TaskDefinition<I, O>,
): TaskType {
  const { name, version, effect } = definition;
  const ownWords = ownWordsOf(definition.output);
  return {
    name,
    version,
    effect,
    prepare(raw) {
      const input = parseInput(definition.input, raw);
      return {
        allowedBy: definition.authorize?.(input) ?? [],
        secrets: definition.secrets?.(input) ?? [],
        ownWords,
        run: async (context) => definition.output.parse(await definition.run(input, context)),
      };
    },
  };
}

export const INPUT_ERRORS = {
  'invalid-input': {
    category: 'invalid-input',
    means: 'The input of a task is not what the task takes. The message names each field by its path.',
    remedy: 'Correct the named fields.',
  },
} as const satisfies ErrorKinds;

const inputError = errorsOf(INPUT_ERRORS);

/** Complaints listed in one error; a list of a thousand broken items would otherwise fill it. */
const MAX_COMPLAINTS = 10;
/** Ten of these make a message of less than 4,000 characters. */
const MAX_COMPLAINT_CHARS = 380;

/** The first complaints in one error: each names the field by its path and what it should be. */
export function parseInput<S extends z.ZodType>(schema: S, raw: unknown): z.output<S> {
  const parsed = schema.safeParse(raw, { error: plainWords });
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const listed = issues.slice(0, MAX_COMPLAINTS).map(({ path, message }) => ({
    field: bounded(path.map(String).join('.')),
    message,
  }));
  const complaints = listed.map(({ field, message }) =>
    bounded(field === '' ? message : `${field}: ${message}`),
  );
  const rest = issues.length - listed.length;
  throw inputError('invalid-input', [...complaints, ...(rest > 0 ? [`and ${rest} more`] : [])].join('; '), {
    details: { fields: listed.map(({ field }) => field) },
  });
}

/** What a field must be, by the name that zod has for it. Mostly people write YAML, where 3 and false are no text. */
const PLAIN_WORDS: Readonly<Record<string, string>> = {
  string: 'must be text; a number, true or false needs quotes',
  number: 'must be a number',
  boolean: 'must be true or false',
  array: 'must be a list',
  object: 'must be a mapping of fields',
};

/** For fields of which the schema itself says nothing better. */
function plainWords({ code, expected, input }: z.core.$ZodRawIssue): string | undefined {
  if (input === undefined && (code === 'invalid_type' || code === 'invalid_value')) return 'is missing';
  return code === 'invalid_type' && typeof expected === 'string' ? PLAIN_WORDS[expected] : undefined;
}

function bounded(text: string): string {
  if (text.length <= MAX_COMPLAINT_CHARS) return text;
  return `${text.slice(0, MAX_COMPLAINT_CHARS - 1).toWellFormed()}…`;
}

/** A family of tasks for one kind of system. `index.ts` holds the table: one line for one connector. */
export interface Connector {
  /** What this delegate can do beyond knowing a task's name, e.g. `servicenow.auth.RefreshTokenGrantType`. */
  readonly capabilities: readonly string[];
  readonly tasks: readonly TaskType[];
  /** Drops what was got by a task and is kept for the next, such as tokens. For one that keeps something. */
  readonly forget?: () => void;
  /** Systems that it leaves alone at present, since they are busy or do not answer. For one that does so. */
  readonly pausedSystems?: () => number;
  /** Resolves when all that was begun has ended, so that what lies below may end. For one that outlives its tasks. */
  readonly [Symbol.asyncDispose]?: () => Promise<void>;
}

export type DefineConnector = (deps: ConnectorDeps) => Connector;
