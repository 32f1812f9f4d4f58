import { createServer, type OutgoingHttpHeaders, type Server } from 'node:http';
import { once } from 'node:events';
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

export interface Readiness {
  ready: boolean;
  /** The state in one word, and what is missing, for people. */
  phase: string;
  reason?: string;
}

/** Silent connections must not crowd out the probes: they are looked for every second, not every 30 s. */
const LIMITS = {
  connectionsCheckingInterval: 1_000,
  headersTimeout: 2_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
} as const;
const MAX_CONNECTIONS = 64;

export interface HealthServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * `/livez`: the event loop turns. `/readyz`: the manager has welcomed this delegate and acknowledges its
 * heartbeats. An outage of the manager never fails `/livez`: a restart would not bring the manager back.
 */
export async function serveHealth(options: {
  host: string;
  port: number;
  readiness: () => Readiness;
}): Promise<HealthServer> {
  const server = createServer(LIMITS, (request, response) => {
    const answer = (status: number, body: unknown, headers: OutgoingHttpHeaders = {}): void => {
      response.writeHead(status, {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        ...headers,
      });
      response.end(request.method === 'HEAD' ? undefined : `${JSON.stringify(body)}\n`);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(405, { error: 'method not allowed' }, { allow: 'GET, HEAD' });
    } else if (request.url === '/livez') {
      answer(200, { live: true });
    } else if (request.url === '/readyz') {
      const readiness = options.readiness();
      answer(readiness.ready ? 200 : 503, readiness);
    } else {
      answer(404, { error: 'not found; there are /livez and /readyz' });
    }
  });
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, options.host, options.port);
  return {
    url: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
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
