import type { Verdict } from '../limits/rate-limits.ts';
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

/** The headers of the rule itself stand on every answer, so they are not among these. */
export const overRateLimit = ({ requestsPerHour, retryAfterS }: Verdict): Reply =>
  failure(
    429,
    'Rate limit exceeded',
    `Rate limit of ${requestsPerHour} requests per hour for Table API exceeded`,
    [['Retry-After', String(retryAfterS)]],
  );

/** Requests per hour of the rule that a fault makes up. */
const RATE_LIMIT = 100;

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

/** Pool and queue are full: no header says when to come back. */
export const semaphoresFull = (): Reply => failure(429, 'Too many concurrent requests', null);

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

export const methodNotAllowed = (allowed: readonly string[]): Reply =>
  failure(405, 'Method not supported', null, [['Allow', allowed.join(', ')]]);

export const notAcceptable = (): Reply => failure(406, 'Not acceptable', null);

export const unsupportedMediaType = (): Reply => failure(415, 'Unsupported media type', null);

export const unreadableBody = (reason: string): Reply =>
  failure(400, 'Exception while reading request', `Exception while reading request: ${reason}`);

export const bodyTooLarge = (bytes: number, maxBytes: number): Reply =>
  failure(
    400,
    'Exception while reading request',
    `Rejected large REST payload with content-length = ${bytes} bytes. Max allowed: ${maxBytes} bytes.`,
  );

export const writeForbidden = (operation: 'Insert' | 'Update' | 'Delete'): Reply =>
  failure(403, 'Operation Failed', `ACL Exception ${operation} Failed due to security constraints`);

export const duplicateKey = (): Reply =>
  failure(403, 'Operation Failed', 'Unique Key violation detected by database');

export const noAggregate = (): Reply =>
  failure(400, 'No request parameter for aggregate operation specified', null);

export const countForbidden = (table: string): Reply =>
  failure(403, 'Insufficient rights to query records', `No permission to read table '${table}'`);
