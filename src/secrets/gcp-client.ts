import * as z from 'zod';
import type { HttpResponse } from '../kit/http-exchange.ts';
import { asked, refused, textOf, type CloudAction, type CloudOptions } from './cloud.ts';
import { gcpOrigin, type GcpSettings } from './cloud-settings.ts';
import { gcpRefusal } from './gcp-refusals.ts';
import { GCP, gcpLogin } from './gcp-login.ts';
import { secretError } from './errors.ts';
import { ShortMemory } from './short-memory.ts';

/** However long a token is good for: a role that is taken from the delegate counts after this. */
const KEEP_TOKEN_MS = 240_000;

/** https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access */
const accessed = z.object({ name: z.string(), payload: z.object({ data: z.base64().default('') }) });

export interface GcpSecret {
  readonly value: string;
  /** With its number, where `latest` was asked for: `projects/1/secrets/name/versions/3`. */
  readonly version: string;
}

/**
 * The two calls that the delegate makes, by hand: they are two plain requests, and Google's client for them brings gRPC
 * and a hundred packages. A secret is `projects/p/secrets/s`; `reference` is for errors alone.
 */
export interface GcpClient extends AsyncDisposable {
  read(secret: string, version: string, reference: string, signal: AbortSignal): Promise<GcpSecret>;
  write(secret: string, value: string, reference: string, signal: AbortSignal): Promise<void>;
}

export function connectGcp(settings: GcpSettings, options: CloudOptions): GcpClient {
  const { ports } = options;
  const origin = gcpOrigin(settings);
  const tokens = new ShortMemory<string>({ store: GCP, clock: ports.clock, keepMs: KEEP_TOKEN_MS });
  const login = gcpLogin(options);

  const token = async (signal: AbortSignal): Promise<string> =>
    await tokens.get('token', signal, async (ending) => {
      const fresh = await login(ending);
      ports.protect(fresh.value, [origin]);
      return fresh;
    });

  const call = async (
    action: CloudAction,
    path: string,
    body: string | undefined,
    reference: string,
    signal: AbortSignal,
  ): Promise<HttpResponse> => {
    const headers = { accept: 'application/json', authorization: `Bearer ${await token(signal)}` };
    const answer = await asked(GCP, signal, async () => {
      const url = new URL(`/v1/${path}`, origin);
      return body === undefined
        ? await ports.send({ method: 'GET', url, headers, signal })
        : await ports.send({
            method: 'POST',
            url,
            headers: { ...headers, 'content-type': 'application/json' },
            body,
            signal,
          });
    });
    if (answer.status === 200) return answer;
    // It may have been taken back before its time.
    if (answer.status === 401) tokens.forget('token');
    const { refusal, details } = gcpRefusal(answer, action);
    throw refused(GCP, action, reference, refusal, details);
  };

  return {
    async read(secret, version, reference, signal) {
      const path = `${secret}/versions/${version}:access`;
      const { name, payload } = secretIn(await call('read', path, undefined, reference, signal));
      return { value: textOf(Buffer.from(payload.data, 'base64'), reference), version: name };
    },
    async write(secret, value, reference, signal) {
      const body = JSON.stringify({ payload: { data: Buffer.from(value).toString('base64') } });
      await call('replaced', `${secret}:addVersion`, body, reference, signal);
    },
    [Symbol.asyncDispose]: async () => await tokens[Symbol.asyncDispose](),
  };
}

/** No error of the parsers goes on: they quote what they could not read. */
function secretIn({ body }: HttpResponse): z.infer<typeof accessed> {
  try {
    const { data } = accessed.safeParse(JSON.parse(body));
    if (data !== undefined) return data;
  } catch {
    // Said below.
  }
  throw secretError('secret-store-bad-answer', `${GCP} answered with something that is no secret.`);
}
