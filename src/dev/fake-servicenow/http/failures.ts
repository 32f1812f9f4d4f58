import { failure, type Reply } from './reply.ts';

/** The failures of the API, word for word: these texts are what clients really meet. */

export const notAuthenticated = (extra: Reply['headers'] = []): Reply =>
  failure(401, 'User Not Authenticated', 'Required to provide Auth information', [
    ['WWW-Authenticate', 'Basic realm="Service-now"'],
    ...extra,
  ]);

export const invalidTable = (table: string): Reply => failure(400, `Invalid table ${table}`, null);

export const noSuchResource = (): Reply =>
  failure(400, 'Requested URI does not represent any resource', null);

export const invalidLimit = (): Reply =>
  failure(400, 'Invalid value given for sysparm_limit', 'sysparm_limit value must be a positive integer');

/** Missing and unreadable are told apart on purpose by nobody. */
export const noRecord = (): Reply =>
  failure(404, 'No Record found', "Record doesn't exist or ACL restricts the record retrieval");

export const noMatch = (): Reply =>
  failure(
    404,
    'No Record found',
    'Records matching query not found. Check query parameter or offset parameter',
  );

export const tableForbidden = (table: string): Reply =>
  failure(403, 'User Not Authorized', `User is unauthorized to access table: ${table}`);

export const rateLimitExceeded = (retryAfterS: number, resetEpochS: number): Reply =>
  failure(
    429,
    'Rate limit exceeded',
    `Rate limit of ${RATE_LIMIT} requests per hour for Table API exceeded`,
    [
      ['X-RateLimit-Limit', String(RATE_LIMIT)],
      ['X-RateLimit-Reset', String(resetEpochS)],
      ['X-RateLimit-Rule', '75bbdf8a53f2201050a0ddeeff7b12b7'],
      ['Retry-After', String(retryAfterS)],
    ],
  );

/** Requests per hour that the rate-limit rule of the fake names. */
const RATE_LIMIT = 100;

const SEE_LOGS =
  'Check logs for error trace or enable glide.rest.debug property to verify REST request processing';

export const genericServerError = (): Reply =>
  failure(
    500,
    'Exception while executing request: null',
    `Exception while executing request: null ${SEE_LOGS}`,
  );

/** What is appended to a body that was already being sent when its transaction was cancelled. */
export const CANCELLED_TRANSACTION = {
  error: {
    message: 'Transaction cancelled: maximum execution time exceeded',
    detail: `Transaction cancelled: maximum execution time exceeded ${SEE_LOGS}`,
  },
  status: 'failure',
} as const;

/** Not from a real instance: this fake is for reading. */
export const writesUnsupported = (): Reply =>
  failure(
    405,
    'Method not supported',
    'This fake ServiceNow answers reads only; change records through its admin plane',
    [['Allow', 'GET, HEAD']],
  );

export const notAcceptable = (): Reply => failure(406, 'Not acceptable', null);
