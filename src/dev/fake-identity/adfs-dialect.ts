/**
 * What AD FS says, word for word. `source` tells where the words were seen; `inferred` marks those that were
 * not, and are to be verified on a real AD FS; where the MSIS number is unknown, none is made up.
 */
export interface Refusal {
  /** The `error` of RFC 6749. */
  error: string;
  /** The `error_description`; starts with the MSIS code, where that is known. */
  description: string;
  source: 'documented' | 'observed' | 'inferred';
}

export const REFUSALS = {
  unknownClient: {
    error: 'invalid_client',
    description:
      "MSIS9607: The 'client_id' parameter in the request is invalid. No registered client is found with this identifier.",
    source: 'observed',
  },
  /** The one answer to a wrong certificate, signature, audience or time. The reason is in the server's log alone. */
  clientNotAuthenticated: {
    error: 'invalid_client',
    description:
      'MSIS9622: Client authentication failed. Please verify the credential provided for client authentication is valid.',
    source: 'observed',
  },
  unknownResource: {
    error: 'invalid_resource',
    description:
      "MSIS9602: The received 'resource' parameter is invalid. The authorization server can not find a registered resource with the specified identifier.",
    source: 'observed',
  },
  resourceNotPermitted: {
    error: 'access_denied',
    description: 'MSIS9605: The client is not allowed to access the requested resource.',
    source: 'observed',
  },
  /** A client to which nothing at all is permitted. */
  clientNotPermitted: {
    error: 'unauthorized_client',
    description: 'MSIS9611: The client is not allowed to access the requested resource.',
    source: 'inferred',
  },
  userPassword: {
    error: 'invalid_grant',
    description: "MSIS9659: Invalid 'username' or 'password'.",
    source: 'observed',
  },
  unsupportedGrant: {
    error: 'unsupported_grant_type',
    description: "The received 'grant_type' parameter is invalid or not supported.",
    source: 'inferred',
  },
  missingParameter: {
    error: 'invalid_request',
    description: 'A required parameter is missing from the request.',
    source: 'inferred',
  },
  internal: {
    error: 'server_error',
    description: 'The request cannot be completed because an internal error occurred.',
    source: 'inferred',
  },
} as const satisfies Record<string, Refusal>;

export type RefusalName = keyof typeof REFUSALS;

/** The audience of a token for which no resource was named. */
export const USERINFO_AUDIENCE = 'urn:microsoft:userinfo';

/** AD FS' serializer writes an apostrophe as an escape. */
export function adfsJson(body: unknown): string {
  return JSON.stringify(body).replaceAll("'", String.raw`\u0027`);
}

export const UNAVAILABLE_HTML =
  '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">\r\n' +
  '<HTML><HEAD><TITLE>Service Unavailable</TITLE></HEAD>\r\n' +
  '<BODY><h2>Service Unavailable</h2>\r\n<hr><p>HTTP Error 503. The service is unavailable.</p>\r\n</BODY></HTML>\r\n';
