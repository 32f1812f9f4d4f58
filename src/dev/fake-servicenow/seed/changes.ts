import { toStored, toStoredDate } from '../records/dates.ts';
import { CHANGE_STATES, CHANGE_TASK_STATES, CHANGE_TYPES } from '../records/schema.ts';
import { sysIdFor, type Records } from '../records/store.ts';
import { SEED } from './names.ts';
import { ticket } from './ticket.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const LONG_DESCRIPTION_BYTES = 40_960;

const IMPLEMENT = '-1';
const CLOSED_STATES: readonly string[] = ['3', '4'];
/** Before these states nobody has approved anything. */
const UNAPPROVED_STATES: readonly string[] = ['-5', '-4'];

type Values = Readonly<Record<string, string>>;

/** `CHG0000024`, then one change for each type and state, then one for each peculiarity. */
export function seedChanges(records: Records, nowMs: number): void {
  records.insert('change_request', {
    ...change(SEED.changes.demo, 'normal', '-5'),
    sys_id: SEED.sysIds.demoChange,
    short_description: 'Reboot the order server',
  });
  const numbers = Object.values(SEED.changes).slice(1);
  const kinds = CHANGE_TYPES.flatMap(([type]) => CHANGE_STATES.map(([state]) => ({ type, state })));
  for (const [index, { type, state }] of kinds.entries()) {
    const number = numbers[index];
    if (number !== undefined) records.insert('change_request', change(number, type, state));
  }
  for (const [number, values] of peculiarities(nowMs)) {
    records.insert('change_request', { ...change(number, 'normal', IMPLEMENT), ...values });
  }
  records.insert('change_request', {
    ...ticket(SEED.changes.bare, IMPLEMENT),
    type: 'normal',
    opened_by: '',
    short_description: '',
  });
  addNotes(records);
  seedChangeTasks(records);
}

function change(number: string, type: string, state: string): Values {
  return {
    ...ticket(number, state),
    type,
    short_description: `Change ${number} of the fake`,
    active: String(!CLOSED_STATES.includes(state)),
    approval: UNAPPROVED_STATES.includes(state) ? 'not requested' : state === '-3' ? 'requested' : 'approved',
    risk: '3',
    on_hold: 'false',
    conflict_status: 'Not Run',
    assigned_to: sysIdFor('sys_user', 'svc_deploy'),
    assignment_group: SEED.sysIds.networkGroup,
    cmdb_ci: sysIdFor('cmdb_ci', 'bond_trade_ny'),
    ...(state === '3'
      ? { close_code: 'successful', close_notes: 'Done.', closed_at: '2026-01-16 09:00:00' }
      : {}),
  };
}

function peculiarities(nowMs: number): readonly (readonly [number: string, values: Values])[] {
  const { changes } = SEED;
  const at = (offsetMs: number): string => toStored(nowMs + offsetMs);
  const day = (offsetMs: number): string => toStoredDate(nowMs + offsetMs);
  return [
    [changes.onHold, { on_hold: 'true', on_hold_reason: 'Waiting for the network freeze to end' }],
    [changes.windowOpen, { start_date: at(-HOUR_MS), end_date: at(HOUR_MS) }],
    [changes.windowFuture, { start_date: at(HOUR_MS), end_date: at(2 * HOUR_MS) }],
    [changes.windowPast, { start_date: at(-2 * HOUR_MS), end_date: at(-HOUR_MS) }],
    [changes.windowStartOnly, { start_date: at(-HOUR_MS) }],
    [changes.windowEndOnly, { end_date: at(HOUR_MS) }],
    [changes.windowDays, { u_start_day: day(-DAY_MS), u_end_day: day(DAY_MS) }],
    [changes.windowEndBeforeStart, { start_date: at(HOUR_MS), end_date: at(-HOUR_MS) }],
    [
      changes.longDescription,
      { description: 'All work and no play. '.repeat(2_000).slice(0, LONG_DESCRIPTION_BYTES) },
    ],
    [changes.unicode, { short_description: 'Zürich → 東京: café, e\u0301, 🚀👩‍🚀, 𝔘𝔫𝔦𝔠𝔬𝔡𝔢' }],
    [changes.rightToLeft, { short_description: 'تحديث الخادم — עדכון שרת \u202bRTL\u202c' }],
    [changes.specialCharacters, { short_description: 'a^b,c=d & e+f #1 100% "quoted" <tag>' }],
    [
      changes.customFields,
      { u_release: '2026.11', u_risk_score: '42', u_security_review: 'passed', u_start_day: '2026-12-01' },
    ],
    [changes.unknownState, { state: '20' }],
    [
      changes.journal,
      {
        watch_list: [SEED.sysIds.admin, sysIdFor('sys_user', 'beth.anglin')].join(','),
        calendar_duration: '1970-01-01 00:02:17',
      },
    ],
  ];
}

function addNotes(records: Records): void {
  const row = records.require('change_request', SEED.changes.journal);
  records.update(row, { work_notes: 'First note' }, 'svc_deploy');
  records.update(row, { comments: 'A comment for the requester' }, 'admin');
  records.update(row, { work_notes: 'Second note' }, 'svc_deploy');
}

function seedChangeTasks(records: Records): void {
  for (const [index, number] of Object.values(SEED.changeTasks).entries()) {
    const state = CHANGE_TASK_STATES[index]?.[0];
    if (state === undefined) continue;
    const parent = { change_request: SEED.sysIds.demoChange, parent: SEED.sysIds.demoChange };
    records.insert('change_task', { ...ticket(number, state), ...parent });
  }
}
