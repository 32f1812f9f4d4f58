import { createMemoryStore, type ManagerStore } from '../../../src/manager/manager.ts';
import { connectorSchema, toJson } from '../../../src/manager/connectors.ts';
import { toTimestamp, type Clock } from '../../../src/kit/time.ts';

interface Wanted {
  readonly clock: Clock;
  readonly connector: object;
  readonly tickets: readonly string[];
  readonly retryIntervalMs: number;
}

const DAY_MS = 86_400_000;

/** What a manager left behind that had taken this connector and an approval for each of these changes. */
export function storeWithApprovals({ clock, connector, tickets, retryIntervalMs }: Wanted): ManagerStore {
  const store = createMemoryStore();
  const now = toTimestamp(clock.now());
  const read = connectorSchema.parse(connector);
  const { identifier } = read;
  const record = { identifier, selectors: [], connector: toJson(read), createdAt: now, updatedAt: now };
  store.connectors.put(identifier, record);
  for (const number of tickets) {
    store.approvals.put(number, {
      approvalId: number,
      connector: identifier,
      question: {
        ticket: { type: 'change_request', number },
        approvalCriteria: {
          type: 'KeyValues',
          spec: {
            matchAnyCondition: false,
            conditions: [{ key: 'state', operator: 'equals', value: 'Implement' }],
          },
        },
      },
      retryIntervalMs,
      timeoutMs: DAY_MS,
      createdAt: now,
      expiresAt: toTimestamp(clock.now() + DAY_MS),
      status: 'waiting',
      reason: null,
      error: null,
      failuresInARow: 0,
      nextLookAt: null,
      lookCount: 0,
      looks: [],
      finishedAt: null,
    });
  }
  return store;
}
