import { randomUUID } from 'node:crypto';
import { get } from 'node:https';
import { expect } from 'chai';
import { createLocalJWKSet, decodeJwt, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import {
  createDevelopmentCertificate,
  startFakeAdfs,
  type DevelopmentCertificate,
  type FakeAdfs,
  type FakeAdfsOptions,
} from '../../../src/dev/fake-identity/index.ts';
import { DelegateError } from '../../../src/kit/errors.ts';
import { Redactor, Secret } from '../../../src/kit/secret.ts';
import { signClientAssertion } from '../../../src/oauth/client-assertion.ts';
import { redeemAssertion } from '../../../src/oauth/grants.ts';
import { jwtFacts } from '../../../src/oauth/jwt-facts.ts';
import { readKeyMaterial, type KeyMaterial } from '../../../src/oauth/key-material.ts';
import type { TokenAnswer } from '../../../src/oauth/token-response.ts';
import { fetchSend } from '../../oauth/send.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { certificatesFor } from '../../support/certificates.ts';

const CLIENT = 'client-4711';
const RESOURCE = 'https://instance.service-now.com';

describe('fake AD FS', () => {
  let own: DevelopmentCertificate;
  let stranger: DevelopmentCertificate;
  let signing: DevelopmentCertificate;
  let adfs: FakeAdfs;
  let redactor: Redactor;

  before(async () => {
    [own, stranger, signing] = await certificatesFor('delegate', 'stranger', 'signing');
  });
  beforeEach(() => {
    redactor = new Redactor();
  });
  afterEach(() => adfs.close());

  const start = async (options: FakeAdfsOptions = {}): Promise<void> => {
    adfs = await startFakeAdfs({ signing, ...options });
    adfs.registerClient({
      clientId: CLIENT,
      certificatePem: own.certificatePem,
      permissions: [RESOURCE],
      tokenClaims: { upn: 'svc_deploy' },
    });
  };

  const materialOf = (certificate: DevelopmentCertificate): KeyMaterial =>
    readKeyMaterial({
      certificate: new Secret(certificate.certificatePem),
      privateKey: new Secret(certificate.pkcs8Pem),
      now: Date.now(),
    });

  interface Attempt {
    clientId?: string;
    certificate?: DevelopmentCertificate;
    audience?: string;
    resource?: string;
    now?: number;
    endpoint?: string;
    jti?: string;
    signal?: AbortSignal;
  }

  /** As the delegate does it. */
  const attempt = async (how: Attempt = {}): Promise<TokenAnswer> => {
    const clientId = new Secret(how.clientId ?? CLIENT);
    const protect = (value: string): Secret => redactor.register(value);
    const assertion = await signClientAssertion({
      material: materialOf(how.certificate ?? own),
      clientId,
      audience: how.audience ?? adfs.tokenEndpoint,
      now: how.now ?? Date.now(),
      newJti: () => how.jti ?? randomUUID(),
      protect,
    });
    return await redeemAssertion(
      {
        endpoint: new URL(how.endpoint ?? adfs.tokenEndpoint),
        clientId,
        assertion,
        resource: new Secret(how.resource ?? RESOURCE),
      },
      { send: fetchSend, protect, scrub: (text) => text, signal: how.signal ?? AbortSignal.timeout(5_000) },
    );
  };

  const failure = async (how: Attempt = {}): Promise<DelegateError> => {
    try {
      await attempt(how);
    } catch (error) {
      if (error instanceof DelegateError) return error;
      throw error;
    }
    throw new Error('AD FS granted a token');
  };

  const post = (form: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(adfs.tokenEndpoint, { method: 'POST', body: new URLSearchParams(form), headers });

  /** An assertion as somebody else would make it. */
  const foreignAssertion = async (
    header: { kid?: string; x5t?: string; alg?: string },
    claims: JWTPayload = {},
  ): Promise<string> => {
    const now = Math.floor(Date.now() / 1_000);
    return await new SignJWT({
      iss: CLIENT,
      sub: CLIENT,
      aud: adfs.tokenEndpoint,
      jti: randomUUID(),
      nbf: now - 60,
      exp: now + 600,
      ...claims,
    })
      .setProtectedHeader({ alg: 'RS256', ...header })
      .sign(materialOf(own).key);
  };

  const postAssertion = (assertion: string): Promise<Response> =>
    post({
      grant_type: 'client_credentials',
      client_id: CLIENT,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
      resource: RESOURCE,
    });

  const lastReason = (): string | undefined => adfs.journal().at(-1)?.reason;

  leavesNothingOpen();

  describe('grants', () => {
    it("a token for the resource, signed by AD FS' key, to the delegate's own request", async () => {
      await start();
      const answer = await attempt();
      expect(answer.expiresInS).to.equal(3_600);
      expect(answer.refreshToken).to.equal(undefined);
      const { payload, protectedHeader } = await jwtVerify(
        answer.accessToken.reveal(),
        createLocalJWKSet(adfs.jwks),
        { issuer: adfs.issuer, audience: RESOURCE },
      );
      expect(protectedHeader).to.include.keys('kid', 'x5t');
      expect(payload).to.include({ appid: CLIENT, upn: 'svc_deploy', aud: RESOURCE });
      expect(jwtFacts(answer.accessToken, (text) => text)?.userClaims).to.deep.equal({
        appid: CLIENT,
        upn: 'svc_deploy',
      });
    });

    it('at the address with a slash too', async () => {
      await start();
      const endpoint = `${adfs.tokenEndpoint}/`;
      expect((await attempt({ endpoint, audience: endpoint })).expiresInS).to.equal(3_600);
    });

    it('in the very form of AD FS: bearer in lower case', async () => {
      await start();
      const x5t = materialOf(own).x5t;
      const response = await postAssertion(await foreignAssertion({ x5t }));
      expect(response.status).to.equal(200);
      expect(response.headers.get('content-type')).to.equal('application/json;charset=UTF-8');
      expect(await response.json()).to.include({ token_type: 'bearer', expires_in: 3_600 });
    });

    it('without a resource a token for itself', async () => {
      await start();
      const response = await post({
        grant_type: 'client_credentials',
        client_id: CLIENT,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await foreignAssertion({ x5t: materialOf(own).x5t }),
      });
      const body: unknown = await response.json();
      expect(body)
        .to.have.property('access_token')
        .that.satisfies((token: string) => decodeJwt(token).aud === 'urn:microsoft:userinfo');
    });

    it('by kid alone only where it is tolerant', async () => {
      await start({ profile: { profile: 'tolerant2016' } });
      const { kid } = materialOf(own);
      expect((await postAssertion(await foreignAssertion({ kid }))).status).to.equal(200);
    });

    it('by either certificate of a client that has two', async () => {
      await start();
      adfs.registerClient({
        clientId: CLIENT,
        certificatePem: stranger.certificatePem + own.certificatePem,
        permissions: [RESOURCE],
      });
      await attempt();
      await attempt({ certificate: stranger });
    });
  });

  describe('refuses, and the delegate says what to do', () => {
    const cases: [string, () => Attempt, string, string][] = [
      ['an unknown client', () => ({ clientId: 'nobody' }), 'token.invalid-client', 'MSIS9607'],
      ['an unknown certificate', () => ({ certificate: stranger }), 'token.invalid-client', 'MSIS9622'],
      [
        'another audience',
        () => ({ audience: 'https://adfs.example.com/adfs/oauth2/token' }),
        'token.invalid-client',
        'MSIS9622',
      ],
      ['a clock that is slow', () => ({ now: Date.now() - 700_000 }), 'token.invalid-client', 'MSIS9622'],
      ['a clock that is fast', () => ({ now: Date.now() + 700_000 }), 'token.invalid-client', 'MSIS9622'],
      ['an unknown resource', () => ({ resource: 'https://other' }), 'token.invalid-resource', 'MSIS9602'],
      ['a resource not permitted', () => ({ resource: 'https://known' }), 'token.not-permitted', 'MSIS9605'],
      [
        'a client to which nothing is permitted',
        () => ({ clientId: 'bare' }),
        'token.not-permitted',
        'MSIS9611',
      ],
    ];
    for (const [name, how, code, msis] of cases) {
      it(`${name}: ${msis}`, async () => {
        await start();
        adfs.registerResource('https://known');
        adfs.registerClient({ clientId: 'bare', certificatePem: own.certificatePem });
        const error = await failure(how());
        expect(error.code).to.equal(code);
        expect(error.status).to.equal(400);
        expect(error.message).to.contain(msis).and.contain(adfs.tokenEndpoint);
        expect(error.hint).to.match(/^[A-Z].{20}/);
        expect(error.details?.['requestId']).to.match(/^[0-9a-f-]{36}$/);
      });
    }

    it('an assertion seen before', async () => {
      await start();
      await attempt({ jti: 'once' });
      expect((await failure({ jti: 'once' })).code).to.equal('token.invalid-client');
      expect(lastReason()).to.equal('this jti was used before');
    });

    it('what breaks no rule but one, with the reason in the journal alone', async () => {
      await start();
      const { x5t, kid } = materialOf(own);
      const now = Math.floor(Date.now() / 1_000);
      const assertions: [Promise<string>, RegExp][] = [
        [foreignAssertion({ kid }), /no x5t/],
        [foreignAssertion({ x5t: 'AAAA' }), /no registered certificate/],
        [foreignAssertion({ x5t, alg: 'PS256' }), /alg/i],
        [foreignAssertion({ x5t }, { aud: [adfs.tokenEndpoint] }), /aud is not a string/],
        [foreignAssertion({ x5t }, { iss: 'x' }), /iss/],
        [foreignAssertion({ x5t }, { sub: 'x' }), /sub/],
        [foreignAssertion({ x5t }, { exp: now + 172_800 }), /too far/],
        [foreignAssertion({ x5t }, { exp: now - 60 }), /exp/],
        [foreignAssertion({ x5t }, { nbf: now + 60 }), /nbf/],
        [foreignAssertion({ x5t }).then((jwt) => `${jwt.slice(0, -8)}AAAAAAAA`), /signature/],
        [Promise.resolve('no jwt'), /no JWT/],
      ];
      for (const [assertion, reason] of assertions) {
        const response = await postAssertion(await assertion);
        expect(response.status).to.equal(400);
        expect(await response.text()).to.equal(
          '{"error":"invalid_client","error_description":"MSIS9622: Client authentication failed. Please verify the credential provided for client authentication is valid."}',
        );
        expect(lastReason()).to.match(reason);
      }
    });

    it('word for word, with the apostrophes that AD FS escapes', async () => {
      await start();
      const response = await post(
        { grant_type: 'client_credentials', client_id: 'nobody' },
        { 'client-request-id': 'c0ffee' },
      );
      expect(response.headers.get('client-request-id')).to.equal('c0ffee');
      expect(await response.text()).to.equal(
        String.raw`{"error":"invalid_client","error_description":"MSIS9607: The \u0027client_id\u0027 parameter in the request is invalid. No registered client is found with this identifier."}`,
      );
    });

    it('other grants', async () => {
      await start();
      const errorOf = async (form: Record<string, string>): Promise<unknown> =>
        await (await post(form)).json();
      expect(await errorOf({ grant_type: 'password', client_id: CLIENT })).to.include({
        error: 'invalid_grant',
      });
      expect(await errorOf({ grant_type: 'x', client_id: CLIENT })).to.include({
        error: 'unsupported_grant_type',
      });
      expect(await errorOf({})).to.include({ error: 'invalid_request' });
      expect(await errorOf({ grant_type: 'client_credentials', client_id: CLIENT })).to.include({
        error: 'invalid_client',
      });
    });

    it('without letting a secret into any error', async () => {
      await start();
      const errors = [
        await failure({ certificate: stranger }),
        await failure({ resource: 'canary-resource' }),
      ];
      const assertions = adfs.journal().map((entry) => entry.form['client_assertion'] ?? '');
      for (const error of errors) {
        const said = JSON.stringify([error, error.toWire(), error.stack]);
        expect(said).to.not.contain('canary');
        for (const assertion of assertions) expect(said).to.not.contain(assertion);
      }
    });
  });

  describe('faults', () => {
    const cases = [
      ['unavailable-html', 'token.unavailable'],
      ['html-as-success', 'token.not-json'],
      ['throttled', 'token.throttled'],
      ['redirect', 'token.redirected'],
      ['truncated', 'token.not-json'],
      ['missing-access-token', 'token.missing-access-token'],
      ['not-bearer', 'token.not-bearer'],
      ['server-error', 'token.unavailable'],
    ] as const;
    for (const [name, code] of cases) {
      it(`${name} is met once, as ${code}`, async () => {
        await start();
        adfs.faults.add({ name, times: 1 });
        expect((await failure()).code).to.equal(code);
        expect((await attempt()).expiresInS).to.equal(3_600);
      });
    }

    it('expires_in as a string is read, a missing one is taken for 1800 s', async () => {
      await start();
      adfs.faults.add({ name: 'string-expires-in', times: 1 });
      adfs.faults.add({ name: 'missing-expires-in', times: 1 });
      expect((await attempt()).expiresInS).to.equal(3_600);
      expect((await attempt()).expiresInS).to.equal(1_800);
    });

    it('a stalled answer ends with the signal', async () => {
      await start();
      adfs.faults.add({ name: 'stall' });
      const abort = new AbortController();
      const reason = new Error('patience is over');
      const pending = attempt({ signal: abort.signal });
      abort.abort(reason);
      expect(await pending.catch((error: unknown) => error)).to.equal(reason);
    });

    it('close ends a stalled request', async () => {
      await start();
      adfs.faults.add({ name: 'stall' });
      const pending = attempt().catch((error: unknown) => error);
      while (adfs.journal().length === 0) await new Promise((resolve) => setImmediate(resolve));
      await adfs.close();
      expect(await pending).to.be.instanceOf(Error);
      await start();
    });
  });

  describe('other addresses', () => {
    it('publish keys and configuration', async () => {
      await start();
      const configuration: unknown = await (
        await fetch(`${adfs.url}/adfs/.well-known/openid-configuration`)
      ).json();
      expect(configuration).to.include({
        token_endpoint: `${adfs.tokenEndpoint}/`,
        jwks_uri: `${adfs.url}/adfs/discovery/keys`,
        access_token_issuer: adfs.issuer,
      });
      expect(await (await fetch(`${adfs.url}/adfs/discovery/keys`)).json()).to.deep.equal(adfs.jwks);
    });

    it('are 404 with an empty body, which the delegate takes for a wrong URL', async () => {
      await start();
      const error = await failure({ endpoint: `${adfs.url}/adfs/oauth2/authorize` });
      expect(error.code).to.equal('token.not-found');
      expect(error.message).to.contain('/adfs/oauth2/authorize answered 404 with an empty body');
    });
  });

  describe('admin plane', () => {
    const admin = async (
      method: string,
      path: string,
      body?: unknown,
    ): Promise<{ status: number; json: unknown }> => {
      const response = await fetch(`${adfs.adminUrl}/__sim/${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, json: await response.json() };
    };

    it('registers, breaks and tells as the object does', async () => {
      await start();
      const { certificatePem } = stranger;
      await admin('POST', 'clients', { clientId: 'remote', certificatePem, permissions: ['https://r'] });
      await admin('POST', 'resources', { identifier: 'https://r2' });
      await admin('POST', 'faults', { name: 'throttled' });
      const remote = { clientId: 'remote', certificate: stranger };
      expect((await failure({ ...remote, resource: 'https://r' })).code).to.equal('token.throttled');
      await admin('DELETE', 'faults');
      await attempt({ ...remote, resource: 'https://r' });
      expect((await failure({ ...remote, resource: 'https://r2' })).message).to.contain('MSIS9605');
      expect((await admin('GET', 'journal')).json).to.deep.equal(JSON.parse(JSON.stringify(adfs.journal())));
      expect((await admin('GET', 'info')).json).to.include({ url: adfs.url, issuer: adfs.issuer });
    });

    it('says what it can not read, and what it can do', async () => {
      await start();
      expect((await admin('POST', 'faults', { name: 'no such fault' })).status).to.equal(400);
      expect((await admin('POST', 'clients')).status).to.equal(400);
      const unknown = await admin('GET', 'nothing');
      expect(unknown.status).to.equal(404);
      expect(unknown.json).to.have.property('operations').that.includes('GET /__sim/journal');
    });
  });

  it('speaks TLS with a development certificate that is its own trust anchor', async () => {
    const tls = await createDevelopmentCertificate({
      commonName: 'adfs',
      altNames: ['127.0.0.1', 'localhost'],
    });
    await start({ tls: { key: tls.pkcs8Pem, cert: tls.certificatePem } });
    const status = await new Promise<number | undefined>((resolve, reject) => {
      get(`${adfs.url}/adfs/discovery/keys`, { ca: tls.certificatePem, agent: false }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      }).on('error', reject);
    });
    expect(status).to.equal(200);
    expect(adfs.issuer).to.match(/^http:/);
  });
});
