import { errorsOf, type ErrorKinds } from '../../kit/errors.ts';

/** What an answer to a look at ServiceNow can mean. `errors.ts` tells which of these it is. */
export const SERVICENOW_ERRORS = {
  'servicenow.invalid-request': {
    category: 'invalid-input',
    means: 'ServiceNow refused the request as invalid (HTTP 400). Its own words are in the message.',
    remedy:
      'The ticket type is usually not a table of this instance: check its spelling. If it is right, check the path in serviceNowUrl.',
  },
  'servicenow.request-too-long': {
    category: 'invalid-input',
    means:
      'The request was refused before ServiceNow read it: by HTTP 413, 414 or 431, or by a page with HTTP 400. Its URL is usually too long; the words of the page are in the message.',
    remedy: 'Use fewer fields in the criteria. If they are few, check serviceNowUrl.',
  },
  'servicenow.not-authenticated': {
    category: 'credentials',
    means:
      'ServiceNow does not accept the user and password, or the token (HTTP 401). It gives the same answer whatever is wrong with them.',
    remedy:
      'The name or password is wrong, the user is inactive or locked out (after five failures), or lacks the role snc_basic_auth_api_access where basic authentication is restricted. It is not tried again at once, so as not to lock the account.',
  },
  'servicenow.mfa-required': {
    category: 'credentials',
    means: 'ServiceNow wants a second factor of this user (HTTP 401 with X-MFA_TOKEN).',
    remedy: 'Exempt the integration user from multi-factor authentication, or use OAuth.',
  },
  'servicenow.forbidden': {
    category: 'permission',
    means:
      'ServiceNow knows the user and does not let it read this (HTTP 403): the access rules of the table, of the REST API or of a query forbid it.',
    remedy:
      'Give the user a role that may read it: sn_change_read, sn_incident_read or itil, and access to the Table API.',
  },
  'servicenow.address-refused': {
    category: 'permission',
    means:
      'HTTP 403, and not in the form of the API: it is not the user who is refused, but the place that the request comes from.',
    remedy:
      "This is not the API's own refusal: check the IP address access control of the instance, and whether a firewall or proxy refuses this delegate.",
  },
  'servicenow.not-found': {
    category: 'not-found',
    means:
      'HTTP 404, and not as the API says that a record is missing: whoever answered has no such address.',
    remedy:
      'Check the path in serviceNowUrl, and whether a proxy or gateway answers in the place of ServiceNow.',
  },
  'servicenow.rate-limited': {
    category: 'throttled',
    retryable: true,
    means:
      'A rate limit rule of the instance stops this user until a time that it names (HTTP 429 with Retry-After or X-RateLimit headers).',
    remedy: 'Raise the rate limit rule for the integration user, or poll less often.',
  },
  'servicenow.busy': {
    category: 'throttled',
    retryable: true,
    means:
      'All threads that the instance has for its API are busy, and their queue is full (HTTP 429 without a header that says more).',
    remedy: 'Usually passes. If not, another integration occupies the API semaphore of the instance.',
  },
  'servicenow.server-error': {
    category: 'unavailable',
    retryable: true,
    means: 'ServiceNow met an error of its own (HTTP 500).',
    remedy: 'If it happens again, the node log of the instance has the reason at this time.',
  },
  'servicenow.unavailable': {
    category: 'unavailable',
    retryable: true,
    means: 'What stands before ServiceNow says that it is not there (HTTP 502, 503 or 504).',
    remedy: 'The instance restarts, is upgraded or is under maintenance.',
  },
  'servicenow.unexpected-status': {
    category: 'refused',
    means:
      'A status that ServiceNow has no reason to send. Category and whether it may pass follow from the status: 5xx and 408 may, what says that it worked and did not is a bad answer.',
    remedy: 'Check what stands between the delegate and ServiceNow.',
  },
  'servicenow.redirected': {
    category: 'not-servicenow',
    means:
      'The answer sends the delegate to another address. It does not go there: credentials are for the address that was given, and for no other.',
    remedy: 'Use the address that it redirects to as serviceNowUrl.',
  },
  'servicenow.sign-on-page': {
    category: 'not-servicenow',
    means: 'The sign-on page for people came instead of an answer of the API.',
    remedy:
      'The instance sends API calls to single sign-on: use OAuth, or a local user that may use web services.',
  },
  'servicenow.hibernating': {
    category: 'not-servicenow',
    means: 'The instance is a developer instance that was put to sleep, as all are when nobody uses them.',
    remedy: 'Wake it at developer.servicenow.com and try again.',
  },
  'servicenow.waking-up': {
    category: 'unavailable',
    retryable: true,
    means: 'The instance is a developer instance that is being woken.',
    remedy: 'Wait: it is there in a few minutes.',
  },
  'servicenow.html': {
    category: 'not-servicenow',
    means: 'A web page came instead of JSON, and none of those that are known.',
    remedy: 'Check serviceNowUrl, and whether a proxy or firewall answers in the place of ServiceNow.',
  },
  'servicenow.not-json': {
    category: 'not-servicenow',
    means: 'The answer succeeded (HTTP 200), but its content type is not JSON.',
    remedy:
      'Check serviceNowUrl: it must be the address of the instance itself, as in https://example.service-now.com.',
  },
  'servicenow.broken-answer': {
    category: 'bad-response',
    retryable: true,
    means: 'The answer calls itself JSON and is empty, or ends too early. Nothing of it is used.',
    remedy: 'The answer was cut on its way or by the instance; usually it passes.',
  },
  'servicenow.transaction-cancelled': {
    category: 'unavailable',
    retryable: true,
    means:
      'ServiceNow began to answer (HTTP 200) and then cancelled the request: an error stands beside the rows, which are worth nothing.',
    remedy: 'The usual cause is its time limit for REST requests: the table is slow to read for this user.',
  },
  'servicenow.unexpected-shape': {
    category: 'not-servicenow',
    means: 'The answer is JSON, but not what the Table API sends.',
    remedy: 'Check serviceNowUrl, and what stands between the delegate and ServiceNow.',
  },
} as const satisfies ErrorKinds;

export type ServiceNowErrorCode = keyof typeof SERVICENOW_ERRORS;

export const serviceNowError = errorsOf(SERVICENOW_ERRORS);
