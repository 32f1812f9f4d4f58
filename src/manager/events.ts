import type { ApprovalRecord, TaskRecord } from './store.ts';

/** What the manager tells whoever embeds it, in the order in which it happened. */
export type ManagerEvent =
  | { readonly type: 'session.opened'; readonly sessionId: string; readonly delegateId: string }
  | {
      readonly type: 'session.closed';
      readonly sessionId: string;
      readonly delegateId: string;
      /** The WebSocket close code; 1006 if there was none. */
      readonly code: number;
    }
  | { readonly type: 'task.changed'; readonly task: TaskRecord }
  | { readonly type: 'approval.changed'; readonly approval: ApprovalRecord };
