import { Agent, request } from 'undici';
import { transportError } from '../../src/http/transport-error.ts';
import type { HttpSend } from '../../src/kit/http-exchange.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { assertSecretsStay } from '../../src/policy/secret-bounds.ts';
import { createSecrets, type Secrets } from '../../src/secrets/index.ts';
import { assertStoreUrl, type StoreSettings } from '../../src/secrets/store-settings.ts';
import type { FakeCloud } from './fake-cloud.ts';
import { ManualClock } from './manual-clock.ts';
import { NO_STORES } from './no-stores.ts';

/** A port that nobody listens on. */
const NOBODY = 1;

export const CACHE_MS = 30_000;

export interface CloudRoomOptions {
  readonly cloud: FakeCloud;
  readonly settings: Partial<StoreSettings>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly writable?: readonly string[];
  /** Origins at which nobody is. */
  readonly dead?: readonly string[];
}

/**
 * The providers as `compose` wires them, with its guards, on a wire of the test's own: what is meant for a host of the
 * cloud goes over loopback to the fake, and everything else is refused before.
 */
export class CloudRoom implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly redactor = new Redactor();
  /** Lines of the log. */
  readonly log: string[] = [];
  readonly secrets: Secrets;
  readonly #agent = new Agent();

  constructor({ cloud, settings, environment, writable = [], dead = [] }: CloudRoomOptions) {
    const stores: StoreSettings = { ...NO_STORES, cacheMs: CACHE_MS, ...settings };
    const protect = (value: string, origins: readonly string[]) => this.redactor.register(value, { origins });
    const send: HttpSend = async (exchange) => {
      const { url, method, headers, body, signal } = exchange;
      assertStoreUrl(url, stores);
      assertSecretsStay(exchange, this.redactor);
      const wire = new URL(
        url.pathname + url.search,
        `http://127.0.0.1:${dead.includes(url.origin) ? NOBODY : cloud.port}`,
      );
      try {
        const answer = await request(wire, {
          dispatcher: this.#agent,
          method,
          headers: { ...headers, host: url.host, 'x-meant-for': url.origin },
          signal,
          ...(body === undefined ? {} : { body }),
        });
        const flat = Object.entries(answer.headers).map(([name, value]) => [name, [value].flat().join(', ')]);
        return {
          status: answer.statusCode,
          headers: Object.fromEntries(flat),
          body: await answer.body.text(),
        };
      } catch (thrown) {
        signal.throwIfAborted();
        throw transportError(thrown, url);
      }
    };
    const write = (fields: Record<string, unknown>, message: string): void => {
      this.log.push(JSON.stringify({ message, ...fields }));
    };
    const log = { debug: write, info: write, warn: write };
    const scrub = (text: string): string => this.redactor.scrub(text);
    const permit = (value: string, origins: readonly string[]): void => this.redactor.permit(value, origins);
    this.secrets = createSecrets({
      environment,
      directory: undefined,
      stores: { settings: stores, ports: { send, clock: this.clock, protect, permit, scrub, log } },
      names: {},
      writable,
      admit: () => Promise.resolve(),
      protect,
      log,
    });
  }

  async resolve(reference: string, signal: AbortSignal = new AbortController().signal): Promise<string> {
    const origins = ['https://instance.example'];
    return (await this.secrets.resolve(reference, { signal, origins })).reveal();
  }

  async replace(reference: string, value: string): Promise<boolean> {
    // As from a token server: bound to it, and to nobody else.
    return await this.secrets.replace(
      reference,
      this.redactor.register(value, { origins: ['https://tokens.example'] }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.secrets[Symbol.asyncDispose]();
    await this.#agent.destroy();
  }
}
