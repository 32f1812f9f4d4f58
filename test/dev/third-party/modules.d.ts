/** Two clients that ship no types: the parts of them that the tests use. */

declare module 'servicenow-rest-api' {
  import type { Agent } from 'node:https';

  /** What the callback gets: the result, or the error of the HTTP client in its place. */
  type Callback = (outcome: unknown) => void;
  type Values = Readonly<Record<string, string>>;

  export default class ServiceNow {
    constructor(instance: string, userId: string, password: string);
    /** Of every instance of the class. */
    setNetworkOptions(options: { httpsAgent: Agent }): void;
    getSampleData(table: string, callback: Callback): void;
    getTableData(
      fields: readonly string[],
      filters: readonly string[],
      table: string,
      callback: Callback,
    ): void;
    getSysId(table: string, number: string, callback: Callback): void;
    createNewTask(values: Values, table: string, callback: Callback): void;
    UpdateTask(table: string, number: string, values: Values, callback: Callback): void;
    DeleteTask(table: string, number: string, callback: Callback): void;
  }
}

declare module 'sn-rest-client' {
  interface Call {
    readonly url: string;
    readonly qs?: Readonly<Record<string, string>>;
    readonly rawResponse?: boolean;
    readonly autoPagination?: boolean;
  }

  interface RestClient {
    get(call: Call): Promise<unknown>;
    post(call: Call, body: unknown): Promise<unknown>;
    put(call: Call, body: unknown): Promise<unknown>;
    patch(call: Call, body: unknown): Promise<unknown>;
    del(call: Call): Promise<unknown>;
    getAccessToken(): string;
  }

  export default function connect(config: {
    readonly hostName: string;
    readonly silent: boolean;
    readonly auth: Readonly<Record<string, string>>;
  }): RestClient;
}
