import { DelegateError } from '../../../kit/errors.ts';
import type { TaskContext } from '../../connector.ts';
import type { ServiceNowClient, TableAnswer } from '../client.ts';
import type { CheckList, Finding } from './check-list.ts';
import { validationError } from './errors.ts';

const TITLE = 'User sees tasks';

/** The tables that approvals are usually kept in. Each has a role of its own. */
const TABLES = ['change_request', 'incident', 'problem'] as const;
/** Of each. More than one, because single records may be hidden by rules of their own. */
const ROWS_PER_TABLE = 5;
/** Tasks among which one must be visible, where those tables show nothing: the customer may have tables of its own. */
const WIDER_LOOK_ROWS = 100;

/** How ServiceNow says that a table is not for this user, or not there at all. */
const HIDDEN: ReadonlySet<string> = new Set(['permission', 'not-found', 'invalid-input']);

/** Which tickets the user may read. It never fails: the connection works, and only roles are missing. */
export async function checkAccess(
  client: ServiceNowClient | undefined,
  answer: TableAnswer | undefined,
  list: CheckList,
): Promise<void> {
  if (client === undefined || answer === undefined) {
    list.skip('access', TITLE);
    return;
  }
  await list.run('access', TITLE, (context) => look(client, answer, context), { advisory: true });
}

async function look(
  client: ServiceNowClient,
  answer: TableAnswer,
  context: TaskContext,
): Promise<Finding<undefined>> {
  const visible: string[] = [];
  for (const table of TABLES) {
    if (await shows(client, { table, maxRows: ROWS_PER_TABLE }, context)) visible.push(table);
  }
  if (visible.length > 0) return { value: undefined, detail: describe(visible) };
  // ServiceNow cuts the page before it looks at the rights: a first task that is hidden makes the page empty.
  const seesTask =
    showsTask(answer) || (await shows(client, { table: 'task', maxRows: WIDER_LOOK_ROWS }, context));
  return seesTask
    ? { value: undefined, detail: `sees tasks, but nothing of ${TABLES.join(', ')}` }
    : { value: undefined, warnings: [seesNothing()] };
}

async function shows(
  client: ServiceNowClient,
  page: { table: string; maxRows: number },
  context: TaskContext,
): Promise<boolean> {
  try {
    return showsTask(await client.readTable({ ...page, params: { sysparm_fields: 'sys_id' } }, context));
  } catch (thrown) {
    if (thrown instanceof DelegateError && HIDDEN.has(thrown.category)) return false;
    throw thrown;
  }
}

function showsTask({ rows }: TableAnswer): boolean {
  return rows.some((row) => Object.keys(row).length > 0);
}

function describe(visible: readonly string[]): string {
  const hidden = TABLES.filter((table) => !visible.includes(table));
  const seen = `sees ${visible.join(', ')}`;
  return hidden.length === 0 ? seen : `${seen}; nothing of ${hidden.join(', ')}`;
}

function seesNothing(): DelegateError {
  return validationError(
    'servicenow.no-visible-tasks',
    `The user is accepted, but sees nothing of ${TABLES.join(', ')}, and none of the first ${WIDER_LOOK_ROWS} tasks.`,
  );
}
