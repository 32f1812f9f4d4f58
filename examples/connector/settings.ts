import { z } from 'zod';

/** An id of the desk's own. What it may hold is said here, so that it can be put into an error message as it is. */
export const ticketId = z.string().regex(/^[A-Z]{1,8}-\d{1,12}$/, 'must look like DESK-4711');

/** As the manager sends it with each task: an address, and the name of a secret, never the secret. */
export const connectorSchema = z.object({
  identifier: z.string().min(1).max(128),
  type: z.literal('Desk'),
  spec: z.object({
    /** The one address of its API. */
    url: z.url().transform((text) => new URL(text)),
    tokenRef: z.string().min(1).max(512),
  }),
});

export type DeskSettings = z.output<typeof connectorSchema>;
