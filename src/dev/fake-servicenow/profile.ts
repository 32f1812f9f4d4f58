import { z } from 'zod';

/** How instances differ from each other. Each switch is a documented or measured difference. */
export const profileSchema = z.object({
  /** What becomes of a query with an unknown field or a malformed term: the term goes, or the whole result. */
  unknownFieldPolicy: z.enum(['drop', 'none']),
  /** Whether `/v1` answers an empty list with 404, as it did before `/v2`. */
  emptyList: z.enum(['v1-404', '200']),
  /** Whether a refresh answers with the refresh token as well. */
  refreshReturnsToken: z.boolean(),
  /** `classic`: almost every failure is `server_error`; `rfc`: the codes of RFC 6749. */
  oauthErrors: z.enum(['classic', 'rfc']),
  /** Whether basic authentication needs the role `snc_basic_auth_api_access`. */
  basicAuthRestriction: z.enum(['off', 'enforced']),
  /** Whether comparing values minds upper and lower case. Names and operators always do. */
  valueCase: z.enum(['sensitive', 'insensitive']),
  /** Whether requests to the API share four threads and a queue of 50, beyond which they are turned away. */
  semaphores: z.enum(['enforced', 'off']),
  /** Longest request target in bytes; beyond it the servlet container answers before ServiceNow sees anything. */
  maxTargetBytes: z.number().int().min(1),
});

export type Profile = z.infer<typeof profileSchema>;

export const DEFAULT_PROFILE: Profile = {
  unknownFieldPolicy: 'drop',
  emptyList: 'v1-404',
  refreshReturnsToken: true,
  oauthErrors: 'classic',
  basicAuthRestriction: 'enforced',
  valueCase: 'sensitive',
  semaphores: 'enforced',
  maxTargetBytes: 8_192,
};
