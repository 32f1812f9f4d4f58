import { z } from 'zod';
import type { FakeAdfs } from './fake-adfs.ts';
import { faultSchema } from './faults.ts';
import { sendJson, type Exchange } from './http-plane.ts';
import { clientRegistrationSchema } from './registry.ts';

const resourceSchema = z.object({ identifier: z.string().min(1) });

/** What the admin plane works on: the in-process object without its lifetime. */
type Administered = Pick<
  FakeAdfs,
  'url' | 'tokenEndpoint' | 'issuer' | 'jwks' | 'faults' | 'journal' | 'registerClient' | 'registerResource'
>;

type Operation = (adfs: Administered, input: unknown) => unknown;

/** The operations of the in-process object, for when the fake runs as a process of its own. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  'GET /__sim/info': ({ url, tokenEndpoint, issuer, jwks }) => ({ url, tokenEndpoint, issuer, jwks }),
  'GET /__sim/journal': (adfs) => adfs.journal(),
  'POST /__sim/clients': (adfs, input) => adfs.registerClient(clientRegistrationSchema.parse(input)),
  'POST /__sim/resources': (adfs, input) => adfs.registerResource(resourceSchema.parse(input).identifier),
  'POST /__sim/faults': (adfs, input) => adfs.faults.add(faultSchema.parse(input)),
  'DELETE /__sim/faults': (adfs) => adfs.faults.clear(),
};

/** 200 with what the operation gives (null for a command), 400 for input it can't read, 404 for no operation. */
export function answerAdmin(adfs: Administered): (exchange: Exchange) => Promise<void> {
  return async ({ method, path, response, body }) => {
    const operation = OPERATIONS[`${method} ${path}`];
    if (operation === undefined) {
      sendJson(response, 404, { error: 'no such operation', operations: Object.keys(OPERATIONS) });
      return;
    }
    try {
      sendJson(response, 200, operation(adfs, body === '' ? undefined : JSON.parse(body)) ?? null);
    } catch (error) {
      if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw error;
      sendJson(response, 400, { error: error.message });
    }
  };
}
