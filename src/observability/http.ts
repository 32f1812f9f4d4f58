import { once } from 'node:events';
import { createServer, type OutgoingHttpHeaders, type Server } from 'node:http';
import { errorsOf, systemCode, type ErrorKinds } from '../kit/errors.ts';

export const HEALTH_ERRORS = {
  'health-port-unavailable': {
    category: 'invalid-input',
    means:
      'The health endpoints cannot listen where they are told to: the port is taken, or the address is not of this machine.',
    remedy: 'Set DELEGATE_HTTP_HOST and DELEGATE_HTTP_PORT to a free address; port 0 takes any.',
  },
} as const satisfies ErrorKinds;

const healthError = errorsOf(HEALTH_ERRORS);

/** Silent connections must not crowd out the probes: they are looked for every second, not every 30 s. */
const LIMITS = {
  connectionsCheckingInterval: 1_000,
  headersTimeout: 2_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
} as const;
const MAX_CONNECTIONS = 64;
/** One that asks and does not read its answer is no better than one that says nothing. */
const STALLED_AFTER_MS = 5_000;

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Makes a page at the moment that it is asked for. Rejects only for a defect, which is answered with 500. */
export type Route = (asked: { readonly accept: string }) => Page | Promise<Page>;

/** By their paths. */
export type Routes = Readonly<Record<string, Route>>;

export interface PageServer extends AsyncDisposable {
  readonly url: string;
}

export interface PageServerOptions {
  readonly host: string;
  readonly port: number;
  readonly routes: Routes;
  /** Told of a page that could not be made. */
  readonly onFailure: (error: unknown) => void;
}

export function jsonPage(status: number, body: unknown): Page {
  return { status, contentType: 'application/json', body: `${JSON.stringify(body)}\n` };
}

/** Pages for probes, scrapers and people: GET and HEAD, no state, nothing that changes anything. */
export async function servePages({ host, port, routes, onFailure }: PageServerOptions): Promise<PageServer> {
  const table = new Map(Object.entries(routes));
  const pageOf = async (path: string, accept: string): Promise<Page> => {
    const route = table.get(path);
    if (route === undefined) {
      return jsonPage(404, { error: `not found; there are ${[...table.keys()].join(', ')}` });
    }
    try {
      return await route({ accept });
    } catch (thrown) {
      onFailure(thrown);
      return jsonPage(500, { error: 'the page could not be made; the log says why' });
    }
  };
  const server = createServer(LIMITS, (request, response) => {
    const { method, url = '/', headers } = request;
    const answer = ({ status, contentType, body }: Page, extra: OutgoingHttpHeaders = {}): void => {
      response.writeHead(status, {
        'content-type': contentType,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        ...extra,
      });
      response.end(method === 'HEAD' ? undefined : body);
    };
    if (method !== 'GET' && method !== 'HEAD') {
      answer(jsonPage(405, { error: 'method not allowed' }), { allow: 'GET, HEAD' });
      return;
    }
    const [path = '/'] = url.split('?');
    // What the answer throws at a connection that is gone is an event of the response, not of this promise.
    void pageOf(path, headers.accept ?? '').then((page) => answer(page));
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = STALLED_AFTER_MS;
  const listening = await listen(server, host, port);
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${listening}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      // Answers also when it is closed already, which the event would not.
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  } catch (thrown) {
    throw healthError(
      'health-port-unavailable',
      `The health endpoints cannot listen on ${host}:${port} (${systemCode(thrown) ?? 'unknown'}).`,
      { cause: thrown },
    );
  }
}
