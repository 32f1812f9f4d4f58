/**
 * The agent and the errors alone. The package's entry also loads fetch, WebSocket, caches and mocks, and with them
 * Node's own copy of undici: 8 MiB and 40 ms of every start, for what the delegate never calls.
 */
declare module 'undici/lib/dispatcher/agent.js' {
  import { Agent } from 'undici';
  export default Agent;
}

declare module 'undici/lib/core/errors.js' {
  import type { errors } from 'undici';
  export const HTTPParserError: typeof errors.HTTPParserError;
}
