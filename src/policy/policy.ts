import type { HttpRequest } from '../kit/http-exchange.ts';
import { assertAddress, assertDestination, type DestinationRules } from './destination.ts';
import { DEFAULT_MAX_ANSWER_BYTES, DEFAULT_MAX_ROWS } from './document.ts';
import { judge, rulesOf, type Judgement } from './judgement.ts';
import type { SecretPins } from './pins.ts';
import { shownReference } from './secret-reference.ts';
import { assertPlainUrl, assertTableRead, assertTokenRequest } from './request-rules.ts';

/** What a task is to do, as the policy speaks of it. */
export interface TaskAsk {
  /** `servicenow.approval.check`. */
  readonly task: string;
  readonly instance: URL;
  /** Where in the input the address of the instance stands: the denial names it. */
  readonly instanceField: string;
  /** Tables that are named in the input; those that every task of the connector needs are not. */
  readonly tables: readonly string[];
  readonly tokenServer: URL | undefined;
  readonly tokenServerField: string;
}

/** Where one rule lets a secret go; or that no rule does. */
export interface SecretDestination {
  readonly origins: readonly string[];
  readonly allowed: boolean;
  /** The rule, or why not. */
  readonly because: string;
}

/**
 * What the customer allows. It is asked at each border that something passes: a task when it comes, a secret before it
 * is read, a request right before it is sent, an address before it is connected to. Every refusal is a `policy` error
 * that names the rule. Nothing that comes from the manager can widen it.
 */
export interface Policy {
  /** What the log says of it at start. */
  readonly summary: Readonly<Record<string, string | number>>;
  /** Of the policy file, as it goes out in `hello`; null without one. */
  readonly hash: string | null;
  readonly requireSignedTasks: boolean;
  /** Rows that one answer of ServiceNow may have. */
  readonly maxRows: number;
  /** Bytes that the body of one answer may have. */
  readonly maxAnswerBytes: number;
  /** Everything that a task wants, with what is said of it. Throws nothing for what is denied. */
  explain(ask: TaskAsk): readonly Judgement[];
  /** The rules that allow the task, in the words of the policy. Throws the first denial. */
  authorize(ask: TaskAsk): readonly string[];
  /** Asked with the very object that is sent. */
  assertUrl(url: URL): void;
  /** Asked after `assertUrl`. */
  assertRequest(exchange: HttpRequest): void;
  /** Asked of each address that a host name resolves to. */
  assertAddress(address: string): void;
  /**
   * The proxy for an origin: `direct`, or its address; undefined where the policy leaves it to the settings.
   *
   * @param origin `https://acme.service-now.com`
   */
  proxyFor(origin: string): string | undefined;
  /**
   * What is said of a secret that would go to these origins. Rejects only if that can't be known.
   *
   * @param name the provider reference
   * @param origins none: the value stays on this machine
   */
  explainSecret(name: string, origins: readonly string[]): Promise<Judgement>;
  /** What is said of a secret whatever it is wanted for; nothing, if it may go where it is first sent. */
  destinationsOf(name: string): Promise<readonly SecretDestination[]>;
  /** Whether the secret may go to these origins, before it is read. Rejects with the denial. */
  admitSecret(name: string, origins: readonly string[], signal: AbortSignal): Promise<void>;
  /** Remembers where a secret goes, once its value is there and before anybody gets it. Rejects if that can't be kept. */
  pinSecret(name: string, origins: readonly string[], signal: AbortSignal): Promise<void>;
}

const DEFAULT_RULE = 'default: https to any host but link-local, metadata and loopback addresses';
const DEVELOPMENT_RULE =
  'default with DELEGATE_ALLOW_LOOPBACK: loopback, and https to any host but link-local and metadata addresses';
const PINNED_RULE = 'default: a secret goes where it first went';
const UNPINNED_RULE = 'default: any secret, to wherever the connector says';

/**
 * What holds without a policy file.
 *
 * @param pins where secrets may go, by where they first went; undefined: wherever this machine's own user says
 */
export function defaultPolicy(rules: DestinationRules, pins?: SecretPins): Policy {
  const explain = ({ instance, instanceField, tokenServer, tokenServerField }: TaskAsk): Judgement[] => {
    const check = (url: URL, field: string) => (): string => {
      assertDestination(url, field, rules);
      return rules.allowLoopback ? DEVELOPMENT_RULE : DEFAULT_RULE;
    };
    return [
      judge('instance', instance.origin, check(instance, instanceField)),
      ...(tokenServer === undefined
        ? []
        : [judge('token server', tokenServer.origin, check(tokenServer, tokenServerField))]),
    ];
  };
  const explainSecret = async (name: string, origins: readonly string[]): Promise<Judgement> => {
    const denial = await pins?.denialOf(name, origins);
    const subject = { subject: 'secret', asked: shownReference(name) } as const;
    if (denial !== undefined) return { ...subject, allowed: false, denial };
    return { ...subject, allowed: true, rule: pins === undefined ? UNPINNED_RULE : PINNED_RULE };
  };
  return {
    summary: { policy: 'default', secrets: pins === undefined ? 'not pinned' : 'pinned at first use' },
    hash: null,
    requireSignedTasks: false,
    maxRows: DEFAULT_MAX_ROWS,
    maxAnswerBytes: DEFAULT_MAX_ANSWER_BYTES,
    explain,
    authorize: (ask) => [...new Set(rulesOf(explain(ask)))],
    assertUrl(url) {
      assertPlainUrl(url);
      assertDestination(url, 'request', rules);
    },
    assertRequest(exchange) {
      if (exchange.method === 'POST') assertTokenRequest(exchange);
      else assertTableRead(exchange, DEFAULT_MAX_ROWS);
    },
    assertAddress: (address) => assertAddress(address, 'request', rules),
    proxyFor: () => undefined,
    explainSecret,
    async destinationsOf(name) {
      const pin = (await pins?.list())?.find(({ reference }) => reference === name);
      return pin === undefined
        ? []
        : [{ origins: pin.origins, allowed: true, because: 'pinned by its first use' }];
    },
    admitSecret: async (name, origins) => void rulesOf([await explainSecret(name, origins)]),
    pinSecret: async (name, origins, signal) => await pins?.pin(name, origins, signal),
  };
}
