import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { adfsJson, UNAVAILABLE_HTML } from './adfs-dialect.ts';

/** What a token endpoint answers to a request that it grants. */
export type TokenBody = Record<string, unknown>;

/** Takes the place of the whole answer. */
type Instead = (response: ServerResponse) => void;
/** Changes what is granted. A field that is undefined is left out of the answer. */
type Alter = (body: TokenBody) => TokenBody;

const html = (response: ServerResponse, status: number): void => {
  response.writeHead(status, { 'content-type': 'text/html; charset=us-ascii' }).end(UNAVAILABLE_HTML);
};

const refuse = (response: ServerResponse, status: number, error: Readonly<Record<string, unknown>>): void => {
  response.writeHead(status, { 'content-type': 'application/json;charset=UTF-8' }).end(adfsJson(error));
};

/** One line, one fault. */
const INSTEAD = {
  'unavailable-html': (response) => html(response, 503),
  'html-as-success': (response) => html(response, 200),
  // A token URL with a mistake in it; AD FS says no more.
  'not-found': (response) => response.writeHead(404, { 'content-length': '0' }).end(),
  // A code that nobody has heard of: made up, so that nothing can be written for it.
  'unknown-refusal': (response) =>
    refuse(response, 400, {
      error: 'invalid_request',
      error_description: 'MSIS0000: Something new is missing.',
    }),
  // Entra ID in the place of AD FS: the dialect is another, the codes of RFC 6749 are the same.
  'entra-unknown-certificate': (response) =>
    refuse(response, 401, {
      error: 'invalid_client',
      error_description:
        'AADSTS700027: The certificate with this thumbprint is not registered on the application.',
      error_codes: [700_027],
    }),
  throttled: (response) => response.writeHead(429, { 'retry-after': '7' }).end(),
  redirect: (response) =>
    response.writeHead(302, { location: '/adfs/ls/?wa=wsignin1.0&wctx=an-opaque-state' }).end(),
  // The client's patience, or close(), ends it.
  stall: () => undefined,
  reset: (response) => response.destroy(),
  truncated: (response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"torn-token-'),
} as const satisfies Record<string, Instead>;

const ALTER = {
  'string-expires-in': (body) => ({ ...body, expires_in: String(body['expires_in']) }),
  'missing-expires-in': (body) => ({ ...body, expires_in: undefined }),
  'missing-access-token': (body) => ({ ...body, access_token: undefined }),
  'not-bearer': (body) => ({ ...body, token_type: 'pop' }),
} as const satisfies Record<string, Alter>;

type InsteadName = keyof typeof INSTEAD;
type AlterName = keyof typeof ALTER;

const names = <T extends Record<string, unknown>>(table: T): (keyof T & string)[] => Object.keys(table);

export const faultSchema = z.object({
  /** `server-error` is AD FS' own refusal and comes in its dialect. */
  name: z.enum(['server-error', ...names(INSTEAD), ...names(ALTER)]),
  /** How many requests it meets; for ever unless given. */
  times: z.number().int().min(1).optional(),
});

export type Fault = z.infer<typeof faultSchema>;

/** The faults to come, in the order in which they were added: each request meets the first one. */
export class Faults {
  #queue: { name: Fault['name']; left: number }[] = [];

  add(fault: Fault): void {
    const { name, times } = faultSchema.parse(fault);
    this.#queue.push({ name, left: times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#queue = [];
  }

  /** The fault that meets this request, counted down. */
  next(): Fault['name'] | undefined {
    const [first] = this.#queue;
    if (first === undefined) return undefined;
    first.left -= 1;
    if (first.left === 0) this.#queue.shift();
    return first.name;
  }
}

export function insteadOf(fault: Fault['name'] | undefined): Instead | undefined {
  return isInstead(fault) ? INSTEAD[fault] : undefined;
}

export function altered(fault: Fault['name'] | undefined, body: TokenBody): TokenBody {
  return isAlter(fault) ? ALTER[fault](body) : body;
}

function isInstead(fault: string | undefined): fault is InsteadName {
  return fault !== undefined && Object.hasOwn(INSTEAD, fault);
}

function isAlter(fault: string | undefined): fault is AlterName {
  return fault !== undefined && Object.hasOwn(ALTER, fault);
}
