import { createPrivateKey, X509Certificate } from 'node:crypto';
import { exportJWK, SignJWT, type JSONWebKeySet } from 'jose';
import type { DevelopmentCertificate } from './development-certificates.ts';

/** AD FS' token-signing certificate at work. */
export interface TokenSigner {
  /** The public half, as served under `/adfs/discovery/keys`. */
  readonly jwks: JSONWebKeySet;
  sign(claims: TokenClaims): Promise<string>;
}

export interface TokenClaims {
  issuer: string;
  audience: string;
  clientId: string;
  /** Epoch seconds. */
  issuedAtS: number;
  lifetimeS: number;
  /** What the issuance rules add. */
  added: Readonly<Record<string, string>>;
}

export async function createTokenSigner(certificate: DevelopmentCertificate): Promise<TokenSigner> {
  const leaf = new X509Certificate(certificate.certificatePem);
  const key = createPrivateKey(certificate.pkcs8Pem);
  const x5t = Buffer.from(certificate.thumbprint, 'hex').toString('base64url');
  const publicJwk = await exportJWK(leaf.publicKey);
  return {
    jwks: {
      keys: [{ ...publicJwk, use: 'sig', alg: 'RS256', kid: x5t, x5t, x5c: [leaf.raw.toString('base64')] }],
    },
    sign: ({ issuer, audience, clientId, issuedAtS, lifetimeS, added }) =>
      new SignJWT({ ...added, apptype: 'Confidential', appid: clientId, ver: '1.0' })
        .setProtectedHeader({ typ: 'JWT', alg: 'RS256', x5t, kid: x5t })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(issuedAtS)
        .setNotBefore(issuedAtS)
        .setExpirationTime(issuedAtS + lifetimeS)
        .sign(key),
  };
}
