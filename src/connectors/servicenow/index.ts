import type { Connector, ConnectorDeps } from '../connector.ts';
import { AUTH_CAPABILITIES } from './auth/index.ts';
import { createRuntime, type RuntimeOptions } from './runtime.ts';
import { approvalCheck } from './tasks/approval-check.ts';
import { validateConnector } from './tasks/validate.ts';

export function servicenow(deps: ConnectorDeps, options: RuntimeOptions = {}): Connector {
  const runtime = createRuntime(deps, options);
  return {
    capabilities: AUTH_CAPABILITIES,
    tasks: [validateConnector(runtime), approvalCheck(runtime)],
    async [Symbol.asyncDispose]() {
      await runtime.auth.tokens.close();
      await runtime.auth.refreshTokens.close();
    },
  };
}
