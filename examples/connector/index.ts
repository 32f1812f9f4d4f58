import type { Connector, ConnectorDeps } from '../../src/connectors/connector.ts';
import { addComment, ADD_COMMENT, readTicket, READ_TICKET } from './tasks.ts';

/** For `TASK_NAMES`, which metrics and messages know tasks by. */
export const DESK_TASKS: readonly string[] = [READ_TICKET, ADD_COMMENT];

/** A connector to a ticket system that is not ServiceNow. docs/writing-a-connector.md goes through it. */
export function desk(deps: ConnectorDeps): Connector {
  return { capabilities: [], tasks: [readTicket(deps), addComment(deps)] };
}
