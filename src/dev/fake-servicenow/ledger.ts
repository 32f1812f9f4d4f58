/**
 * How sure we are of what this fake plays. `D` ServiceNow's documentation, `KB` its support articles, `M` measured on a
 * real instance and published, `T` asserted by another client's test against a live instance, `C` seen in client code
 * alone, `R` one user's report, `I` inferred: to be verified on a real instance (README.md lists those).
 */
export type Tag = 'D' | 'KB' | 'M' | 'T' | 'C' | 'R' | 'I';

export interface Behaviour {
  readonly behaviour: string;
  readonly source: string;
  readonly tag: Tag;
}

const row = (tag: Tag, behaviour: string, source: string): Behaviour => ({ behaviour, source, tag });

const REST_DOC = 'REST Table API reference';

export const LEDGER: readonly Behaviour[] = [
  // Table API
  row('M', '400 `Invalid table x` with detail null, whatever the roles', 'published captures'),
  row('M', '400 `Requested URI does not represent any resource`', 'wildfly-extras/wildfly-camel#1532'),
  row('M', '400 for `sysparm_limit` 0 or negative, with message and detail', 'rbw/pysnow#100'),
  row('I', '`sysparm_limit` that is not a number: the same 400', 'no capture found'),
  row('I', '`sysparm_offset` that is not a number: as 0', 'no capture found'),
  row('M', '404 for a record that is missing or unreadable, one text for both', 'servicenow.itsm PR 306'),
  row('KB', '`/v1` answers an empty list with 404, `/v2` with 200 and `[]`', 'KB0551763'),
  row('D', '`sysparm_limit` is applied before the access rules', REST_DOC),
  row('D', 'unknown `sysparm_fields` are ignored', REST_DOC),
  row('KB', 'fields that may not be read are left out of the row', 'support articles; measured'),
  row('KB', '`sysparm_no_count`: `X-Total-Count` holds the rows of the page', 'KB0564204'),
  row(
    'I',
    '`X-Total-Count` counts rows before the access rules, and is sent by `/v1` too',
    'no capture found',
  ),
  row(
    'I',
    '`Link` has first, prev, next and last in this order, and is sent for a single page',
    'no capture found',
  ),
  row('I', 'a dot-walk through a record that may not be read: the field is left out', 'no capture found'),
  row('D', 'references are objects with a link, empty ones an empty string', REST_DOC),
  row('I', 'an empty reference with `all`: two empty strings, never null', 'no capture found'),
  row('C', 'durations display as words: `2 Minutes 17 Seconds`', 'change management samples'),
  row('M', 'journal fields read as empty unless display values are asked for', 'published captures'),
  row('C', '403 `User Not Authorized` for a table', 'client fixtures'),
  row('I', '405, 406 and 415: status from the reference, body made up', 'REST response codes reference'),
  row(
    'R',
    '400 HTML page `Request header is too large`; here for a target over 8,192 bytes',
    'ServiceNow/PySNC#18, #51',
  ),
  row('D', '`name=value` in place of an encoded query takes display values and user ids', REST_DOC),
  row('I', '`name=value` takes a display value in upper or lower case', 'the sample is `state=closed`'),
  row('D', 'an offset beyond the end is an empty list', REST_DOC),

  // Writing
  row('D', '201 with `Location` and the new record; 204 without a body for DELETE', REST_DOC),
  row('D', 'PUT changes the named fields alone, like PATCH, and creates nothing', REST_DOC),
  row('T', 'unknown fields are dropped without a word', 'PySNC tests; kibana#201948'),
  row('T', 'a `sys_id` sent with an insert is kept', 'PySNC `test_insert_custom_guid`'),
  row('D', '`sys_` fields that the instance writes cannot be written', REST_DOC),
  row('D', 'an empty text clears a field', 'REST API reference'),
  row('I', 'null clears a field, a value with parts is dropped', 'no capture found'),
  row('M', 'mandatory fields are not asked for: `{}` makes a record of defaults', 'published measurement'),
  row('M', 'a label sent without `sysparm_input_display_value` is stored as it is', 'published measurement'),
  row('D', 'with it: labels, names and dates in the zone of the user', REST_DOC),
  row('D', 'of several records in a body the first is taken', 'REST API reference'),
  row('R', 'a journal field gets one more note each time', 'NangoHQ/nango#582'),
  row('I', 'bodies quoted with apostrophes are read', 'all samples of the reference are written so'),
  row(
    'M',
    '403 `ACL Exception Insert Failed due to security constraints`, also Update and Delete',
    'captures',
  ),
  row('I', 'a record that may not be read is missing for a writer too', 'as for a reader'),
  row('I', 'a field that may not be set is dropped without a word', 'specification of the fake'),
  row('I', '403 for a `sys_id` that is taken: body made up', 'no capture found'),
  row(
    'I',
    '400 for a body that cannot be read: message as for a large one, reason made up',
    'no capture found',
  ),
  row('KB', '400 for a body over 10,485,760 bytes, with both sizes', 'KB0747638'),
  row('D', '`X-no-response-body` leaves the body out', REST_DOC),
  row('I', 'an update without a body is 204', 'REST response codes reference: success with no body'),
  row('D', '`X-HTTP-Method-Override`', 'REST API reference'),
  row('I', 'the override counts on a POST alone', 'no capture found'),
  row('D', 'numbers, state and priority of a new incident', 'samples of the reference'),

  // Aggregate API
  row('D', 'counts, also by groups', 'Aggregate API reference'),
  row('KB', '403 `Insufficient rights to query records`', 'KB0744425'),
  row('C', '`No request parameter for aggregate operation specified`', 'client fixtures'),
  row(
    'I',
    'the status of an aggregate without an operation, 400; and rows that may not be read are counted',
    'no capture found',
  ),

  // Limits
  row(
    'D',
    'a user’s rule, then the lowest of a role’s, then the one for all',
    'inbound rate limiting reference',
  ),
  row(
    'D',
    '`X-RateLimit-*` on every answer under a rule, none with what is left',
    'inbound rate limiting reference',
  ),
  row('I', 'an hour of a rule begins with the hour of the clock', '`Reset` is the next scheduled one'),
  row('I', 'a request counts once its user is known; a refused one counts too', 'no capture found'),
  row('D', 'four requests of the API at work, fifty waiting; then 429', 'semaphore reference; KB0546297'),
  row('M', '`Server-Timing` tells the wait for a thread as `sem_wait`', 'vdesabou issue logs'),

  // Encoded queries
  row('M', '`A^ORB^C^ORD` is (A or B) and (C or D)', 'published measurement; PySNC test'),
  row(
    'M',
    'an unknown field or malformed term is dropped and the query widens',
    'PySNC `test_extra_long_query`',
  ),
  row('D', 'or yields no rows: `glide.invalid_query.returns_no_rows`', 'encoded query reference'),
  row('I', 'a `^NQ` branch that lost all its terms matches every row', 'no capture found'),
  row('D', '`active!=true` matches empty rows', 'operator reference'),
  row('I', '`NOT IN` and `NOT LIKE` match empty rows', 'no capture found'),
  row(
    'I',
    'whether `=` minds upper and lower case (profile switch `valueCase`)',
    'documentation and collations disagree',
  ),
  row('D', 'on a reference `=` compares the sys_id, text operators the display name', 'operator reference'),
  row('I', 'a dot-walk passes through three references at most', 'no capture found'),
  row('I', 'an operator that takes no value is malformed with one', 'no capture found'),
  row('KB', 'without `ORDERBY` the order is undefined, also between pages', 'KB2628639; ServiceNow/PySNC#96'),

  // Authentication
  row('M', '401 `User Not Authenticated` for every failure', 'OIDC entity documentation; captures'),
  row('D', '`X-MFA_TOKEN: invalid` for a user with a second factor', 'MFA documentation'),
  row('D', '`X-MFA_TOKEN` is sent after the right password alone', 'REST API reference'),
  row('KB', 'five wrong passwords lock the user out', 'KB0749501'),
  row(
    'M',
    'basic authentication needs `snc_basic_auth_api_access` where restricted',
    'published measurement',
  ),
  row('I', 'the password is UTF-8 and may hold colons', 'RFC 7617'),
  row(
    'KB',
    'a live session cookie answers for its user whatever credentials come with it',
    'KB0534905, KB0564204',
  ),
  row(
    'D',
    'JWT bearers: signature, issuer, audience, user claim, 300 s of clock skew',
    'KB0719167; OIDC documentation',
  ),

  // Token endpoint
  row('D', 'form only; success body; 1,800 s and 8,640,000 s', 'OAuth API parameters'),
  row('M', 'a refresh answers the same tokens with a smaller `expires_in`', 'published captures'),
  row('M', '401 `access_denied` / `server_error` for nearly every failure', 'demisto/content-docs#1301'),
  row('C', 'codes of RFC 6749 on newer entities', 'client fixtures'),
  row('I', 'a JSON body is as good as none', 'documentation says form only'),
  row('I', 'GET on the token endpoint shows the login page', 'as with a trailing slash'),
  row('I', 'a client secret in HTTP Basic is taken as it stands, not form-decoded', 'no capture found'),
  row('D', '`/oauth_revoke_token.do` asks for nothing but the token', 'token management'),
  row('I', 'the answer to a revoked token, an empty object', 'no capture found'),
  row('C', '`/oauth_token.do/` shows the login page', 'client comments'),

  // Faults
  row('KB', '200 with `result` and `error`: transaction cancelled', 'KB0778443; servicenow.itsm PR 309'),
  row('M', '200 with an array left open and the error glued behind', 'syndesisio/syndesis#3399'),
  row(
    'D',
    '429 of a rate-limit rule with `Retry-After` and `X-RateLimit-*`',
    'inbound rate limiting reference',
  ),
  row('I', '429 of full semaphores: no such headers; body made up', 'KB0546297 gives no body'),
  row('M', '500 `Exception while executing request: null`', 'published captures'),
  row('M', 'hibernation page and redirect', 'vdesabou/kafka-docker-playground#8777, #8778'),
  row('R', 'waking page; redirect to single sign-on', 'user reports'),
  row('M', 'gateway pages of the load balancer', 'vdesabou/kafka-docker-playground#7455'),
];
