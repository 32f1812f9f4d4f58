import type { OutboxLimits } from '../../src/delegate/tasks/outbox.ts';

/** More than a test reaches unless it is about limits. */
export const ROOMY: OutboxLimits = { maxResults: 1_000, maxBytes: 16 * 1_048_576 };
