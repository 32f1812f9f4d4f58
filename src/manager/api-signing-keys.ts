import { z } from 'zod';
import { param, route, type Route } from './api-route.ts';
import { HttpProblem } from './http-io.ts';
import type { SessionTable } from './session-table.ts';
import type { SigningKeyRecord } from './store.ts';
import type { TaskSigner } from './task-signing.ts';

const signingKeyViewSchema = z.object({
  kid: z.string(),
  /** Null of the first one, which is as old as the manager's store. */
  addedAt: z.string().nullable(),
  retiredAt: z.string().nullable(),
  /** Whether it is the one that signs now. */
  signs: z.boolean(),
});
const signingKeysViewSchema = z.object({ signingKeys: z.array(signingKeyViewSchema) });

/** The keys that tasks are signed with, and their replacement: add one, let it become known, retire the one before. */
export function signingKeyRoutes(signer: TaskSigner | undefined, sessions: SessionTable): Route[] {
  const path = '/api/v1/task-signing-keys';
  return [
    route({
      method: 'GET',
      path,
      summary: 'List the task-signing keys, retired ones included',
      replies: { 200: signingKeysViewSchema },
      handle: () => ({ status: 200, body: view(needed(signer)) }),
    }),
    route({
      method: 'POST',
      path,
      summary: 'Publish another task-signing key; it signs when those before it are retired',
      replies: { 201: signingKeysViewSchema },
      handle: async () => {
        const keys = needed(signer);
        sessions.tellTaskSigningKeys((await keys.add()).signed);
        return { status: 201, body: view(keys) };
      },
    }),
    route({
      method: 'DELETE',
      path: `${path}/{kid}`,
      summary: 'Retire a task-signing key: no delegate that is told takes a signature by it',
      replies: { 200: signingKeysViewSchema },
      handle: ({ params }) => {
        const keys = needed(signer);
        const kid = param(params, 'kid');
        const retired = keys.retire(kid);
        if (retired === undefined) {
          throw new HttpProblem(404, 'signing-key-not-found', `There is no task-signing key ${kid} in use.`);
        }
        sessions.tellTaskSigningKeys(retired.signed);
        return { status: 200, body: view(keys) };
      },
    }),
  ];
}

function needed(signer: TaskSigner | undefined): TaskSigner {
  if (signer !== undefined) return signer;
  throw new HttpProblem(409, 'tasks-are-not-signed', 'This manager does not sign tasks.', {
    hint: 'Start it with MANAGER_SIGN_TASKS=true.',
  });
}

function view({ records, published }: TaskSigner): z.input<typeof signingKeysViewSchema> {
  const [signing] = published.keys;
  return { signingKeys: records.map((record) => viewKey(record, signing?.kid)) };
}

function viewKey({ kid, added, retired }: SigningKeyRecord, signing: string | undefined) {
  return { kid, addedAt: added?.at ?? null, retiredAt: retired?.at ?? null, signs: kid === signing };
}
