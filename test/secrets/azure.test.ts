import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { conforms, type CloudCase } from '../support/cloud-conformance.ts';
import { CloudRoom } from '../support/cloud-room.ts';
import { failureOf } from '../support/failure.ts';
import { AUTHORITY, azureError, FakeAzure } from '../support/fake-azure.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const VAULT = 'https://delegate-tests.vault.azure.net';
const TENANT = '11111111-2222-3333-4444-555555555555';
const CLIENT_SECRET = 'azure-client-secret-canary-4Kd~8Q';
const TOKEN = 'azure-access-token-canary-2Lx9Rw7Pz';
const SETTINGS = { azure: { vaultUrl: VAULT, authorityHost: AUTHORITY } };
const IDS = { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: '99999999-8888-7777-6666-555555555555' };
const BY_SECRET = { ...IDS, AZURE_CLIENT_SECRET: CLIENT_SECRET };

async function fakeAzure(): Promise<FakeAzure> {
  const azure = await new FakeAzure(VAULT, TENANT).listen();
  azure.token = TOKEN;
  azure.clientCredentials.add(CLIENT_SECRET);
  return azure;
}

describe('Azure Key Vault (a fake, made from its REST reference)', () => {
  const tempDir = tempDirs();
  leavesNothingOpen();

  describe('as every cloud', () => {
    conforms(async (): Promise<CloudCase> => {
      const cloud = await fakeAzure();
      return {
        cloud,
        room: (writable = []) =>
          new CloudRoom({ cloud, settings: SETTINGS, environment: BY_SECRET, writable }),
        put: (name, value) => void cloud.put(name, value),
        valueOf: (name) => cloud.newest(name)?.value,
        referenceTo: (name) => `azure:${name}`,
        scheme: 'azure',
        path: /^\/secrets\/[0-9A-Za-z-]+\/[0-9a-f]*$/,
        odd: [
          'azure:a_b',
          'azure:../keys/k',
          'azure:name/',
          'azure:name/latest',
          `azure:name/${'0'.repeat(32)}/more`,
          'azure:name?api-version=1',
          'azure:na%2fme',
          `azure:${'x'.repeat(128)}`,
        ],
        answers: {
          denied: azureError(403, 'Forbidden', 'ForbiddenByRbac'),
          throttled: azureError(429, 'Throttled'),
          failing: azureError(500, 'InternalServerError'),
          badLogin: azureError(401, 'Unauthorized'),
          notFound: azureError(404, 'SecretNotFound'),
          unknown: azureError(418, 'constructor', 'constructor'),
        },
        right: /Key Vault Secrets User/,
        credentials: new Map([
          ['client secret', CLIENT_SECRET],
          ['access token', TOKEN],
        ]),
        forgetIdentity: () => cloud.clientCredentials.clear(),
      };
    });
  });

  describe('with what only Azure has', () => {
    let azure: FakeAzure;
    beforeEach(async () => {
      azure = await fakeAzure();
    });
    afterEach(async () => {
      await azure[Symbol.asyncDispose]();
    });

    function room(
      environment: Readonly<Record<string, string>> = BY_SECRET,
      writable: readonly string[] = [],
    ): CloudRoom {
      return new CloudRoom({ cloud: azure, settings: SETTINGS, environment, writable });
    }

    it('gives the version that is named, and never writes it', async () => {
      const old = azure.put('one', 'old-value-of-one');
      azure.put('one', 'new-value-of-one');
      const reference = `azure:one/${old}`;
      await using wired = room(BY_SECRET, [reference]);
      expect(await wired.resolve(reference)).to.equal('old-value-of-one');
      expect(await wired.replace(reference, 'newest-value-of-one')).to.equal(false);
      expect(azure.newest('one')?.value).to.equal('new-value-of-one');
    });

    it('says that a version is disabled', async () => {
      azure.put('one', 'value-of-one');
      const version = azure.newest('one');
      if (version !== undefined) version.isEnabled = false;
      await using wired = room();
      const failure = await failureOf(wired.resolve('azure:one'));
      expect(failure.code).to.equal('secret-store-denied');
      expect(failure.message).to.contain('disabled');
    });

    it('tells a firewall from a missing right', async () => {
      await using wired = room();
      azure.failWith(azureError(403, 'Forbidden', 'ForbiddenByFirewall'));
      expect((await failureOf(wired.resolve('azure:one'))).hint).to.contain('firewall');
    });

    it('says how a deleted secret comes back, and does not write over it', async () => {
      azure.put('one', 'value-of-one');
      azure.deleted.add('one');
      await using wired = room(BY_SECRET, ['azure:one']);
      const failure = await failureOf(wired.resolve('azure:one'));
      expect(failure.code).to.equal('secret-not-found');
      expect(failure.hint).to.contain('recover');
      expect(await wired.replace('azure:one', 'new-value-of-one')).to.equal(false);
    });

    it('keeps what a secret says of itself when it is written', async () => {
      azure.put('one', 'value-of-one', { contentType: 'text/plain', tags: { owner: 'itsm' } });
      await using wired = room(BY_SECRET, ['azure:one']);
      expect(await wired.replace('azure:one', 'new-value-of-one')).to.equal(true);
      expect(azure.newest('one')).to.deep.include({
        value: 'new-value-of-one',
        contentType: 'text/plain',
        tags: { owner: 'itsm' },
      });
    });

    it('says what is wrong with a client secret by the number of Entra ID alone, whose text repeats it', async () => {
      await using wired = room({ ...IDS, AZURE_CLIENT_SECRET: 'wrong-client-secret-canary' });
      const failure = await failureOf(wired.resolve('azure:one'));
      expect(failure.code).to.equal('secret-store-login-refused');
      expect(failure.details).to.include({ azureError: 'AADSTS7000215' });
      expect(JSON.stringify(failure.toWire())).not.to.contain('wrong-client-secret-canary');
      expect(failure.cause).to.equal(undefined);
    });

    it('says which ids are missing beside a credential, and asks nobody', async () => {
      await using wired = room({ AZURE_CLIENT_SECRET: CLIENT_SECRET });
      const failure = await failureOf(wired.resolve('azure:one'));
      expect(failure.message).to.contain('AZURE_TENANT_ID');
      expect(azure.requests).to.deep.equal([]);
    });

    it('logs in with the token of the pod, through the same HTTP client', async () => {
      const path = join(await tempDir(), 'token');
      await writeFile(path, 'federated-token-canary');
      azure.clientCredentials.add('federated-token-canary');
      azure.put('one', 'value-of-one');
      await using wired = room({ ...IDS, AZURE_FEDERATED_TOKEN_FILE: path });
      expect(await wired.resolve('azure:one')).to.equal('value-of-one');
      expect(new Set(azure.requests.map(({ origin }) => origin))).to.deep.equal(new Set([VAULT, AUTHORITY]));
      expect(wired.redactor.scrub(`token: ${TOKEN}`)).to.equal('token: [secret]');
    });

    it('says that the application does not trust the pod', async () => {
      const path = join(await tempDir(), 'token');
      await writeFile(path, 'token-of-another-pod');
      await using wired = room({ ...IDS, AZURE_FEDERATED_TOKEN_FILE: path });
      const failure = await failureOf(wired.resolve('azure:one'));
      expect(failure.code).to.equal('secret-store-login-refused');
      expect(failure.hint).to.contain('system:serviceaccount');
    });

    it('takes the managed identity of the machine', async () => {
      azure.hasManagedIdentity = true;
      azure.put('one', 'value-of-one');
      await using wired = room({});
      expect(await wired.resolve('azure:one')).to.equal('value-of-one');
    });

    it('takes the lack of a metadata service for a lack of credentials', async () => {
      const dead = ['http://169.254.169.254'];
      const environment = { AZURE_CLIENT_ID: '00000000-1111-2222-3333-555555555555' };
      await using wired = new CloudRoom({ cloud: azure, settings: SETTINGS, environment, dead });
      expect((await failureOf(wired.resolve('azure:one'))).code).to.equal('secret-store-login-refused');
    });

    it('says that Entra ID can not be reached, and not that a secret is wrong', async () => {
      const settings = SETTINGS;
      await using wired = new CloudRoom({
        cloud: azure,
        settings,
        environment: BY_SECRET,
        dead: [AUTHORITY],
      });
      const failure = await failureOf(wired.resolve('azure:one'));
      expect(failure).to.include({ code: 'secret-store-unreachable', retryable: true });
      expect(failure.message).to.contain('login.microsoftonline.com');
    });

    it('says that there is no identity at all', async () => {
      // Of an identity of its own: Azure's library keeps the tokens of machines for the whole process.
      await using wired = room({ AZURE_CLIENT_ID: '00000000-1111-2222-3333-444444444444' });
      const failure = await failureOf(wired.resolve('azure:one'));
      expect(failure.code).to.equal('secret-store-login-refused');
      expect(failure.hint).to.contain('workload identity');
    });

    it('does not give its token to another service that asks for it', async () => {
      await using wired = room();
      azure.failWith({
        status: 401,
        headers: {
          'www-authenticate': `Bearer authorization="https://login.evil.example/${TENANT}", resource="https://graph.microsoft.com"`,
        },
        body: '',
      });
      await failureOf(wired.resolve('azure:one'));
      expect(azure.requests.filter(({ headers }) => headers['authorization'] !== undefined)).to.deep.equal(
        [],
      );
      expect(azure.requests.filter(({ origin }) => origin !== VAULT)).to.deep.equal([]);
    });
  });
});
