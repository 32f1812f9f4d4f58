/**
 * The two halves of `Authorization: Basic`, decoded as UTF-8 and split at the first colon, so that a password may hold
 * more of them (RFC 7617). Undefined if the header is another or none.
 */
export function readBasic(authorization: string | undefined): { user: string; password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon === -1 ? undefined : { user: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

/** The token of `Authorization: Bearer`; undefined if the header is another or none. */
export function readBearer(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
}
