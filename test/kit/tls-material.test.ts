import { createSecureContext } from 'node:tls';
import { expect } from 'chai';
import {
  createDevelopmentCertificate,
  type DevelopmentCertificate,
} from '../../src/dev/fake-identity/development-certificates.ts';
import { assertClientIdentity, certificatesIn } from '../../src/kit/tls-material.ts';

describe('what a client shows of itself', () => {
  let own: DevelopmentCertificate;
  let other: DevelopmentCertificate;

  before(async () => {
    [own, other] = await Promise.all([
      createDevelopmentCertificate({ commonName: 'own' }),
      createDevelopmentCertificate({ commonName: 'other' }),
    ]);
  });

  const cases: [
    what: string,
    identity: () => [certificate: string, key: string, passphrase?: string],
    complaint: RegExp | undefined,
  ][] = [
    ['PKCS#8', () => [own.certificatePem, own.pkcs8Pem], undefined],
    ['PKCS#1', () => [own.certificatePem, own.pkcs1Pem], undefined],
    ['a passphrase', () => [own.certificatePem, own.encryptedPkcs8Pem('sesame'), 'sesame'], undefined],
    ['a chain', () => [own.certificatePem + other.certificatePem, own.pkcs8Pem], undefined],
    ['a wrong passphrase', () => [own.certificatePem, own.encryptedPkcs8Pem('sesame'), 'x'], /passphrase/],
    ['a missing passphrase', () => [own.certificatePem, own.encryptedPkcs8Pem('sesame')], /passphrase/],
    [
      'the chain in the wrong order',
      () => [other.certificatePem + own.certificatePem, own.pkcs8Pem],
      /another/,
    ],
    ['the key of another', () => [own.certificatePem, other.pkcs8Pem], /another certificate/],
    ['no key', () => [own.certificatePem, own.certificatePem], /cannot be read/],
    ['no certificate', () => [own.pkcs8Pem, own.pkcs8Pem], /holds no certificate/],
  ];
  for (const [what, identity, complaint] of cases) {
    it(`with ${what} is ${complaint === undefined ? 'taken, by TLS too' : 'refused, and not quoted'}`, () => {
      const [certificate, privateKey, passphrase] = identity();
      const check = (): void => assertClientIdentity({ certificate, privateKey, passphrase });
      if (complaint === undefined) {
        expect(check).to.not.throw();
        expect(() => createSecureContext({ cert: certificate, key: privateKey, passphrase })).to.not.throw();
        return;
      }
      expect(check).to.throw(complaint);
      expect(check).to.not.throw(/BEGIN|sesame/);
    });
  }

  it('is counted whole: each certificate of a bundle, and whatever stands between', () => {
    expect(certificatesIn(`# own\n${own.certificatePem}\n# other\n${other.certificatePem}`)).to.have.length(
      2,
    );
  });
});
