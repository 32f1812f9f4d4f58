import { SEED } from './names.ts';

/** What every ticket has. */
export function ticket(number: string, state: string): Record<string, string> {
  return {
    number,
    state,
    short_description: `Ticket ${number} of the fake`,
    active: 'true',
    priority: '3',
    impact: '2',
    urgency: '2',
    reassignment_count: '0',
    approval: 'not requested',
    opened_by: SEED.sysIds.admin,
    opened_at: '2026-01-15 08:30:00',
  };
}
