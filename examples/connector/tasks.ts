import { z } from 'zod';
import {
  defineTask,
  type ConnectorDeps,
  type SecretNeed,
  type TaskType,
} from '../../src/connectors/connector.ts';
import { toTimestamp } from '../../src/kit/time.ts';
import { ask } from './api.ts';
import { deskError } from './errors.ts';
import { connectorSchema, ticketId, type DeskSettings } from './settings.ts';

const MAX_COMMENT_CHARS = 4_000;

export const READ_TICKET = 'desk.ticket.read';
export const ADD_COMMENT = 'desk.comment.add';

const ticketSchema = z.object({ id: z.string(), title: z.string(), status: z.enum(['open', 'closed']) });
const commentSchema = z.object({ comment: z.string() });

/** Looks at a ticket. Doing it twice does no harm, so that after a crash it may simply be done again. */
export function readTicket(deps: ConnectorDeps): TaskType {
  return defineTask({
    name: READ_TICKET,
    version: 1,
    effect: 'reads',
    input: z.object({ connector: connectorSchema, ticket: ticketId }),
    output: z.object({ ticket: ticketSchema, readAt: z.string() }),
    authorize: ({ connector }) => authorize(READ_TICKET, connector, deps),
    secrets: ({ connector }) => secretsOf(connector),
    async run({ connector, ticket }, context) {
      const call = { method: 'ticket.get', params: { id: ticket } } as const;
      const found = parsed(ticketSchema, await ask(connector, call, deps, context));
      if (found.id !== ticket) {
        throw deskError('desk.bad-response', `Asked for ${ticket}, the desk answered with another ticket.`);
      }
      return { ticket: found, readAt: toTimestamp(context.clock.now()) };
    },
  });
}

/** Adds a comment. It is sent once; where nobody can know whether it arrived, the answer is `unknown`. */
export function addComment(deps: ConnectorDeps): TaskType {
  return defineTask({
    name: ADD_COMMENT,
    version: 1,
    effect: 'writes',
    input: z.object({
      connector: connectorSchema,
      ticket: ticketId,
      text: z.string().min(1).max(MAX_COMMENT_CHARS),
    }),
    output: commentSchema,
    authorize: ({ connector }) => authorize(ADD_COMMENT, connector, deps),
    secrets: ({ connector }) => secretsOf(connector),
    async run({ connector, ticket, text }, context) {
      context.progress(`Commenting on ${ticket}.`);
      const call = { method: 'comment.add', params: { id: ticket, text } } as const;
      const answer = commentSchema.safeParse(await ask(connector, call, deps, context));
      if (!answer.success) throw deskError('desk.write-unknown', 'The desk answered without a comment.');
      return answer.data;
    },
  });
}

/** What the customer's policy is asked when the task comes, before anything is done for it. */
function authorize(
  task: string,
  { spec: { url } }: DeskSettings,
  { policy }: ConnectorDeps,
): readonly string[] {
  return policy.authorize({
    task,
    instance: new URL(url.origin),
    instanceField: 'connector.spec.url',
    tables: [],
    // The address of its POST requests, which a policy file lists under tokenServers.
    tokenServer: url,
    tokenServerField: 'connector.spec.url',
  });
}

/** For `policy explain` and `secrets check`; the same that `ask` resolves. */
function secretsOf({ spec: { url, tokenRef } }: DeskSettings): readonly SecretNeed[] {
  return [{ field: 'spec.tokenRef', reference: tokenRef, origins: [url.origin] }];
}

/** A foreign answer as what it should be. */
function parsed<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const answer = schema.safeParse(value);
  if (answer.success) return answer.data;
  throw deskError('desk.bad-response', 'The desk answered in a form that is not known.', {
    details: { fields: answer.error.issues.map(({ path }) => path.join('.')) },
  });
}
