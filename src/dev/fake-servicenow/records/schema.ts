/**
 * The data dictionary: which tables there are, whom they extend, and what their fields hold. As much of a stock
 * instance as reading tickets needs, plus a few custom tables and fields, because every real instance has some.
 */

export type FieldType =
  | 'string'
  | 'integer'
  | 'boolean'
  | 'choice'
  | 'glide_date_time'
  | 'glide_date'
  | 'glide_duration'
  | 'reference'
  | 'glide_list'
  | 'journal'
  | 'sys_class_name';

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly type: FieldType;
  /** The table a `reference` or `glide_list` points into. */
  readonly reference: string | undefined;
  /** Labels by stored value; a stored value outside the list displays as itself. */
  readonly choices: Readonly<Record<string, string>> | undefined;
}

export interface Table {
  readonly name: string;
  readonly label: string;
  readonly parent: string | undefined;
  /** The field whose value stands for a row wherever it is referenced. */
  readonly display: string;
  readonly fields: ReadonlyMap<string, Field>;
}

type FieldOptions = Partial<Pick<Field, 'reference' | 'choices'>>;

function field(name: string, label: string, type: FieldType = 'string', options: FieldOptions = {}): Field {
  return { name, label, type, reference: options.reference, choices: options.choices };
}

const reference = (name: string, label: string, into: string): Field =>
  field(name, label, 'reference', { reference: into });

const choice = (name: string, label: string, choices: Readonly<Record<string, string>>): Field =>
  field(name, label, 'choice', { choices });

function table(name: string, label: string, display: string, fields: Field[], parent?: string): Table {
  // Every root table has the system fields; a child inherits them.
  const all = parent === undefined ? [...SYSTEM_FIELDS, ...fields] : fields;
  return { name, label, parent, display, fields: new Map(all.map((item) => [item.name, item])) };
}

const SYSTEM_FIELDS = [
  field('sys_id', 'Sys ID'),
  field('sys_created_on', 'Created', 'glide_date_time'),
  field('sys_created_by', 'Created by'),
  field('sys_updated_on', 'Updated', 'glide_date_time'),
  field('sys_updated_by', 'Updated by'),
  field('sys_mod_count', 'Updates', 'integer'),
  field('sys_class_name', 'Class', 'sys_class_name'),
];

/** States in the order in which a ticket usually goes through them. */
export const CHANGE_STATES = [
  ['-5', 'New'],
  ['-4', 'Assess'],
  ['-3', 'Authorize'],
  ['-2', 'Scheduled'],
  ['-1', 'Implement'],
  ['0', 'Review'],
  ['3', 'Closed'],
  ['4', 'Canceled'],
] as const;

export const CHANGE_TYPES = [
  ['normal', 'Normal'],
  ['standard', 'Standard'],
  ['emergency', 'Emergency'],
] as const;

export const CHANGE_TASK_STATES = [
  ['-5', 'Pending'],
  ['1', 'Open'],
  ['2', 'In Progress'],
  ['3', 'Closed'],
  ['4', 'Canceled'],
] as const;

export const INCIDENT_STATES = [
  ['1', 'New'],
  ['2', 'In Progress'],
  ['3', 'On Hold'],
  ['6', 'Resolved'],
  ['7', 'Closed'],
  ['8', 'Canceled'],
] as const;

export const PROBLEM_STATES = [
  ['101', 'New'],
  ['102', 'Assess'],
  ['103', 'Root Cause Analysis'],
  ['104', 'Fix in Progress'],
  ['106', 'Resolved'],
  ['107', 'Closed'],
] as const;

export const CATALOG_TASK_STATES = [
  ['-5', 'Pending'],
  ['1', 'Open'],
  ['2', 'Work in Progress'],
  ['3', 'Closed Complete'],
  ['4', 'Closed Incomplete'],
  ['7', 'Closed Skipped'],
] as const;

const LEVELS = { 1: '1 - Critical', 2: '2 - High', 3: '3 - Moderate', 4: '4 - Low', 5: '5 - Planning' };

