/** The one question that every contestant puts to the instance, about one ticket after the other. */

export const USER = 'svc_bench';
export const PASSWORD = 'a-password-of-the-bench';

/** A delegate sends a secret only where it first went: each further instance has one of its own. */
const SECRETS = ['BENCH_PASSWORD'] as const;

/** What the question wants a ticket to be. */
export const APPROVED_STATE = 'Implement';

export const TASK_TIMEOUT_MS = 60_000;

/** As many tickets as there are; more than may be in flight, so that shared requests have something to gather. */
const TICKETS = 1_000;

export function ticketOf(n: number): string {
  return `CHG${String(n % TICKETS).padStart(7, '0')}`;
}

/**
 * Input of `servicenow.approval.check`, as a manager sends it.
 *
 * @param secret by its name in `secretEnvironment`
 */
export function questionAbout(ticket: string, serviceNowUrl: string, secret: string = SECRETS[0]) {
  return {
    connector: {
      name: 'ServiceNow of the bench',
      identifier: 'bench',
      type: 'ServiceNow',
      spec: {
        serviceNowUrl,
        auth: { type: 'UsernamePassword', spec: { username: USER, passwordRef: `env:${secret}` } },
      },
    },
    ticket: { type: 'change_request', number: ticket },
    approvalCriteria: {
      type: 'KeyValues',
      spec: {
        matchAnyCondition: false,
        conditions: [{ key: 'state', operator: 'equals', value: APPROVED_STATE }],
      },
    },
  };
}

/** What the delegate's environment holds beside its own settings, so that references lead somewhere. */
export function secretEnvironment(names: readonly string[] = SECRETS): Record<string, string> {
  return Object.fromEntries(names.map((name) => [`DELEGATE_SECRET_${name}`, PASSWORD]));
}
