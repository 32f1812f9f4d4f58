import convict from 'convict';
import { MAX_CAPACITY, MAX_LISTED_TASKS, MAX_TAGS } from '../protocol/limits.ts';

const MAX_TEXT_CHARS = 4_096;
/** What enrolment carries (PROTOCOL.md, section 2.2). */
const MAX_NAME_CHARS = 256;
const MAX_TAG_CHARS = 128;
/** The host name is added to those of the configuration. */
const MAX_CONFIGURED_TAGS = MAX_TAGS - 1;
const MAX_WRITABLE_SECRETS = 1_000;
const MAX_GRACE_SECONDS = 3_600;
const MIN_OUTBOX_BYTES = 1_048_576;
const MAX_OUTBOX_BYTES = 1_024 * 1_048_576;

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
    name: 'tags',
    coerce: listed,
    validate: checkTags,
  });
  convict.addFormat({ name: 'writable-secrets', coerce: listed, validate: checkWritableSecrets });
  convict.addFormat({ name: 'manager-url', validate: checkManagerUrl });
  convict.addFormat({ name: 'secret-names', validate: checkSecretNames });
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

/** Not names from `secretNames`: who may write a file is to be seen without looking up which it is. */
function checkWritableSecrets(value: unknown): void {
  if (!Array.isArray(value)) throw new TypeError('must be a list, or text separated by commas');
  if (value.length > MAX_WRITABLE_SECRETS) {
    throw new TypeError(`must have at most ${MAX_WRITABLE_SECRETS} entries`);
  }
  for (const reference of value) {
    if (typeof reference !== 'string' || !/^file:.{1,512}$/.test(reference)) {
      throw new TypeError('each entry must be file:relative/path; nothing else can be written');
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
    if (typeof reference !== 'string' || !/^(env|file):.+$/.test(reference)) {
      throw new TypeError(`"${name}" must stand for env:NAME or file:relative/path`);
    }
  }
}
