import { jsonPage, type Routes } from './http.ts';
import type { LoopDelay } from './loop-delay.ts';
import type { DelegateState } from './status.ts';

export interface Readiness {
  readonly ready: boolean;
  /** The state in one word. */
  readonly phase: string;
  /** The detail of the first check that fails. */
  readonly reason?: string;
  readonly checks: DelegateState['readiness']['checks'];
}

export interface HealthOptions {
  readonly readiness: () => Readiness;
  readonly loopDelay: Pick<LoopDelay, 'times' | 'isBlocked'>;
}

/**
 * `/livez`: would a restart help? It says no as long as the event loop turns; whatever the manager, the disk or
 * ServiceNow do, a new process would find them as this one did. A loop that is frozen gives no answer at all.
 *
 * `/readyz`: can the manager use this delegate? Each check by its name, and the first that fails as the reason.
 */
export function healthRoutes({ readiness, loopDelay }: HealthOptions): Routes {
  return {
    '/livez': () => {
      const { times: eventLoopDelay, isBlocked } = loopDelay;
      return isBlocked
        ? jsonPage(503, { live: false, reason: 'the event loop is blocked most of the time', eventLoopDelay })
        : jsonPage(200, { live: true, eventLoopDelay });
    },
    '/readyz': () => {
      const told = readiness();
      return jsonPage(told.ready ? 200 : 503, told);
    },
  };
}
