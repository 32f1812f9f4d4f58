import { isIP } from 'node:net';
import { z } from 'zod';
import { bareHostname } from '../kit/http-exchange.ts';
import { isLoopbackHost } from './destination.ts';
import { isReference } from './secret-reference.ts';

/** Bounds of one file: each far above what a customer has, and low enough that a page of complaints is the worst. */
const MAX_INSTANCES = 100;
const MAX_TASKS = 50;
const MAX_TABLES = 500;
const MAX_TOKEN_SERVERS = 100;
const MAX_SECRETS = 1_000;
const MAX_HOSTS = 50;
const MAX_NETWORKS = 500;
/** One ticket is asked for with room for two rows, so that a number that exists twice shows. */
const MIN_ROWS = 2;
const MAX_ROWS = 10_000;
export const DEFAULT_MAX_ROWS = 1_000;
const MIN_ANSWER_BYTES = 65_536;
export const DEFAULT_MAX_ANSWER_BYTES = 16 * 1_048_576;

const HOST = String.raw`[a-z0-9.:[\]-]+`;
const PATH = String.raw`(?:\/[A-Za-z0-9_~.-]+)*`;

/** As text a URL has many spellings; a rule has the one that is compared with what is sent. */
function canonical(spelling: (url: URL) => string): (text: string, context: z.RefinementCtx) => void {
  return (text, context) => {
    const whole = /^https?:\/\//.test(text) ? text : `https://${text}`;
    const url = URL.canParse(whole) ? new URL(whole) : undefined;
    if (url === undefined) {
      context.addIssue('is not an address');
      return;
    }
    if (url.hostname.endsWith('.')) {
      context.addIssue('the host must be written without the dot at its end');
      return;
    }
    if (whole === text && spelling(url) !== text) context.addIssue(`must be written as ${spelling(url)}`);
    if (whole !== text && url.host !== text) context.addIssue(`must be written as ${url.host}`);
    if (url.protocol === 'http:' && !isLoopbackHost(bareHostname(url))) {
      context.addIssue('must be https; plain http is for loopback alone, and for development');
    }
  };
}

function withPath(url: URL): string {
  return url.origin + (url.pathname === '/' ? '' : url.pathname) + url.search;
}

const instanceUrl = z
  .string()
  .max(2_048)
  .regex(new RegExp(`^https?://${HOST}${PATH}$`), {
    error:
      'must be the address of an instance in small letters, such as https://acme.service-now.com, with its context path if it has one, and nothing behind it',
    abort: true,
  })
  .superRefine(canonical(withPath));

const tokenServerUrl = z
  .string()
  .max(2_048)
  .regex(new RegExp(String.raw`^https?://${HOST}${PATH}(?:\?[A-Za-z0-9_~.=&-]+)?$`), {
    error:
      'must be an origin (https://login.acme.com) or the whole address of a token endpoint (https://login.acme.com/oauth/token)',
    abort: true,
  })
  .superRefine(canonical(withPath));

/** What leaves this file is an origin. */
const host = z
  .string()
  .max(512)
  .regex(new RegExp(`^(?:https?://)?${HOST}$`), {
    error: 'must be a host or an origin in small letters, such as acme.service-now.com',
    abort: true,
  })
  .superRefine(canonical(({ origin }) => origin))
  .transform((text) => (/^https?:\/\//.test(text) ? text : `https://${text}`));

const proxy = z
  .string()
  .max(512)
  .regex(new RegExp(String.raw`^(?:direct|https?://${HOST}:\d{1,5})$`), {
    error:
      'must be direct, or the address of a proxy with its port, such as http://proxy.acme.com:3128; a password belongs into the settings',
    abort: true,
  })
  .refine((text) => text === 'direct' || URL.canParse(text), 'is not an address');

const taskName = z
  .string()
  .max(128)
  .regex(
    /^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)+$/,
    'must be the name of a task, such as servicenow.approval.check',
  );

const tableName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,79}$/, 'must be the name of a table, such as change_request');

const reference = z
  .string()
  .max(512)
  .regex(/^[a-z][a-z0-9-]{0,31}:\S+$/, {
    error: 'must be a secret reference, such as env:SN_PASSWORD or file:servicenow/*',
    abort: true,
  })
  .refine((text) => isReference(text.replaceAll('*', 'x')), 'must not have empty, "." or ".." segments');

const network = z
  .string()
  .max(64)
  .regex(/^[0-9a-fA-F.:]+\/\d{1,3}$/, { error: 'must be a network such as 10.0.0.0/8', abort: true })
  .refine(isNetwork, 'is not a network');

function isNetwork(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/');
  const family = isIP(address);
  return family !== 0 && Number(prefix) <= (family === 6 ? 128 : 32);
}

const listOf = <T extends z.ZodType>(item: T, most: number): z.ZodArray<T> =>
  z.array(item).max(most, `must have at most ${most} entries`);

/** What is said of a value that is there. */
function given(message: string): (issue: { readonly input: unknown }) => string | undefined {
  return ({ input }) => (input === undefined ? undefined : message);
}

const wholeNumber = (least: number, most: number): z.ZodNumber => {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.number(error).int(error).min(least, error).max(most, error);
};

