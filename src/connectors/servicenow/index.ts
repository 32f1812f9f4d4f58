import type { Connector, ConnectorDeps } from '../connector.ts';
import { AUTH_CAPABILITIES } from './auth/index.ts';
import { createRuntime } from './runtime.ts';
import { approvalCheck } from './tasks/approval-check.ts';
import { validateConnector } from './tasks/validate.ts';

export function servicenow(deps: ConnectorDeps): Connector {
  const runtime = createRuntime(deps);
  return {
    capabilities: AUTH_CAPABILITIES,
    tasks: [validateConnector(runtime), approvalCheck(runtime)],
    [Symbol.asyncDispose]: () => runtime.auth.tokens.close(),
  };
}
