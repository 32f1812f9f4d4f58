import { failure, html, json, type Reply } from '../http/reply.ts';
import type { ReceivedRequest } from '../http/request.ts';

/** The rarer answers: of what stands before the instance, and of the API in other forms than its usual one. */

const titled = (title: string, text = title): string =>
  `<html><head><title>${title}</title></head><body><h1>${text}</h1></body></html>`;

const plain = (status: number, body: string, headers: Reply['headers'] = []): Reply => ({
  status,
  headers: [['Content-Type', 'text/plain;charset=UTF-8'], ...headers],
  body,
});

const moved = (status: number, location: string): Reply => ({
  status,
  headers: [['Location', location]],
  body: '',
});

// --- before the instance ----------------------------------------------------------------------------------------

/** IP address access control. The page is inferred; that it is one, or plain text, is not. */
export const addressRefusedPage = (): Reply =>
  html(403, titled('Access Denied', 'Your address is not allowed to access this instance'));

export const addressRefusedText = (): Reply => plain(403, 'Access restricted by IP address');

export const uriTooLong = (): Reply => html(414, titled('414 Request-URI Too Large'));

export const notFoundPage = (): Reply => html(404, titled('404 Not Found'));

/** The same words as with 400, as some instances send them. */
export const noSuchAddress = (): Reply =>
  failure(404, 'Requested URI does not represent any resource: /now/table', null);

/** A front end that lets in only who shows a certificate of its own. */
export const clientCertificateMissing = (): Reply =>
  html(400, titled('400 No required SSL certificate was sent'));

/** A front door that signs everybody on, for the API as well. */
export const identityProviderRedirect = (): Reply =>
  moved(302, 'https://idp.example.com/sso/saml?SAMLRequest=fZJNT8MwDIb');

/** An address that was given up for another. */
export const canonicalRedirect = ({ target }: ReceivedRequest): Reply =>
  moved(301, `https://canonical.example.com${target}`);

export const proxyAuthentication = (): Reply => html(407, titled('ERR_CACHE_ACCESS_DENIED'));

export const requestTimeout = (): Reply => plain(408, '');

export const clientClosedRequest = (): Reply => plain(499, '');

export const originDown = (): Reply => html(520, titled('520: Web server is returning an unknown error'));

/** A rule that names its reset and not how long to wait. */
export const rateLimitedUntil = (resetEpochS: number): Reply =>
  failure(429, 'Rate limit exceeded', null, [
    ['X-RateLimit-Limit', '100'],
    ['X-RateLimit-Reset', String(resetEpochS)],
    ['X-RateLimit-Rule', '75bbdf8a53f2201050a0ddeeff7b12b7'],
  ]);

export const maintenanceUntil = (seconds: number): Reply => {
  const { headers, ...page } = html(503, titled('Scheduled maintenance'));
  return { ...page, headers: [...headers, ['Retry-After', String(seconds)]] };
};

// --- the API in other forms -------------------------------------------------------------------------------------

export const apiForbidden = (): Reply => failure(403, 'Failed API level ACL Validation', null);

export const queryForbidden = (table: string): Reply =>
  failure(403, 'Insufficient rights to query records', `No permission to read table '${table}'`);

/** What a caller gets that is thought to want XML. */
export const forbiddenXml = (table: string): Reply => ({
  status: 403,
  headers: [['Content-Type', 'application/xml;charset=UTF-8']],
  body: `<?xml version="1.0" encoding="UTF-8"?><response><error><detail>User is unauthorized to access table: ${table}</detail><message>User Not Authorized</message></error><status>failure</status></response>`,
});

export const conflict = (): Reply => failure(409, 'Conflict', null);

export const unsupportedMedia = (): Reply => failure(415, 'Unsupported media type', null);

/** A token server's way of saying no, from where the API should be. */
export const oauthRefusal = (): Reply =>
  json(401, { error_description: 'access_denied', error: 'server_error' });

/** The JSON web service of old: status 200, and the failure within. */
export const legacyFailure = (): Reply =>
  json(200, {
    records: [{ __status: 'failure', __error: { message: 'Invalid table', reason: 'No such table' } }],
  });

export const noContent = (): Reply => ({ status: 204, headers: [], body: '' });

export const emptyBody = (): Reply => ({ ...json(200, null), body: '' });
