import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { conforms, type CloudCase } from '../support/cloud-conformance.ts';
import { CACHE_MS, CloudRoom } from '../support/cloud-room.ts';
import { failureOf } from '../support/failure.ts';
import { FakeGcp, gcpError } from '../support/fake-gcp.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const PROJECT = 'delegate-tests';
const TOKEN = 'gcp-access-token-canary-6Tn3Vb9Qx';
const SETTINGS = { gcp: { project: PROJECT, endpoint: undefined } };
const SECRETS = `projects/${PROJECT}/secrets`;

describe('Google Secret Manager (a fake, made from its REST reference)', () => {
  const tempDir = tempDirs();
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  leavesNothingOpen();

  async function fakeGcp(): Promise<FakeGcp> {
    const gcp = await new FakeGcp().listen();
    gcp.token = TOKEN;
    gcp.publicKey = publicKey;
    return gcp;
  }

  async function file(content: unknown): Promise<Readonly<Record<string, string>>> {
    const path = join(await tempDir(), 'credentials.json');
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return { GOOGLE_APPLICATION_CREDENTIALS: path };
  }

  async function keyFile(key = pem): Promise<Readonly<Record<string, string>>> {
    return await file({
      type: 'service_account',
      project_id: PROJECT,
      private_key_id: '1',
      private_key: key,
      client_email: `delegate@${PROJECT}.iam.gserviceaccount.com`,
      client_id: '1',
      token_uri: 'https://oauth2.googleapis.com/token',
    });
  }

  describe('as every cloud', () => {
    conforms(async (): Promise<CloudCase> => {
      const cloud = await fakeGcp();
      const environment = await keyFile();
      return {
        cloud,
        room: (writable = []) => new CloudRoom({ cloud, settings: SETTINGS, environment, writable }),
        put: (name, value) => cloud.put(`${SECRETS}/${name}`, value),
        valueOf: (name) => cloud.newest(`${SECRETS}/${name}`)?.data.toString(),
        referenceTo: (name) => `gcp:${name}`,
        scheme: 'gcp',
        path: /^\/v1\/projects\/[a-z0-9.:-]+\/secrets\/[\w-]+\/versions\/[\w-]+:access$/,
        odd: [
          'gcp:a b',
          'gcp:..',
          'gcp:../secrets/one',
          'gcp:name/',
          'gcp:name/0',
          'gcp:name/-1',
          'gcp:name/1/2',
          'gcp:name:destroy',
          'gcp:name?alt=json',
          'gcp:na%2fme',
          'gcp:projects/../secrets/one',
          'gcp:projects/p/secrets/one/versions',
          'gcp:projects/p/topics/one',
        ],
        answers: {
          denied: gcpError(403, 'PERMISSION_DENIED', 'IAM_PERMISSION_DENIED'),
          throttled: gcpError(429, 'RESOURCE_EXHAUSTED', 'RATE_LIMIT_EXCEEDED'),
          failing: gcpError(503, 'UNAVAILABLE'),
          badLogin: gcpError(401, 'UNAUTHENTICATED', 'ACCESS_TOKEN_EXPIRED'),
          notFound: gcpError(404, 'NOT_FOUND'),
          unknown: gcpError(418, 'constructor', 'constructor'),
        },
        right: /secretmanager\.versions\.access/,
        credentials: new Map([
          ['private key', pem.split('\n')[3] ?? ''],
          ['access token', TOKEN],
        ]),
        forgetIdentity: () => (cloud.publicKey = undefined),
      };
    });
  });

  describe('with what only Google has', () => {
    let gcp: FakeGcp;
    beforeEach(async () => {
      gcp = await fakeGcp();
    });
    afterEach(async () => {
      await gcp[Symbol.asyncDispose]();
    });

    function room(
      environment: Readonly<Record<string, string>>,
      writable: readonly string[] = [],
    ): CloudRoom {
      return new CloudRoom({ cloud: gcp, settings: SETTINGS, environment, writable });
    }

    it('gives the version that is named, and never writes it', async () => {
      gcp.put(`${SECRETS}/one`, 'old-value-of-one');
      gcp.put(`${SECRETS}/one`, 'new-value-of-one');
      const full = `gcp:${SECRETS}/one/versions/1`;
      await using wired = room(await keyFile(), [full, 'gcp:one/1']);
      expect(await wired.resolve('gcp:one/1')).to.equal('old-value-of-one');
      expect(await wired.resolve(full)).to.equal('old-value-of-one');
      expect(gcp.storeRequests).to.have.length(1);
      expect(await wired.replace('gcp:one/1', 'newest-value')).to.equal(false);
      expect(await wired.replace(full, 'newest-value')).to.equal(false);
    });

    it('reaches a secret of another project by its whole name', async () => {
      gcp.put('projects/elsewhere/secrets/one', 'value-of-elsewhere');
      await using wired = room(await keyFile());
      expect(await wired.resolve('gcp:projects/elsewhere/secrets/one')).to.equal('value-of-elsewhere');
      expect((await failureOf(wired.resolve('gcp:one'))).code).to.equal('secret-not-found');
    });

    it('says that a version is disabled', async () => {
      gcp.put(`${SECRETS}/one`, 'value-of-one');
      const version = gcp.newest(`${SECRETS}/one`);
      if (version !== undefined) version.isEnabled = false;
      await using wired = room(await keyFile());
      const failure = await failureOf(wired.resolve('gcp:one'));
      expect(failure.code).to.equal('secret-store-denied');
      expect(failure.message).to.contain('disabled');
    });

    it('does not give bytes that are no text', async () => {
      gcp.put(`${SECRETS}/one`, Buffer.from('pässword', 'latin1'));
      await using wired = room(await keyFile());
      const failure = await failureOf(wired.resolve('gcp:one'));
      expect(failure.code).to.equal('secret-unreadable');
      expect(failure.hint).to.contain('base64');
    });

    it('tells the reasons of a denial apart', async () => {
      await using wired = room(await keyFile());
      for (const [reason, hint] of [
        ['SERVICE_DISABLED', 'gcloud services enable'],
        ['ACCESS_TOKEN_SCOPE_INSUFFICIENT', 'cloud-platform'],
        ['SECURITY_POLICY_VIOLATED', 'perimeter'],
      ] as const) {
        gcp.failWith(gcpError(403, 'PERMISSION_DENIED', reason));
        const failure = await failureOf(wired.resolve('gcp:one'));
        expect(failure).to.include({ code: 'secret-store-denied' });
        expect(failure.hint).to.contain(hint);
      }
    });

    it('gets a new token when the old one is no longer taken', async () => {
      gcp.put(`${SECRETS}/one`, 'value-of-one');
      await using wired = room(await keyFile());
      await wired.resolve('gcp:one');
      gcp.token = `${TOKEN}-second`;
      await wired.clock.advance(CACHE_MS + 1);
      expect((await failureOf(wired.resolve('gcp:one'))).code).to.equal('secret-store-login-refused');
      expect(await wired.resolve('gcp:one')).to.equal('value-of-one');
    });

    it('takes the token of the machine, and no library for it', async () => {
      gcp.hasMachineIdentity = true;
      gcp.put(`${SECRETS}/one`, 'value-of-one');
      await using wired = room({});
      expect(await wired.resolve('gcp:one')).to.equal('value-of-one');
      expect(gcp.requests.map(({ origin }) => origin)).to.deep.equal([
        'http://metadata.google.internal',
        'https://secretmanager.googleapis.com',
      ]);
    });

    it('takes the lack of a metadata server for a lack of credentials, and may find one later', async () => {
      const dead = ['http://metadata.google.internal'];
      await using wired = new CloudRoom({ cloud: gcp, settings: SETTINGS, environment: {}, dead });
      const failure = await failureOf(wired.resolve('gcp:one'));
      expect(failure).to.include({ code: 'secret-store-login-refused', retryable: true });
    });

    it('says that its token server can not be reached', async () => {
      const dead = ['https://oauth2.googleapis.com'];
      await using wired = new CloudRoom({
        cloud: gcp,
        settings: SETTINGS,
        environment: await keyFile(),
        dead,
      });
      const failure = await failureOf(wired.resolve('gcp:one'));
      expect(failure).to.include({ code: 'secret-store-unreachable', retryable: true });
      expect(failure.message).to.contain('oauth2.googleapis.com');
    });

    it('says that the machine has no identity', async () => {
      await using wired = room({});
      const failure = await failureOf(wired.resolve('gcp:one'));
      expect(failure.code).to.equal('secret-store-login-refused');
      expect(failure.hint).to.contain('GOOGLE_APPLICATION_CREDENTIALS');
    });

    it('logs in with the token of the pod by federation, through the same HTTP client', async () => {
      const subject = await file('subject-token-canary');
      gcp.federated.add('subject-token-canary');
      gcp.put(`${SECRETS}/one`, 'value-of-one');
      const audience =
        '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider';
      await using wired = room(
        await file({
          type: 'external_account',
          audience,
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          token_url: 'https://sts.googleapis.com/v1/token',
          service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/delegate@${PROJECT}.iam.gserviceaccount.com:generateAccessToken`,
          credential_source: { file: subject['GOOGLE_APPLICATION_CREDENTIALS'] },
        }),
      );
      expect(await wired.resolve('gcp:one')).to.equal('value-of-one');
    });

    it('sends the token of the pod to no address that Google does not have', async () => {
      const subject = await file('subject-token-canary');
      await using wired = room(
        await file({
          type: 'external_account',
          audience: 'any',
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          token_url: 'https://sts.googleapis.com.evil.example/v1/token',
          credential_source: { file: subject['GOOGLE_APPLICATION_CREDENTIALS'] },
        }),
      );
      expect((await failureOf(wired.resolve('gcp:one'))).code).to.equal('secret-store-elsewhere');
      expect(gcp.requests).to.deep.equal([]);
    });

    it('takes no credentials file of another kind, and quotes nothing of it', async () => {
      const executable = {
        type: 'external_account',
        credential_source: { executable: { command: '/bin/true' } },
      };
      for (const content of [
        executable,
        { type: 'authorized_user', refresh_token: 'file-canary' },
        '{"file-canary',
      ]) {
        await using wired = room(await file(content));
        const failure = await failureOf(wired.resolve('gcp:one'));
        expect(failure.code).to.equal('secret-store-login-refused');
        expect(inspect(failure, { depth: 8 })).not.to.contain('file-canary');
      }
      await using wired = room({ GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json' });
      expect((await failureOf(wired.resolve('gcp:one'))).message).to.contain('ENOENT');
    });
  });
});
