import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { Redactor, Secret } from '../../src/kit/secret.ts';
import { signClientAssertion } from '../../src/oauth/client-assertion.ts';
import { readKeyMaterial } from '../../src/oauth/key-material.ts';

const vector = (name: string): string => readFileSync(new URL(`vectors/${name}`, import.meta.url), 'utf8');

const NOW = Date.parse('2027-01-01T00:00:00.900Z');
const NOW_S = Date.parse('2027-01-01T00:00:00Z') / 1_000;

describe('client assertion', () => {
  const redactor = new Redactor();
  const sign = (): Promise<Secret> =>
    signClientAssertion({
      material: readKeyMaterial({
        certificate: new Secret(vector('signing-certificate.pem')),
        privateKey: new Secret(vector('signing-key.pem')),
        now: NOW,
      }),
      clientId: new Secret('5b3f1f0e-client'),
      audience: 'https://adfs.example.com/adfs/oauth2/token',
      now: NOW,
      newJti: () => 'jti-of-the-vector',
      protect: (value) => redactor.register(value),
    });

  it('says in its header which certificate verifies it, in both ways', async () => {
    expect(decodeProtectedHeader((await sign()).reveal())).to.deep.equal({
      alg: 'RS256',
      typ: 'JWT',
      kid: '08B2A6DD681101CEE204F07B55FB36E1A739FDA2',
      x5t: 'CLKm3WgRAc7iBPB7Vfs24ac5_aI',
    });
  });

  it('claims what AD FS checks, in whole seconds', async () => {
    expect(decodeJwt((await sign()).reveal())).to.deep.equal({
      iss: '5b3f1f0e-client',
      sub: '5b3f1f0e-client',
      aud: 'https://adfs.example.com/adfs/oauth2/token',
      jti: 'jti-of-the-vector',
      iat: NOW_S,
      nbf: NOW_S - 60,
      exp: NOW_S + 600,
    });
  });

  // Signature checked by: cut -d. -f1,2 assertion.jwt | tr -d '\n' >input; cut -d. -f3 assertion.jwt | basenc -d
  // --base64url >signature (padded with "=="); openssl dgst -sha256 -verify public.pem -signature signature input
  it('is the vector, byte by byte', async () => {
    expect((await sign()).reveal()).to.equal(vector('assertion.jwt').trim());
  });

  it('is scrubbed from texts', async () => {
    const assertion = (await sign()).reveal();
    expect(redactor.scrub(`client_assertion=${assertion}&x`)).to.equal('client_assertion=[secret]&x');
  });
});
