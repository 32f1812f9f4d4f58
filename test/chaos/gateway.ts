import type { Socket } from 'node:net';
import { z } from 'zod';
import { HeadReader, relay, RelayServer, type Dial } from './relay.ts';

/**
 * The one address that every delegate knows, because a connect token names the manager by it. Sends each delegate's
 * connections along its own line, by the name in that token, and adds nothing and takes nothing away.
 */
export class Gateway implements AsyncDisposable {
  readonly #server: RelayServer;
  /** Delegate id → port of its line. Whoever is not in it goes straight to the manager. */
  readonly lines: Map<string, number>;

  private constructor(server: RelayServer, lines: Map<string, number>) {
    this.#server = server;
    this.lines = lines;
  }

  static async start(managerPort: number): Promise<Gateway> {
    const lines = new Map<string, number>();
    const portFor = (head: string): number => lines.get(subjectOf(head) ?? '') ?? managerPort;
    const server = await RelayServer.start((client, dial) => forward(client, dial, portFor));
    return new Gateway(server, lines);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** RST to both sides of every connection: whoever has a line now comes back along it. */
  cutAll(): void {
    this.#server.cutAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

function forward(client: Socket, dial: Dial, portFor: (head: string) => number): void {
  const reader = new HeadReader();
  const onData = (chunk: Buffer): void => {
    const read = reader.push(chunk);
    if (read === undefined) return;
    client.off('data', onData);
    const target = dial(portFor(read.head));
    target.write(Buffer.concat([Buffer.from(read.head, 'latin1'), read.rest]));
    relay(client, target);
    relay(target, client);
  };
  client.on('data', onData);
  client.on('end', () => client.end());
}

const claims = z.object({ sub: z.string() });

/** Whose connect token this is; not verified, that is the manager's business. */
function subjectOf(head: string): string | undefined {
  const payload = /^authorization: bearer [\w-]+\.([\w-]+)\.[\w-]+\r$/im.exec(head)?.[1];
  if (payload === undefined) return undefined;
  const json: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  return claims.parse(json).sub;
}
