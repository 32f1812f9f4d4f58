/** oidc-provider ships no types. This is the part of it that `oidc-provider.ts` uses. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  interface Stored {
    save(): Promise<string>;
  }

  interface Client {
    readonly clientId: string;
  }

  interface KoaContext {
    status: number;
    body: unknown;
    get(header: string): string;
    set(header: string, value: string): void;
  }

  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    readonly Client: { find(id: string): Promise<Client | undefined> };
    readonly Grant: new (of: { accountId: string; clientId: string }) => Stored & {
      addOIDCScope(scope: string): void;
    };
    readonly RefreshToken: new (of: {
      accountId: string;
      client: Client;
      grantId: string;
      gty: string;
      scope: string;
    }) => Stored;
    use(middleware: (context: KoaContext, next: () => Promise<void>) => Promise<void>): void;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
  }
}

declare module 'oidc-provider/lib/adapters/memory_adapter.js' {
  const MemoryAdapter: new (model: string) => object;
  export default MemoryAdapter;
}
