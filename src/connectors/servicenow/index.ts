import type { Connector, ConnectorDeps } from '../connector.ts';
import { AUTH_CAPABILITIES } from './auth/index.ts';
import { createRuntime, type RuntimeOptions } from './runtime.ts';
import { approvalCheck, CHECK_APPROVAL } from './tasks/approval-check.ts';
import { VALIDATE_CONNECTOR, validateConnector } from './tasks/validate.ts';

/** The names of its tasks, for who has nothing to build a connector with. */
export const SERVICENOW_TASKS: readonly string[] = [VALIDATE_CONNECTOR, CHECK_APPROVAL];

export function servicenow(deps: ConnectorDeps, options: RuntimeOptions = {}): Connector {
  const runtime = createRuntime(deps, options);
  return {
    capabilities: AUTH_CAPABILITIES,
    tasks: [validateConnector(runtime), approvalCheck(runtime)],
    forget: () => runtime.auth.tokens.forgetAll(),
    pausedSystems: () => runtime.instances.paused,
    async [Symbol.asyncDispose]() {
      await runtime.auth.tokens.close();
      await runtime.auth.refreshTokens.close();
    },
  };
}
