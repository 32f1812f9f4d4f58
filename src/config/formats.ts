import convict from 'convict';
import { MAX_CAPACITY, MAX_LISTED_TASKS, MAX_TAGS } from '../protocol/limits.ts';
import { SECRET_PROVIDERS } from './schema.ts';
import { checkClientCertificates, checkProxyUrl } from './network-formats.ts';
import { checkCollectorAddress, checkResourceAttributes } from './trace-formats.ts';

const MAX_TEXT_CHARS = 4_096;
/** What enrolment carries (PROTOCOL.md, section 2.2). */
const MAX_NAME_CHARS = 256;
const MAX_TAG_CHARS = 128;
/** The host name is added to those of the configuration. */
const MAX_CONFIGURED_TAGS = MAX_TAGS - 1;
const MAX_WRITABLE_SECRETS = 1_000;
const MAX_CACHE_SECONDS = 3_600;
const MAX_GRACE_SECONDS = 3_600;
const MAX_DAYS = 3_650;
const MIN_OUTBOX_BYTES = 1_048_576;
const MAX_OUTBOX_BYTES = 1_024 * 1_048_576;
const MIN_AUDIT_BYTES = 1_048_576;
const MAX_AUDIT_BYTES = 8_192 * 1_048_576;

/**
 * Our own formats, because convict's would let mistakes through: its Boolean takes every text but "false" for
 * true, so that `DELEGATE_ALLOW_LOOPBACK=no` would switch it on, and its numbers read "16abc" as 16.
 * A coercion that fails leaves the text as it is, and the check then complains with everything else.
 */
export function addFormats(): void {
  convict.addFormat({
    name: 'flag',
    coerce: (value: unknown) => (value === 'true' ? true : value === 'false' ? false : value),
    validate: (value: unknown) => {
      if (typeof value !== 'boolean') throw new TypeError('must be true or false');
    },
  });
  for (const [name, least, most] of [
    ['capacity', 1, MAX_CAPACITY],
    ['listen-port', 0, 65_535],
    ['grace-seconds', 0, MAX_GRACE_SECONDS],
    ['days', 0, MAX_DAYS],
    ['cache-seconds', 0, MAX_CACHE_SECONDS],
    // `hello` names them all in one list.
    ['outbox-results', 1, MAX_LISTED_TASKS],
    ['outbox-bytes', MIN_OUTBOX_BYTES, MAX_OUTBOX_BYTES],
  ] as const) {
    convict.addFormat({
      name,
      coerce: wholeNumber,
      validate: (value: unknown) => inRange(value, least, most),
    });
  }
  convict.addFormat({
    name: 'audit-bytes',
    coerce: wholeNumber,
    validate: checkAuditBytes,
  });
  convict.addFormat({
    name: 'tags',
    coerce: listed,
    validate: checkTags,
  });
  convict.addFormat({ name: 'writable-secrets', coerce: listed, validate: checkWritableSecrets });
  convict.addFormat({ name: 'ratio', coerce: decimal, validate: checkRatio });
  convict.addFormat({ name: 'collector-address', validate: checkCollectorAddress });
  convict.addFormat({ name: 'resource-attributes', coerce: listed, validate: checkResourceAttributes });
  convict.addFormat({ name: 'manager-url', validate: checkManagerUrl });
  convict.addFormat({ name: 'store-address', validate: checkStoreAddress });
  convict.addFormat({
    name: 'aws-region',
    validate: (value: unknown) => checkForm(value, AWS_REGION, 'a region such as eu-central-1'),
  });
  convict.addFormat({
    name: 'gcp-project',
    validate: (value: unknown) => checkForm(value, GCP_PROJECT, 'the id of a project, such as my-project'),
  });
  convict.addFormat({ name: 'secret-names', validate: checkSecretNames });
  convict.addFormat({ name: 'proxy-url', validate: checkProxyUrl });
  convict.addFormat({ name: 'client-certificates', validate: checkClientCertificates });
  convict.addFormat({ name: 'text', validate: (value: unknown) => checkText(value, MAX_TEXT_CHARS) });
  convict.addFormat({
    name: 'delegate-name',
    validate: (value: unknown) => checkText(value, MAX_NAME_CHARS),
  });
  convict.addFormat({
    name: 'needed-text',
    validate: (value: unknown) => {
      checkText(value, MAX_TEXT_CHARS);
      if (value === '') throw new TypeError('must not be empty');
    },
  });
}

function checkText(value: unknown, maxChars: number): void {
  if (typeof value !== 'string') throw new TypeError('must be text');
  if (value.length > maxChars) throw new TypeError(`must have at most ${maxChars} characters`);
}

function wholeNumber(value: unknown): unknown {
  return typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
}

