import type { DelegateError } from '../kit/errors.ts';
import { assertAddress, assertDestination, networksOf, type DestinationRules } from './destination.ts';
import type { InstanceRule, PolicyDocument, SecretRule, TokenServerRule } from './document.ts';
import { policyError } from './errors.ts';
import { judge, rulesOf, type Judgement } from './judgement.ts';
import type { Policy, SecretDestination, TaskAsk } from './policy.ts';
import type { PolicyFile } from './read-policy.ts';
import { assertPlainUrl, assertTableRead, assertTokenRequest, requestRefused } from './request-rules.ts';
import { referenceMatcher, shownReference } from './secret-reference.ts';

/**
 * The tables that a task reads beside those that its input names. They are said here, and not asked of the connector:
 * one that began to read another table would be stopped, and not be allowed it in silence.
 */
export const IMPLIED_TABLES: Readonly<Record<string, readonly string[]>> = {
  'servicenow.connector.validate': ['task', 'change_request', 'incident', 'problem'],
};

/** Of an address that a task names, in an error. */
const MAX_SHOWN_CHARS = 200;

interface Numbered<T> {
  readonly rule: T;
  /** `instances[0] https://acme.service-now.com` */
  readonly name: string;
}

/** What the customer's file says. What it does not name is refused. */
export function filePolicy(
  { document, hash }: PolicyFile,
  { allowLoopback }: Pick<DestinationRules, 'allowLoopback'>,
): Policy {
  const { maxRows, maxAnswerBytes } = document.limits;
  const rules: DestinationRules = { allowLoopback, denied: networksOf(document.network.deniedAddresses) };
  const instances = document.instances.map((rule, at) => ({ rule, name: `instances[${at}] ${rule.url}` }));
  const tokenServers = document.tokenServers.map((rule, at) => ({
    rule,
    name: `tokenServers[${at}] ${rule.url}`,
  }));
  const proxies = new Map(
    [...instances, ...tokenServers].flatMap(({ rule: { url, proxy } }) =>
      proxy === undefined ? [] : [[new URL(url).origin, proxy] as const],
    ),
  );
  const origins = new Set([...instances, ...tokenServers].map(({ rule: { url } }) => new URL(url).origin));
  const explain = (ask: TaskAsk): Judgement[] => explainBy({ instances, tokenServers, rules }, ask);
  const secretRules = secretRulesOf(document);
  const explainSecret = explainSecretBy(secretRules);
  return {
    summary: {
      policy: 'file',
      hash,
      instances: instances.length,
      tokenServers: tokenServers.length,
      secrets: document.secrets.length,
      signedTasks: document.signedTasks,
    },
    hash,
    requireSignedTasks: document.signedTasks === 'required',
    maxRows,
    maxAnswerBytes,
    explain,
    authorize: (ask) => rulesOf(explain(ask)),
    assertUrl(url) {
      assertPlainUrl(url);
      assertDestination(url, 'request', rules);
      if (!origins.has(url.origin)) throw destinationNotAllowed(url);
    },
    assertRequest(exchange) {
      const { url } = exchange;
      if (exchange.method === 'POST') {
        assertTokenRequest(exchange);
        if (!tokenServers.some(({ rule }) => isAt(rule, url))) {
          throw requestRefused(url, 'tokenServers', 'no entry of tokenServers is for this address');
        }
        return;
      }
      const read = assertTableRead(exchange, maxRows);
      const found = instances.find(({ rule }) => rule.url === read.instance);
      if (found === undefined) throw requestRefused(url, 'instances', 'it goes to none of the instances');
      if (!tablesOf(found.rule).has(read.table)) {
        throw requestRefused(url, `${found.name}: tables`, `the table ${read.table} may not be read there`);
      }
    },
    assertAddress: (address) => assertAddress(address, 'request', rules),
    proxyFor: (origin) => proxies.get(origin),
    explainSecret: (name, secretOrigins) => Promise.resolve(explainSecret(name, secretOrigins)),
    destinationsOf: (name) => Promise.resolve(destinationsBy(secretRules, name)),
    admitSecret: async (name, secretOrigins) => void rulesOf([explainSecret(name, secretOrigins)]),
    pinSecret: () => Promise.resolve(),
  };
}

function explainBy(
  {
    instances,
    tokenServers,
    rules,
  }: {
    instances: readonly Numbered<InstanceRule>[];
    tokenServers: readonly Numbered<TokenServerRule>[];
    rules: DestinationRules;
  },
  { task, instance, instanceField, tables, tokenServer, tokenServerField }: TaskAsk,
): Judgement[] {
  const asked = addressOf(instance);
  const found = instances.find(({ rule }) => rule.url === asked);
  const isAllowed = judge('instance', shown(asked), () => {
    assertDestination(instance, instanceField, rules);
    if (found === undefined) throw instanceNotAllowed(asked, instanceField, { task, tables });
    return found.name;
  });
  if (found === undefined || !isAllowed.allowed) return [isAllowed];
  const { rule, name } = found;
  return [
    isAllowed,
    judge('task', task, () => {
      if (!rule.tasks.includes(task)) throw taskNotAllowed(task, name);
      return `${name}: tasks`;
    }),
    ...tables.map((table) =>
      judge('table', table, () => {
        if (!rule.tables.includes(table)) throw tableNotAllowed(table, name);
        return `${name}: tables`;
      }),
    ),
    ...(tokenServer === undefined
      ? []
      : [
          judge('token server', shown(addressOf(tokenServer)), () => {
            assertDestination(tokenServer, tokenServerField, rules);
            const server = tokenServers.find(
              ({ rule: { url } }) => rule.tokenServers.includes(url) && isAt({ url }, tokenServer),
            );
            if (server === undefined) throw tokenServerNotAllowed(tokenServer, tokenServerField, name);
            return `${server.name}, for ${name}`;
          }),
        ]),
  ];
}