const APPROVALS = {
  'not requested': 'Not Yet Requested',
  requested: 'Requested',
  approved: 'Approved',
  rejected: 'Rejected',
};

export const TABLES: ReadonlyMap<string, Table> = new Map(
  [
    table('sys_user', 'User', 'name', [
      field('user_name', 'User ID'),
      field('name', 'Name'),
      field('email', 'Email'),
      field('active', 'Active', 'boolean'),
      field('locked_out', 'Locked out', 'boolean'),
      field('web_service_access_only', 'Web service access only', 'boolean'),
      field('time_zone', 'Time zone'),
      field('date_format', 'Date format'),
      reference('manager', 'Manager', 'sys_user'),
    ]),
    table('sys_user_group', 'Group', 'name', [
      field('name', 'Name'),
      reference('manager', 'Manager', 'sys_user'),
      field('active', 'Active', 'boolean'),
    ]),
    table('cmdb_ci', 'Configuration Item', 'name', [
      field('name', 'Name'),
      reference('assigned_to', 'Assigned to', 'sys_user'),
    ]),
    table('task', 'Task', 'number', [
      field('number', 'Number'),
      choice('state', 'State', { '-5': 'Pending', 1: 'Open', 2: 'Work in Progress', 3: 'Closed Complete' }),
      field('short_description', 'Short description'),
      field('description', 'Description'),
      field('active', 'Active', 'boolean'),
      reference('assigned_to', 'Assigned to', 'sys_user'),
      reference('assignment_group', 'Assignment group', 'sys_user_group'),
      reference('opened_by', 'Opened by', 'sys_user'),
      reference('parent', 'Parent', 'task'),
      reference('cmdb_ci', 'Configuration item', 'cmdb_ci'),
      field('watch_list', 'Watch list', 'glide_list', { reference: 'sys_user' }),
      field('opened_at', 'Opened', 'glide_date_time'),
      field('closed_at', 'Closed', 'glide_date_time'),
      field('due_date', 'Due date', 'glide_date_time'),
      field('calendar_duration', 'Duration', 'glide_duration'),
      choice('approval', 'Approval', APPROVALS),
      choice('priority', 'Priority', LEVELS),
      choice('impact', 'Impact', { 1: '1 - High', 2: '2 - Medium', 3: '3 - Low' }),
      choice('urgency', 'Urgency', { 1: '1 - High', 2: '2 - Medium', 3: '3 - Low' }),
      field('reassignment_count', 'Reassignment count', 'integer'),
      field('correlation_id', 'Correlation ID'),
      field('comments', 'Additional comments', 'journal'),
      field('work_notes', 'Work notes', 'journal'),
      field('comments_and_work_notes', 'Comments and Work notes', 'journal'),
    ]),
    table(
      'change_request',
      'Change Request',
      'number',
      [
        choice('state', 'State', Object.fromEntries(CHANGE_STATES)),
        choice('type', 'Type', Object.fromEntries(CHANGE_TYPES)),
        choice('risk', 'Risk', { 2: 'High', 3: 'Moderate', 4: 'Low' }),
        field('on_hold', 'On hold', 'boolean'),
        field('on_hold_reason', 'On hold reason'),
        field('start_date', 'Planned start date', 'glide_date_time'),
        field('end_date', 'Planned end date', 'glide_date_time'),
        field('work_start', 'Actual start', 'glide_date_time'),
        field('work_end', 'Actual end', 'glide_date_time'),
        choice('conflict_status', 'Conflict status', {
          'Not Run': 'Not Run',
          'No Conflict': 'No Conflict',
          Conflict: 'Conflict',
        }),
        choice('close_code', 'Close code', {
          successful: 'Successful',
          successful_issues: 'Successful with issues',
          unsuccessful: 'Unsuccessful',
        }),
        field('close_notes', 'Close notes'),
        field('u_release', 'Release'),
        field('u_risk_score', 'Risk score', 'integer'),
        field('u_start_day', 'Start day', 'glide_date'),
        field('u_end_day', 'End day', 'glide_date'),
        choice('u_security_review', 'Security review', { pending: 'Pending', passed: 'Passed' }),
      ],
      'task',
    ),
    table(
      'change_task',
      'Change Task',
      'number',
      [
        choice('state', 'State', Object.fromEntries(CHANGE_TASK_STATES)),
        reference('change_request', 'Change request', 'change_request'),
      ],
      'task',
    ),
    table(
      'incident',
      'Incident',
      'number',
      [
        choice('state', 'State', Object.fromEntries(INCIDENT_STATES)),
        reference('caller_id', 'Caller', 'sys_user'),
        field('category', 'Category'),
        field('close_code', 'Resolution code'),
        field('close_notes', 'Resolution notes'),
        field('resolved_at', 'Resolved', 'glide_date_time'),
      ],
      'task',
    ),
    table(
      'problem',
      'Problem',
      'number',
      [
        choice('state', 'State', Object.fromEntries(PROBLEM_STATES)),
        field('known_error', 'Known error', 'boolean'),
      ],
      'task',
    ),
    table(
      'sc_task',
      'Catalog Task',
      'number',
      [choice('state', 'State', Object.fromEntries(CATALOG_TASK_STATES))],
      'task',
    ),
    // A label that says nothing of the name: clients that guess one from the other break here.
    table(
      'u_demo_custom',
      'Release Gate',
      'number',
      [
        choice('u_gate', 'Gate', { open: 'Open', shut: 'Shut' }),
        reference('u_change', 'Change', 'change_request'),
      ],
      'task',
    ),
    table('u_paging', 'Paging', 'number', [field('number', 'Number'), field('u_key', 'Key')]),
    table('u_confidential', 'Confidential', 'number', [field('number', 'Number'), field('u_note', 'Note')]),
    table('sys_choice', 'Choice', 'label', [
      field('name', 'Table'),
      field('element', 'Element'),
      field('value', 'Value'),
      field('label', 'Label'),
      field('language', 'Language'),
      field('sequence', 'Sequence', 'integer'),
      field('inactive', 'Inactive', 'boolean'),
    ]),
    table('sys_journal_field', 'Journal Entry', 'element', [
      field('element_id', 'Element ID'),
      field('element', 'Element'),
      field('name', 'Name'),
      field('value', 'Value'),
    ]),
    table('sys_db_object', 'Table', 'name', [
      field('name', 'Name'),
      field('label', 'Label'),
      reference('super_class', 'Extends table', 'sys_db_object'),
    ]),
  ].map((entry) => [entry.name, entry]),
);

