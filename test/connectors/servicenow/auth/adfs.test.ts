import { expect } from 'chai';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import {
  startFakeAdfs,
  type DevelopmentCertificate,
  type FakeAdfs,
  type Fault,
  type JournalEntry,
} from '../../../../src/dev/fake-identity/index.ts';
import type { DelegateError } from '../../../../src/kit/errors.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { until } from '../../../support/until.ts';
import {
  ADFS_CLIENT,
  ADFS_RESOURCE,
  failureOf,
  joinAdfs,
  openBench,
  QUESTION,
  tableCalls,
  taskContext,
  type AuthInput,
  type Bench,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { certificatesFor } from '../../../support/certificates.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
const PASSPHRASE = 'passphrase of the key';

describe('AD FS client credentials with certificate', () => {
  let own: DevelopmentCertificate;
  let stranger: DevelopmentCertificate;
  let signing: DevelopmentCertificate;
  let adfs: FakeAdfs;
  let bench: Bench;
  let clock: ManualClock | undefined;
  let auth: AuthInput;

  before(async () => {
    [own, stranger, signing] = await certificatesFor('delegate', 'stranger', 'signing');
  });

  const open = async (hands?: ManualClock): Promise<void> => {
    clock = hands;
    const timed = hands === undefined ? {} : { clock: hands };
    bench = await openBench(timed);
    adfs = await startFakeAdfs({ signing, ...timed });
    auth = joinAdfs(bench, adfs, own);
  };
  afterEach(async () => {
    await bench[Symbol.asyncDispose]();
    await adfs.close();
  });

  const set = (name: string, value: string): void => void bench.surroundings.secrets.set(name, value);
  /** Token requests that AD FS saw; ServiceNow fetches its keys there, too. */
  const exchanges = (): readonly JournalEntry[] => adfs.journal().filter(({ method }) => method === 'POST');
  const check = (): ReturnType<Bench['check']> => bench.check(auth, QUESTION);
  const failure = (): Promise<DelegateError> => failureOf(check);
  const withPassphrase = (passphrase: string): void => {
    set('passphrase', passphrase);
    auth = { ...auth, spec: { ...auth.spec, passphraseRef: 'test:passphrase' } };
  };

  leavesNothingOpen();

  describe('the request', () => {
    it('is a form with the fields of RFC 7523 and the resource, and nothing else', async () => {
      await open();
      expect((await check()).decision).to.equal('approved');
      const [request, ...more] = exchanges();
      expect(more).to.deep.equal([]);
      expect(request).to.include({ method: 'POST', path: '/adfs/oauth2/token', outcome: 'granted' });
      expect(request?.headers['content-type']).to.equal('application/x-www-form-urlencoded');
      expect(request?.headers).not.to.have.property('authorization');
      const { client_assertion: assertion, ...form } = request?.form ?? {};
      expect(assertion?.split('.')).to.have.length(3);
      expect(form).to.deep.equal({
        grant_type: 'client_credentials',
        client_id: ADFS_CLIENT,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        resource: ADFS_RESOURCE,
      });
    });

    it('is signed RS256, with typ, kid and x5t of the certificate in the header', async () => {
      await open();
      await check();
      expect(decodeProtectedHeader(exchanges()[0]?.form['client_assertion'] ?? '')).to.deep.equal({
        alg: 'RS256',
        typ: 'JWT',
        kid: own.thumbprint,
        x5t: Buffer.from(own.thumbprint, 'hex').toString('base64url'),
      });
    });

    it('says who, for whom as a string, and when: a minute back to ten minutes on', async () => {
      const hands = new ManualClock();
      await open(hands);
      await check();
      const claims = decodeJwt(exchanges()[0]?.form['client_assertion'] ?? '');
      const nowS = Math.floor(hands.now() / 1_000);
      expect(claims).to.deep.include({
        iss: ADFS_CLIENT,
        sub: ADFS_CLIENT,
        aud: adfs.tokenEndpoint,
        iat: nowS,
        nbf: nowS - 60,
        exp: nowS + 600,
      });
      expect(claims.jti).to.match(/^[0-9a-f-]{36}$/);
    });

    it('has a jti of its own every time', async () => {
      await open(new ManualClock());
      await check();
      await clock?.advance(3_600_000);
      await check();
      const jtis = exchanges().map(({ form }) => decodeJwt(form['client_assertion'] ?? '').jti);
      expect(jtis).to.have.length(2);
      expect(new Set(jtis).size).to.equal(2);
    });

    it('is accepted by an AD FS that goes by kid alone, too', async () => {
      await open();
      await adfs.close();
      adfs = await startFakeAdfs({ signing, profile: { profile: 'tolerant2016' } });
      auth = joinAdfs(bench, adfs, own);
      expect((await check()).decision).to.equal('approved');
    });
  });

  describe('the answer', () => {
    it('its access token is the bearer, though its type is written in lower case', async () => {
      await open();
      await check();
      const [call] = tableCalls(bench.instance);
      expect(call?.user).to.equal('svc_deploy');
      expect(decodeJwt(call?.headers.authorization?.replace(/^Bearer /, '') ?? '')).to.include({
        aud: ADFS_RESOURCE,
        appid: ADFS_CLIENT,
      });
    });

    for (const [name, lifeS] of [
      [undefined, 3_600],
      ['string-expires-in', 3_600],
      ['missing-expires-in', 1_800],
    ] as const) {
      it(`is renewed in the last tenth of ${lifeS} s, with ${name ?? 'a number for expires_in'}`, async () => {
        const hands = new ManualClock();
        await open(hands);
        if (name !== undefined) adfs.faults.add({ name });
        await check();
        await hands.advance(lifeS * 900 - 1_000);
        await check();
        expect(exchanges()).to.have.length(1);
        await hands.advance(1_000);
        await check();
        await until('the renewal is asked for', () => exchanges().length === 2);
      });
    }
  });

  describe('each form of key', () => {
    const oneLine = (pem: string): string => pem.replaceAll('\n', ' ');
    const forms: Record<string, () => void> = {
      'PKCS#8 PEM': () => set('private-key', own.pkcs8Pem),
      'PKCS#1 PEM': () => set('private-key', own.pkcs1Pem),
      'encrypted PKCS#8 PEM with its passphrase': () => {
        set('private-key', own.encryptedPkcs8Pem(PASSPHRASE));
        withPassphrase(PASSPHRASE);
      },
      'PKCS#12 with its passphrase': () => {
        set('private-key', own.pkcs12Base64(PASSPHRASE));
        withPassphrase(PASSPHRASE);
      },
      'PKCS#12 for key and certificate both': () => {
        set('private-key', own.pkcs12Base64(PASSPHRASE));
        set('certificate', own.pkcs12Base64(PASSPHRASE));
        withPassphrase(PASSPHRASE);
      },
      'pasted on one line': () => {
        set('private-key', oneLine(own.pkcs8Pem));
        set('certificate', oneLine(own.certificatePem));
      },
      'a chain, its first the leaf': () => set('certificate', own.certificatePem + stranger.certificatePem),
    };
    for (const [name, arrange] of Object.entries(forms)) {
      it(`${name} works`, async () => {
        await open();
        arrange();
        expect((await check()).decision).to.equal('approved');
      });
    }
  });

  describe('found out before any request is made', () => {
    const faults: Record<string, () => void> = {
      'certificate-key-mismatch': () => set('private-key', stranger.pkcs8Pem),
      'private-key-unreadable': () => set('private-key', 'no key at all'),
      'private-key-encrypted': () => set('private-key', own.encryptedPkcs8Pem(PASSPHRASE)),
      'passphrase-wrong': () => {
        set('private-key', own.encryptedPkcs8Pem(PASSPHRASE));
        withPassphrase('another one');
      },
      'certificate-unreadable': () => set('certificate', 'no certificate at all'),
      'certificate-expired': () => clock?.setWall(Date.now() + 366 * DAY_MS),
      'certificate-not-yet-valid': () => clock?.setWall(Date.now() - DAY_MS),
    };
    for (const [fault, arrange] of Object.entries(faults)) {
      it(`key-material.${fault}`, async () => {
        await open(new ManualClock());
        arrange();
        expect(await failure()).to.include({
          code: `key-material.${fault}`,
          category: 'credentials',
          retryable: false,
        });
        expect(exchanges()).to.deep.equal([]);
        expect(bench.instance.journal()).to.deep.equal([]);
      });
    }
  });

  for (const [days, warned] of [
    [20, true],
    [29, true],
    [31, false],
  ] as const) {
    it(`a certificate that ends in ${days} days ${warned ? 'is warned of in the result' : 'is not warned of'}`, async () => {
      const hands = new ManualClock();
      hands.setWall(Date.now() + (365 - days) * DAY_MS);
      await open(hands);
      const { decision, warnings } = await check();
      expect(decision).to.equal('approved');
      expect(warnings.map(({ code }) => code)).to.deep.equal(
        warned ? ['key-material.certificate-expires-soon'] : [],
      );
    });
  }

  describe('refused', () => {
    const refusals: Record<
      string,
      [arrange: () => void, expected: { code: string; hint: RegExp; msis: string }]
    > = {
      'a certificate that AD FS does not know': [
        () => {
          set('certificate', stranger.certificatePem);
          set('private-key', stranger.pkcs8Pem);
        },
        { code: 'token.invalid-client', msis: 'MSIS9622', hint: /thumbprint.*clock/s },
      ],
      'a client id that AD FS does not know': [
        () => set('adfs-client-id', 'nobody'),
        { code: 'token.invalid-client', msis: 'MSIS9607', hint: /no client by this client id/ },
      ],
      'a resource that AD FS does not know': [
        () => set('resource-id', 'urn:nowhere'),
        { code: 'token.invalid-resource', msis: 'MSIS9602', hint: /no resource by this identifier/ },
      ],
      'a resource that the client may not have': [
        () => {
          adfs.registerResource('urn:other');
          set('resource-id', 'urn:other');
        },
        { code: 'token.not-permitted', msis: 'MSIS9605', hint: /Client Permissions/ },
      ],
    };
    for (const [name, [arrange, { code, msis, hint }]] of Object.entries(refusals)) {
      it(`${name}: ${msis}, asked once, and ServiceNow is not asked at all`, async () => {
        await open();
        arrange();
        const error = await failure();
        expect(error).to.include({ code, status: 400, retryable: false });
        expect(error.message).to.contain(msis);
        expect(error.hint).to.match(hint);
        expect(exchanges()).to.have.length(1);
        expect(bench.instance.journal()).to.deep.equal([]);
      });
    }

    it('by ServiceNow, for its audience: one new token, one repetition, and the settings to compare', async () => {
      await open();
      bench.instance.issuers.trust({
        issuer: adfs.issuer,
        jwks: `${adfs.url}/adfs/discovery/keys`,
        audience: 'somebody else',
        userClaim: 'upn',
        userField: 'user_name',
      });
      const error = await failure();
      expect(error).to.include({ code: 'servicenow.not-authenticated', retryable: false });
      expect(error.hint).to.match(/issuer.*audience/s);
      expect(exchanges()).to.have.length(2);
      expect(tableCalls(bench.instance)).to.have.length(2);
    });
  });

  describe('a token server in trouble', () => {
    for (const name of ['unavailable-html', 'reset', 'server-error'] satisfies Fault['name'][]) {
      it(`${name} passes, and the task does not notice`, async () => {
        await open();
        adfs.faults.add({ name, times: 1 });
        expect((await check()).decision).to.equal('approved');
        expect(exchanges()).to.have.length(2);
      });
    }

    for (const [name, code] of [
      ['html-as-success', 'token.not-json'],
      ['redirect', 'token.redirected'],
      ['truncated', 'token.not-json'],
      ['missing-access-token', 'token.missing-access-token'],
      ['not-bearer', 'token.not-bearer'],
    ] as const) {
      it(`${name} is ${code}, asked once`, async () => {
        await open();
        adfs.faults.add({ name });
        expect((await failure()).code).to.equal(code);
        expect(exchanges()).to.have.length(1);
      });
    }

    it('its Retry-After counts against the deadline of the task', async () => {
      await open();
      adfs.faults.add({ name: 'throttled' });
      const error = await failureOf(() =>
        bench.check(auth, QUESTION, { context: taskContext({ timeMs: 5_000 }) }),
      );
      expect(error).to.include({ code: 'token.throttled', retryable: true });
      expect(error.details).to.include({ retryAfterMs: 7_000 });
      expect(exchanges()).to.have.length(1);
    });

    it('one that stalls ends with the task, and with its reason', async () => {
      await open();
      adfs.faults.add({ name: 'stall' });
      const stop = new AbortController();
      const work = bench
        .check(auth, QUESTION, { context: taskContext({ signal: stop.signal }) })
        .catch((thrown: unknown) => thrown);
      const reason = new Error('cancelled');
      setImmediate(() => stop.abort(reason));
      expect(await work).to.equal(reason);
    });
  });
});
