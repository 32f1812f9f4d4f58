import type { DefineConnector } from './connector.ts';
import { servicenow } from './servicenow/index.ts';

/** The connectors: one folder and one line each. */
export const connectors: readonly DefineConnector[] = [servicenow];