/** The table itself, then its ancestors. */
export function* lineage(name: string): Iterable<Table> {
  for (let entry = TABLES.get(name); entry !== undefined; entry = TABLES.get(entry.parent ?? '')) yield entry;
}

export function extendsTable(name: string, ancestor: string): boolean {
  for (const entry of lineage(name)) if (entry.name === ancestor) return true;
  return false;
}

/** The nearest definition wins: `change_request.state` has other choices than `task.state`. */
export function fieldOf(tableName: string, fieldName: string): Field | undefined {
  for (const entry of lineage(tableName)) {
    const found = entry.fields.get(fieldName);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function fieldsOf(tableName: string): readonly Field[] {
  const merged = new Map<string, Field>();
  for (const entry of [...lineage(tableName)].toReversed()) {
    for (const item of entry.fields.values()) merged.set(item.name, item);
  }
  return [...merged.values()];
}

/** How many references a dotted name may pass through. */
const MAX_DOT_WALK = 3;

/**
 * A dotted name as the chain of its fields, seen from `tableName`: `assigned_to.manager.email`. Undefined if any
 * part is unknown, if something other than a reference is walked through, or if the walk is too long.
 */
export function resolvePath(tableName: string, dotted: string): readonly Field[] | undefined {
  const parts = dotted.split('.');
  if (parts.length > MAX_DOT_WALK + 1) return undefined;
  const path: Field[] = [];
  let at: string | undefined = tableName;
  for (const part of parts) {
    const found: Field | undefined = at === undefined ? undefined : fieldOf(at, part);
    if (found === undefined) return undefined;
    path.push(found);
    at = found.type === 'reference' ? found.reference : undefined;
  }
  return path;
}