/** Whether the address is the one of the rule; an origin alone stands for all that is there. */
function isAt({ url: rule }: Pick<TokenServerRule, 'url'>, url: URL): boolean {
  return rule === url.origin || rule === addressOf(url);
}

function addressOf(url: URL): string {
  return url.origin + (url.pathname === '/' ? '' : url.pathname) + url.search;
}

function tablesOf({ tables, tasks }: InstanceRule): ReadonlySet<string> {
  return new Set([...tables, ...tasks.flatMap((task) => IMPLIED_TABLES[task] ?? [])]);
}

interface SecretMatcher {
  readonly rule: SecretRule;
  /** `secrets[0] env:SN_PASSWORD` */
  readonly name: string;
  readonly isMeant: (reference: string) => boolean;
  readonly hosts: ReadonlySet<string>;
}

function secretRulesOf({ secrets }: PolicyDocument): readonly SecretMatcher[] {
  return secrets.map((rule, at) => ({
    rule,
    name: `secrets[${at}] ${rule.reference}`,
    isMeant: referenceMatcher(rule.reference),
    hosts: new Set(rule.hosts),
  }));
}

function destinationsBy(matchers: readonly SecretMatcher[], name: string): SecretDestination[] {
  const rules = matchers.filter(({ isMeant }) => isMeant(name));
  if (rules.length === 0) {
    return [{ origins: [], allowed: false, because: 'no entry of secrets in the policy file is for it' }];
  }
  return rules.map(({ rule: { reference, hosts } }) => ({
    origins: hosts,
    allowed: true,
    because: `policy file: secrets ${reference}`,
  }));
}

function explainSecretBy(
  matchers: readonly SecretMatcher[],
): (reference: string, origins: readonly string[]) => Judgement {
  return (reference, origins) => {
    const matching = matchers.filter(({ isMeant }) => isMeant(reference));
    return judge('secret', shownReference(reference), () => {
      // Each origin by any of them: two rules for one secret are one longer rule.
      const refused = origins.filter((origin) => !matching.some(({ hosts }) => hosts.has(origin)));
      if (matching.length === 0) throw secretNotAllowed(reference, origins, undefined);
      if (refused.length > 0) throw secretNotAllowed(reference, origins, refused);
      return matching.map(({ name }) => name).join(', ');
    });
  };
}

function instanceNotAllowed(
  address: string,
  field: string,
  { task, tables }: Pick<TaskAsk, 'task' | 'tables'>,
): DelegateError {
  const entry = `{ url: ${shown(address)}, tasks: [${task}], tables: [${tables.join(', ')}] }`;
  return policyError(
    'policy.instance-not-allowed',
    `${field}: ${shown(address)} is not among the instances of the policy file.`,
    { hint: toAllow('instances', entry), details: { rule: 'instances', instance: shown(address) } },
  );
}

function taskNotAllowed(task: string, rule: string): DelegateError {
  return policyError(
    'policy.task-not-allowed',
    `The task ${task} is not among the tasks that the policy file allows at ${rule}.`,
    { hint: toAllow(`the tasks of ${rule}`, task), details: { rule: `${rule}: tasks`, task } },
  );
}

function tableNotAllowed(table: string, rule: string): DelegateError {
  return policyError(
    'policy.table-not-allowed',
    `The table ${table} is not among the tables that the policy file allows at ${rule}.`,
    { hint: toAllow(`the tables of ${rule}`, table), details: { rule: `${rule}: tables`, table } },
  );
}

function tokenServerNotAllowed(url: URL, field: string, instance: string): DelegateError {
  const address = shown(addressOf(url));
  return policyError(
    'policy.token-server-not-allowed',
    `${field}: ${address} is not among the token servers that the policy file allows for ${instance}.`,
    {
      hint: toAllow(`tokenServers, and ${address} to the tokenServers of ${instance}`, `{ url: ${address} }`),
      details: { rule: `${instance}: tokenServers`, tokenServer: address },
    },
  );
}

/** @param refused undefined if no rule is for this secret */
function secretNotAllowed(
  reference: string,
  origins: readonly string[],
  refused: readonly string[] | undefined,
): DelegateError {
  const name = shownReference(reference);
  const message =
    refused === undefined
      ? `No rule of the policy file is for the secret ${name}.`
      : `The policy file does not let the secret ${name} go to ${refused.join(' and ')}.`;
  return policyError('policy.secret-not-allowed', message, {
    hint: toAllow('secrets', `{ reference: '${name}', hosts: [${origins.join(', ')}] }`),
    details: { rule: 'secrets', reference: name, origins: [...origins] },
  });
}

function destinationNotAllowed({ host, origin }: URL): DelegateError {
  return policyError(
    'policy.destination-not-allowed',
    `A connection to ${host} was not made: the policy file has neither an instance nor a token server there.`,
    { details: { rule: 'instances, tokenServers', origin } },
  );
}

function toAllow(where: string, entry: string): string {
  return `If it is to be allowed, the owner of the policy file adds ${entry} to ${where} and restarts the delegate.`;
}

function shown(address: string): string {
  return address.length <= MAX_SHOWN_CHARS ? address : `${address.slice(0, MAX_SHOWN_CHARS)}…`;
}
