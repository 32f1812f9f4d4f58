import type { Clock } from '../../../kit/time.ts';
import { CATALOG_TASK_STATES, INCIDENT_STATES, PROBLEM_STATES, TABLES } from '../records/schema.ts';
import { sysIdFor, type Records } from '../records/store.ts';
import { seedChanges } from './changes.ts';
import { SEED } from './names.ts';
import { seedPeople } from './people.ts';
import { ticket } from './ticket.ts';

/** Fills a new instance. The same every time, but for the change windows, which lie around the clock's present. */
export function seed(records: Records, clock: Clock): void {
  seedPeople(records);
  seedChanges(records, clock.now());
  seedTickets(records);
  seedGates(records);
  seedChoices(records);
  seedTables(records);

  for (let index = 1; index <= SEED.paging.rows; index += 1) {
    records.insert(SEED.paging.table, {
      number: `PAG${String(index).padStart(7, '0')}`,
      u_key: SEED.paging.key,
    });
  }
  records.insert(SEED.unreadable.empty, { number: 'CONF0000001', u_note: 'for admin alone' });
}

type States = readonly (readonly [value: string, label: string])[];

function seedTickets(records: Records): void {
  const { demo, otherDemo, plain, ...incidentsByState } = SEED.incidents;
  const { demo: demoProblem, ...problemsByState } = SEED.problems;
  const caller = { caller_id: sysIdFor('sys_user', 'svc_deploy') };

  for (const number of [demo, otherDemo, plain]) {
    records.insert('incident', {
      ...ticket(number, '1'),
      ...caller,
      assignment_group: SEED.sysIds.networkGroup,
    });
  }
  insertByState(records, 'incident', Object.values(incidentsByState), INCIDENT_STATES, caller);
  records.insert('problem', { ...ticket(demoProblem, '101'), assigned_to: SEED.sysIds.problemAdmin });
  insertByState(records, 'problem', Object.values(problemsByState), PROBLEM_STATES, { known_error: 'false' });
  insertByState(records, 'sc_task', Object.values(SEED.catalogTasks), CATALOG_TASK_STATES, {});
}

function insertByState(
  records: Records,
  table: string,
  numbers: readonly string[],
  states: States,
  more: Readonly<Record<string, string>>,
): void {
  for (const [index, number] of numbers.entries()) {
    const state = states[index]?.[0];
    if (state !== undefined) records.insert(table, { ...ticket(number, state), ...more });
  }
}

function seedGates(records: Records): void {
  const change = { u_change: SEED.sysIds.demoChange };
  records.insert('u_demo_custom', { ...ticket(SEED.gates.open, '1'), u_gate: 'open', ...change });
  records.insert('u_demo_custom', { ...ticket(SEED.gates.shut, '2'), u_gate: 'shut', ...change });
}

/** The choice lists as records: inherited ones stand under `task`, one entry is retired, one is in German. */
function seedChoices(records: Records): void {
  for (const table of ['task', 'change_request', 'incident', 'problem']) {
    const choices = Object.entries(TABLES.get(table)?.fields.get('state')?.choices ?? {});
    for (const [index, [value, label]] of choices.entries()) {
      insertChoice(records, { name: table, value, label, sequence: String(index) });
    }
  }
  insertChoice(records, { name: 'change_request', value: '-5', label: 'Neu', language: 'de' });
  insertChoice(records, { name: 'change_request', value: '2', label: 'Work in Progress', inactive: 'true' });
}

function insertChoice(records: Records, values: Readonly<Record<string, string>>): void {
  const choice = { element: 'state', language: 'en', inactive: 'false', sequence: '0', ...values };
  const key = Object.values(choice).join('/');
  records.insert('sys_choice', { sys_id: sysIdFor('sys_choice', key), ...choice });
}

function seedTables(records: Records): void {
  for (const { name, label, parent } of TABLES.values()) {
    const extended = parent === undefined ? {} : { super_class: sysIdFor('sys_db_object', parent) };
    records.insert('sys_db_object', { name, label, ...extended });
  }
}
