import type { DefineConnector } from './connector.ts';
import { servicenow, SERVICENOW_TASKS } from './servicenow/index.ts';

/** The connectors: one folder and one line each. */
export const connectors: readonly DefineConnector[] = [servicenow];

/** What tasks they know, by name. */
export const TASK_NAMES: readonly string[] = [...SERVICENOW_TASKS];