function decimal(value: unknown): unknown {
  return typeof value === 'string' && /^\d{1,10}(?:\.\d{1,10})?$/.test(value) ? Number(value) : value;
}

function checkRatio(value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1)) {
    throw new TypeError('must be a number from 0 to 1, such as 0.1');
  }
}

function inRange(value: unknown, least: number, most: number): void {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw new TypeError(`must be a whole number from ${least} to ${most}`);
  }
}

/** What stands between commas. */
function listed(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** None at all is the operator's choice; a log that holds nothing for long is a mistake. */
function checkAuditBytes(value: unknown): void {
  const isNumber = typeof value === 'number' && Number.isInteger(value);
  if (isNumber && (value === 0 || (value >= MIN_AUDIT_BYTES && value <= MAX_AUDIT_BYTES))) return;
  throw new TypeError(`must be a whole number from ${MIN_AUDIT_BYTES} to ${MAX_AUDIT_BYTES}, or 0`);
}

function checkTags(value: unknown): void {
  if (!Array.isArray(value)) throw new TypeError('must be a list, or text separated by commas');
  if (value.length > MAX_CONFIGURED_TAGS) {
    throw new TypeError(`must have at most ${MAX_CONFIGURED_TAGS} entries`);
  }
  for (const tag of value) {
    if (typeof tag !== 'string' || tag.trim() === '' || tag.length > MAX_TAG_CHARS) {
      throw new TypeError(`each entry must be text of 1 to ${MAX_TAG_CHARS} characters`);
    }
  }
}

function checkManagerUrl(value: unknown): void {
  if (typeof value !== 'string' || value === '') {
    throw new TypeError('is required: the https address that your manager gave you');
  }
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('must be an address such as https://manager.example.com');
  }
  if (url.username !== '' || url.password !== '') throw new TypeError('must not hold credentials');
  if (url.search !== '' || url.hash !== '') throw new TypeError('must not have a query or a fragment');
}

/** Of a secret store. Plain http stays on this machine: whoever listens would have every secret, and the token too. */
function checkStoreAddress(value: unknown): void {
  checkText(value, MAX_TEXT_CHARS);
  if (value === '') return;
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  const isLocal = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url?.hostname ?? '');
  if (url?.protocol !== 'https:' && !(url?.protocol === 'http:' && isLocal)) {
    throw new TypeError('must be an https address; plain http is for loopback alone');
  }
  if (url.username !== '' || url.password !== '') throw new TypeError('must not hold credentials');
  if (url.search !== '' || url.hash !== '') throw new TypeError('must not have a query or a fragment');
}

/** It becomes a part of host names. */
const AWS_REGION = /^[a-z]{2}(?:-[a-z]{2,16}){1,3}-\d{1,2}$/;
const GCP_PROJECT = /^(?:[a-z0-9.-]{1,63}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/;

function checkForm(value: unknown, form: RegExp, what: string): void {
  if (typeof value !== 'string' || (value !== '' && !form.test(value)))
    throw new TypeError(`must be ${what}`);
}

/** Of those who write, only the store itself knows whether it can. */
const READ_ONLY: ReadonlySet<string> = new Set(['env', 'exec', 'kubernetes']);

/** The provider of a reference; undefined if there is none of that name, as before the colon of a pasted password. */
function providerOf(reference: unknown): string | undefined {
  const [, name] = typeof reference === 'string' ? (/^([a-z]{1,32}):.{1,512}$/.exec(reference) ?? []) : [];
  return SECRET_PROVIDERS.find((provider) => provider === name);
}

/** Not names from `secretNames`: who may write a file is to be seen without looking up which it is. */
function checkWritableSecrets(value: unknown): void {
  if (!Array.isArray(value)) throw new TypeError('must be a list, or text separated by commas');
  if (value.length > MAX_WRITABLE_SECRETS) {
    throw new TypeError(`must have at most ${MAX_WRITABLE_SECRETS} entries`);
  }
  for (const reference of value) {
    const provider = providerOf(reference);
    if (provider === undefined || READ_ONLY.has(provider)) {
      throw new TypeError(
        'each entry must be a reference that can be written, such as file:relative/path; env, exec and kubernetes can not be',
      );
    }
  }
}

/** As pairs: convict splits the keys of a mapping at their dots, and secret names have dots. */
function checkSecretNames(value: unknown): void {
  if (!Array.isArray(value)) throw new TypeError('must be a mapping of names to references');
  for (const pair of value) {
    const [name, reference]: unknown[] = Array.isArray(pair) ? pair : [];
    if (typeof name !== 'string' || !/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/.test(name)) {
      throw new TypeError('each name has letters, digits, "_", "." and "-" and begins with a letter or "_"');
    }
    if (providerOf(reference) === undefined) {
      throw new TypeError(`"${name}" must stand for a reference such as env:NAME or file:relative/path`);
    }
  }
}
