import { z } from 'zod';
import type { Json } from '../protocol/messages.ts';

/**
 * What the manager checks of a connector: that people can tell it apart, that a delegate can be chosen for it,
 * and that no secret value is in it. Whether it is right is the delegate's to say, which alone can try it.
 */

/** Fields of `auth.spec` that are not secret. Everything else there must be a reference. */
const PLAIN_AUTH_FIELDS: ReadonlySet<string> = new Set([
  'username',
  'adfsUrl',
  'tokenUrl',
  'scope',
  'tokenType',
]);

/** Elsewhere a delegate newer than this manager may know more fields, so only the telling names are refused. */
const SECRET_NAME = /pass(word|phrase)|secret|token|credential|api_?key|private_?key|certificate/i;

const PEM_BEGIN = '-----BEGIN ';
/** A reference is a name or an address, not a text. */
const REFERENCE = /^\S{1,512}$/;
const MAX_DEPTH = 16;

const httpUrl = z
  .string()
  .max(2_048)
  .refine(
    (text) => {
      const url = URL.canParse(text) ? new URL(text) : null;
      return url !== null && (url.protocol === 'https:' || url.protocol === 'http:');
    },
    { error: 'must be an http or https URL' },
  );

export const identifierSchema = z.string().regex(/^[A-Za-z_][A-Za-z0-9_$]{0,127}$/, {
  error: 'must begin with a letter or _ and go on with letters, digits, _ or $, 128 at most',
});

export const selectorsSchema = z.array(z.string().trim().min(1).max(256)).max(64);

export const connectorSchema = z
  .looseObject({
    name: z.string().trim().min(1).max(128),
    identifier: identifierSchema,
    description: z.string().max(1_024).optional(),
    tags: z.record(z.string().max(128), z.string().max(256)).optional(),
    type: z.literal('ServiceNow'),
    spec: z.looseObject({
      serviceNowUrl: httpUrl,
      delegateSelectors: selectorsSchema.optional(),
      auth: z.looseObject({
        type: z.enum(['UsernamePassword', 'AdfsClientCredentialsWithCertificate', 'RefreshTokenGrantType']),
        spec: z.record(z.string(), z.json()),
      }),
    }),
  })
  .superRefine((connector, context) => {
    for (const { path, message } of findSecrets(connector)) {
      context.addIssue({ code: 'custom', path, message });
    }
  });

export type ConnectorInput = z.infer<typeof connectorSchema>;

/** The connector as plain JSON, which it was before it was checked. */
export function toJson(connector: ConnectorInput): Json {
  return z.json().parse(connector);
}

interface Complaint {
  readonly path: string[];
  readonly message: string;
}

function findSecrets(connector: ConnectorInput): Complaint[] {
  const { auth, ...spec } = connector.spec;
  const { spec: authSpec, ...authRest } = auth;
  const inAuth = Object.keys(authSpec)
    .filter((key) => !key.endsWith('Ref') && !PLAIN_AUTH_FIELDS.has(key))
    .map((key) => ({
      path: ['spec', 'auth', 'spec', key],
      message: `is not known as a plain field, so it could hold a secret; give a reference (${key}Ref)`,
    }));
  return [
    ...inAuth,
    ...walk(authSpec, ['spec', 'auth', 'spec'], () => false),
    ...walk(authRest, ['spec', 'auth'], (key) => SECRET_NAME.test(key)),
    ...walk({ ...connector, spec }, [], (key) => SECRET_NAME.test(key)),
  ];
}

/** Looks at every value, and at every name that `telling` finds telling. */
function walk(value: unknown, path: string[], telling: (key: string) => boolean): Complaint[] {
  if (path.length > MAX_DEPTH) return [{ path, message: 'is nested too deep' }];
  if (typeof value === 'string') return inspectText(value, path);
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => walk(item, [...path, String(index)], telling));
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    telling(key) && !key.endsWith('Ref') && path.at(-1) !== 'tags'
      ? [{ path: [...path, key], message: `could hold a secret; give a reference (${key}Ref)` }]
      : walk(item, [...path, key], telling),
  );
}

function inspectText(text: string, path: string[]): Complaint[] {
  if (text.includes(PEM_BEGIN)) {
    return [{ path, message: 'holds a key or certificate; give a reference to it' }];
  }
  if (path.at(-1)?.endsWith('Ref') === true && !REFERENCE.test(text)) {
    return [{ path, message: 'must be a reference: 1 to 512 characters without blanks' }];
  }
  if (path.at(-1)?.endsWith('Url') === true && hasUserInfo(text)) {
    return [{ path, message: 'must not carry a user name or password' }];
  }
  return [];
}

function hasUserInfo(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && (url.username !== '' || url.password !== '');
}
