import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { expect } from 'chai';
import {
  createDevelopmentCertificate,
  type DevelopmentCertificate,
} from '../../src/dev/fake-identity/development-certificates.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { Secret } from '../../src/kit/secret.ts';
import { certificateFacts, readKeyMaterial, type KeyMaterial } from '../../src/oauth/key-material.ts';

const vector = (name: string): string => readFileSync(new URL(`vectors/${name}`, import.meta.url), 'utf8');

/** Inside the validity of the vectors, whatever the wall clock says. */
const NOW = Date.parse('2027-01-01T00:00:00Z');
const DAY_MS = 24 * 60 * 60 * 1_000;
const PASSPHRASE = 'vector-passphrase';

interface Input {
  certificate?: string | undefined;
  privateKey?: string;
  passphrase?: string;
  now?: number;
}

describe('key material', () => {
  const certificate = vector('signing-certificate.pem');
  const privateKey = vector('signing-key.pem');
  let other: DevelopmentCertificate;

  before(async () => {
    other = await createDevelopmentCertificate({
      commonName: 'another',
      notBefore: new Date(NOW - DAY_MS),
      notAfter: new Date(NOW + 100 * DAY_MS),
    });
  });

  const read = (input: Input): KeyMaterial => {
    const { certificate: cert, passphrase } = { certificate, ...input };
    return readKeyMaterial({
      certificate: cert === undefined ? undefined : new Secret(cert),
      privateKey: new Secret(input.privateKey ?? privateKey),
      passphrase: passphrase === undefined ? undefined : new Secret(passphrase),
      now: input.now ?? NOW,
    });
  };

  const failure = (input: Input): DelegateError => {
    try {
      read(input);
    } catch (error) {
      if (error instanceof DelegateError) return error;
      throw error;
    }
    throw new Error('the key material was accepted');
  };

  // openssl x509 -in signing-certificate.pem -outform DER | openssl sha1
  // openssl x509 -in signing-certificate.pem -outform DER | openssl sha1 -binary | basenc --base64url | tr -d =
  it('names the certificate as openssl does', () => {
    const { kid, x5t } = read({});
    expect(kid).to.equal('08B2A6DD681101CEE204F07B55FB36E1A739FDA2');
    expect(x5t).to.equal('CLKm3WgRAc7iBPB7Vfs24ac5_aI');
  });

  it('says whose certificate it is and when it ends', () => {
    expect(certificateFacts(read({}).leaf)).to.deep.include({
      subject: 'CN=delegate signing vector, O=Example',
      notBefore: '2026-11-23T13:27:52.000Z',
      notAfter: '2036-11-20T13:27:52.000Z',
      thumbprint: '08B2A6DD681101CEE204F07B55FB36E1A739FDA2',
    });
  });

  describe('pasted anyhow', () => {
    const forms: Record<string, (pem: string) => string> = {
      'with CRLF': (pem) => pem.replaceAll('\n', '\r\n'),
      'on one line with the two characters \\n': (pem) => pem.replaceAll('\n', String.raw`\n`),
      'escaped twice': (pem) => pem.replaceAll('\n', String.raw`\\n`),
      'with spaces for line breaks': (pem) => pem.replaceAll('\n', ' '),
      'with no line breaks at all': (pem) => pem.replaceAll('\n', ''),
      'in quotes': (pem) => JSON.stringify(pem),
      'with text around it': (pem) => `Bag Attributes\n    friendlyName: x\n${pem}\nbye`,
    };
    for (const [name, paste] of Object.entries(forms)) {
      it(`a pair ${name} is read`, () => {
        expect(read({ certificate: paste(certificate), privateKey: paste(privateKey) }).kid).to.match(
          /^08B2/,
        );
      });
    }
  });

  describe('each form of key', () => {
    const pair = (key: (from: DevelopmentCertificate) => string, passphrase?: string): KeyMaterial =>
      read({
        certificate: other.certificatePem,
        privateKey: key(other),
        ...(passphrase === undefined ? {} : { passphrase }),
      });

    it('PKCS#8', () => expect(pair((from) => from.pkcs8Pem).kid).to.equal(other.thumbprint));
    it('PKCS#1', () => expect(pair((from) => from.pkcs1Pem).kid).to.equal(other.thumbprint));
    it('encrypted PKCS#8', () =>
      expect(pair((from) => from.encryptedPkcs8Pem('pass word'), 'pass word').kid).to.equal(
        other.thumbprint,
      ));
    it('PKCS#12', () =>
      expect(pair((from) => from.pkcs12Base64('pass word'), 'pass word').kid).to.equal(other.thumbprint));
    it('PKCS#12 without a passphrase', () =>
      expect(pair((from) => from.pkcs12Base64('')).kid).to.equal(other.thumbprint));
    it('traditionally encrypted PKCS#1, on one line too', () => {
      const traditional = vector('signing-key.traditional.pem');
      for (const key of [traditional, traditional.replaceAll('\n', ' ')]) {
        expect(read({ privateKey: key, passphrase: PASSPHRASE }).kid).to.match(/^08B2/);
      }
    });

    it('a passphrase beside a key that needs none does no harm', () => {
      expect(pair((from) => from.pkcs8Pem, 'unneeded').kid).to.equal(other.thumbprint);
    });

    it('a PKCS#12 file brings its certificate along', () => {
      const file = other.pkcs12Base64('pass word');
      for (const cert of [undefined, file]) {
        expect(read({ certificate: cert, privateKey: file, passphrase: 'pass word' }).kid).to.equal(
          other.thumbprint,
        );
      }
    });

    it('a PKCS#12 file may stand in for the certificate alone, its order being of no account', () => {
      const file = vector('ec-signed.p12.base64');
      const material = read({ certificate: file, passphrase: PASSPHRASE });
      expect(material.leaf.subject).to.equal('CN=RSA leaf of an EC CA');
    });

    // openssl x509 -in leaf.pem -outform DER | openssl sha1, before "openssl pkcs12 -export" with its issuer
    it('the thumbprint survives PKCS#12 when the certificate was signed with ECDSA', () => {
      const material = read({
        certificate: undefined,
        privateKey: vector('ec-signed.p12.base64'),
        passphrase: PASSPHRASE,
      });
      expect(material.leaf.subject).to.equal('CN=RSA leaf of an EC CA');
      expect(material.kid).to.equal('50EE3F6B63E5621D6F6B56F8E2948B984F72BE83');
    });
  });

  describe('says which is wrong', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
    const short = generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey;
    const pem = (key: typeof ec): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

    const cases: Record<string, [() => Input, string, string]> = {
      'a key that is no key': [() => ({ privateKey: 'hunter2' }), 'private-key-unreadable', 'privateKey'],
      'base64 that is no key': [
        () => ({ privateKey: 'aHVudGVyMg==' }),
        'private-key-unreadable',
        'privateKey',
      ],
      'an overlong key': [
        () => ({ privateKey: 'A'.repeat(300_000) }),
        'private-key-unreadable',
        'privateKey',
      ],
      'a torn key': [
        () => ({ privateKey: privateKey.replace(/\n.{64}\n/, '\n') }),
        'private-key-unreadable',
        'privateKey',
      ],
      'certificate and key swapped': [
        () => ({ privateKey: certificate }),
        'private-key-unreadable',
        'privateKey',
      ],
      'an encrypted key without passphrase': [
        () => ({ privateKey: other.encryptedPkcs8Pem('x') }),
        'private-key-encrypted',
        'privateKey',
      ],
      'a PKCS#12 file without its passphrase': [
        () => ({ privateKey: other.pkcs12Base64('x') }),
        'private-key-encrypted',
        'privateKey',
      ],
      'a wrong passphrase': [
        () => ({ privateKey: other.encryptedPkcs8Pem('right'), passphrase: 'wrong' }),
        'passphrase-wrong',
        'passphrase',
      ],
      'a wrong passphrase of a PKCS#12 file': [
        () => ({ privateKey: other.pkcs12Base64('right'), passphrase: 'wrong' }),
        'passphrase-wrong',
        'passphrase',
      ],
      'an EC key': [() => ({ privateKey: pem(ec) }), 'private-key-not-rsa', 'privateKey'],
      'a short key': [() => ({ privateKey: pem(short) }), 'private-key-too-short', 'privateKey'],
      'a certificate that is none': [() => ({ certificate: 'x' }), 'certificate-unreadable', 'certificate'],
      'an overlong certificate': [
        () => ({ certificate: 'A'.repeat(300_000) }),
        'certificate-unreadable',
        'certificate',
      ],
      'a torn certificate': [
        () => ({ certificate: certificate.replace(/\n.{64}\n/, '\n') }),
        'certificate-unreadable',
        'certificate',
      ],
      'no certificate at all': [() => ({ certificate: undefined }), 'certificate-unreadable', 'certificate'],
      "another key's certificate": [
        () => ({ certificate: other.certificatePem }),
        'certificate-key-mismatch',
        'certificate',
      ],
      'a certificate of tomorrow': [
        () => ({ now: Date.parse('2026-11-23T13:27:51Z') }),
        'certificate-not-yet-valid',
        'certificate',
      ],
      'a certificate of yesterday': [
        () => ({ now: Date.parse('2036-11-20T13:27:53Z') }),
        'certificate-expired',
        'certificate',
      ],
    };
    for (const [name, [input, code, field]] of Object.entries(cases)) {
      it(name, () => {
        const error = failure(input());
        expect(error.code).to.equal(`key-material.${code}`);
        expect(error.category).to.equal('credentials');
        expect(error.retryable).to.equal(false);
        expect(error.details).to.deep.equal({ field });
        expect(error.hint).to.match(/^[A-Z].{20}/);
      });
    }

    // openssl pkcs8 -topk8 -v1 PBE-MD5-DES -provider legacy -provider default -in signing-key.pem
    it('a cipher of the past, which no passphrase can help', () => {
      const error = failure({ privateKey: vector('signing-key.md5-des.pem'), passphrase: PASSPHRASE });
      expect(error.code).to.equal('key-material.private-key-unreadable');
      expect(error.hint).to.contain('openssl pkcs8 -topk8');
    });

    it('a chain in the wrong order, and which of it should come first', () => {
      const error = failure({ certificate: other.certificatePem + certificate });
      expect(error.code).to.equal('key-material.certificate-key-mismatch');
      expect(error.hint).to.contain('Certificate 2 of the chain');
    });

    it('both dates of an expired certificate', () => {
      const error = failure({ now: Date.parse('2037-01-02T03:04:05Z') });
      expect(error.message).to.contain('2036-11-20T13:27:52.000Z').and.contain('2037-01-02T03:04:05.000Z');
    });

    it('never a value', () => {
      const body = privateKey.split('\n')[5] ?? '';
      const torn = privateKey.replace(/\n.{64}\n/, '\n');
      const errors = [
        failure({ privateKey: torn }),
        failure({ privateKey: 'hunter2-canary' }),
        failure({ certificate: other.certificatePem }),
        failure({ privateKey: other.pkcs12Base64('right'), passphrase: 'canary-passphrase' }),
      ];
      for (const error of errors) {
        const said = inspect(error, { depth: 9 }) + JSON.stringify(error) + JSON.stringify(error.toWire());
        expect(said).to.not.contain(body);
        expect(said).to.not.contain('canary');
      }
      expect(inspect(read({}), { depth: 9 })).to.not.contain(body);
    });
  });

  it('warns within thirty days of the end, and not before', () => {
    const end = Date.parse('2036-11-20T13:27:52Z');
    expect(read({ now: end - 30 * DAY_MS - 1 }).expiresSoon).to.equal(false);
    expect(read({ now: end - 30 * DAY_MS }).expiresSoon).to.equal(true);
    expect(read({ now: end }).expiresSoon).to.equal(true);
  });
});