const instance = z.strictObject({
  url: instanceUrl.meta({ description: 'Exact origin, and the context path if there is one.' }),
  tasks: listOf(taskName, MAX_TASKS).meta({ description: 'What the manager may have done there.' }),
  tables: listOf(tableName, MAX_TABLES).meta({ description: 'What may be read there.' }),
  tokenServers: listOf(tokenServerUrl, MAX_TOKEN_SERVERS).default([]).meta({
    description:
      'Where its connectors may get tokens, each written as under tokenServers; none: passwords only.',
  }),
  proxy: proxy.optional().meta({ description: 'In the place of what the settings say.' }),
});

const tokenServer = z.strictObject({
  url: tokenServerUrl.meta({
    description: 'The address of the token endpoint; an origin alone stands for every path there.',
  }),
  proxy: proxy.optional().meta({ description: 'In the place of what the settings say.' }),
});

const secret = z.strictObject({
  reference: reference.meta({
    description: 'As connectors name it, behind secretNames. * stands for a part of one path segment.',
  }),
  hosts: listOf(host, MAX_HOSTS).meta({
    description: 'Where its value may be sent; none: it is used on this machine alone, such as a key.',
  }),
});

const limits = z.strictObject({
  maxRows: wholeNumber(MIN_ROWS, MAX_ROWS)
    .default(DEFAULT_MAX_ROWS)
    .meta({ description: 'Rows that one request may ask for.' }),
  maxAnswerBytes: wholeNumber(MIN_ANSWER_BYTES, DEFAULT_MAX_ANSWER_BYTES)
    .default(DEFAULT_MAX_ANSWER_BYTES)
    .meta({ description: 'Bytes that one answer may have.' }),
});

/** The policy file. What it does not name is refused. */
export const policySchema = z
  .strictObject({
    version: z.literal(1, { error: given('must be 1') }),
    instances: listOf(instance, MAX_INSTANCES).meta({
      description: 'The ServiceNow instances that may be asked.',
    }),
    tokenServers: listOf(tokenServer, MAX_TOKEN_SERVERS)
      .default([])
      .meta({ description: 'The servers that tokens may be got from.' }),
    secrets: listOf(secret, MAX_SECRETS).meta({ description: 'The secrets that connectors may use.' }),
    limits: limits.default({ maxRows: DEFAULT_MAX_ROWS, maxAnswerBytes: DEFAULT_MAX_ANSWER_BYTES }),
    signedTasks: z
      .enum(['required', 'optional'], { error: given('must be required or optional') })
      .meta({ description: 'required: a task without a valid signature is refused.' }),
    network: z
      .strictObject({
        deniedAddresses: listOf(network, MAX_NETWORKS).meta({
          description: 'Networks that no request may reach, besides those that are refused anyway.',
        }),
      })
      .default({ deniedAddresses: [] }),
  })
  .superRefine((document, context) => checkTogether(document, context));

export type PolicyDocument = z.output<typeof policySchema>;
export type InstanceRule = PolicyDocument['instances'][number];
export type TokenServerRule = PolicyDocument['tokenServers'][number];
export type SecretRule = PolicyDocument['secrets'][number];

/** What one rule alone can't tell: rules that contradict each other, or name what is not there. */
function checkTogether(
  document: {
    instances: readonly InstanceRule[];
    tokenServers: readonly TokenServerRule[];
    secrets: readonly { reference: string }[];
  },
  context: z.RefinementCtx,
): void {
  const { instances, tokenServers, secrets } = document;
  const complain = (path: PropertyKey[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  for (const [section, keys] of [
    ['instances', instances.map(({ url }) => url)],
    ['tokenServers', tokenServers.map(({ url }) => url)],
    ['secrets', secrets.map((rule) => rule.reference)],
  ] as const) {
    const field = section === 'secrets' ? 'reference' : 'url';
    for (const [index, key] of keys.entries()) {
      const first = keys.indexOf(key);
      if (first < index) complain([section, index, field], `is in ${section}[${first}] already`);
    }
  }
  const known = new Set(tokenServers.map(({ url }) => url));
  for (const [index, rule] of instances.entries()) {
    for (const [at, url] of rule.tokenServers.entries()) {
      if (!known.has(url))
        complain(['instances', index, 'tokenServers', at], 'is not the url of any entry of tokenServers');
    }
  }
  checkProxies(document, complain);
}

/** Connections are shared by whatever goes to one origin, and so is their proxy. */
function checkProxies(
  document: { instances: readonly InstanceRule[]; tokenServers: readonly TokenServerRule[] },
  complain: (path: PropertyKey[], message: string) => void,
): void {
  const byOrigin = new Map<string, string>();
  for (const section of ['instances', 'tokenServers'] as const) {
    for (const [index, rule] of document[section].entries()) {
      if (rule.proxy === undefined) continue;
      const { origin } = new URL(rule.url);
      const other = byOrigin.get(origin);
      if (other !== undefined && other !== rule.proxy)
        complain([section, index, 'proxy'], `another rule for ${origin} names another proxy`);
      byOrigin.set(origin, rule.proxy);
    }
  }
}
