import { z } from 'zod';

/** The code of a manager that has revoked the delegate which asks. */
export const REVOKED = 'revoked';

/**
 * The JSON body of an answer in which a manager refuses a delegate (PROTOCOL.md, section 8.3). What stands between the
 * two, a proxy or a firewall, answers with the same statuses and does not speak in this form.
 */
export const refusalSchema = z.object({ error: z.object({ code: z.string() }) });
