import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { Child } from '../../src/dev/child.ts';
import { JsonApi } from '../../src/dev/json-api.ts';
import { CLI } from './contestants.ts';

/** `servicenow-delegate manager`, a process, and its API. */
export interface ReferenceManager extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly api: JsonApi;
  /** For as many delegates as come. */
  readonly enrolmentToken: string;
}

/** Of looks at a ticket; a quick run does not wait for the usual one. */
const LEAST_INTERVAL_MS = 1_000;

const ready = z.looseObject({ url: z.string() });
const issued = z.looseObject({ value: z.string() });

/** Its log goes nowhere, at the level that it ships with. */
export async function startReferenceManager(): Promise<ReferenceManager> {
  const apiToken = randomBytes(24).toString('base64url');
  const child = new Child({
    name: 'manager',
    argv: [CLI, 'manager'],
    env: {
      MANAGER_HTTP_PORT: '0',
      MANAGER_API_TOKEN: apiToken,
      MANAGER_MIN_RETRY_INTERVAL_MS: String(LEAST_INTERVAL_MS),
    },
    onLine: () => {},
  });
  try {
    const { url } = ready.parse(await child.line(({ msg }) => msg === 'manager ready'));
    const api = new JsonApi(url, apiToken);
    const token = await api.post('/api/v1/enrolment-tokens', { label: 'bench', singleUse: false }, issued);
    return {
      url,
      pid: child.pid,
      api,
      enrolmentToken: token.value,
      [Symbol.asyncDispose]: async () => await child[Symbol.asyncDispose](),
    };
  } catch (failure) {
    await child[Symbol.asyncDispose]();
    throw failure;
  }
}
