import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Redactor } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { createSecrets, type Secrets, type SecretsOptions } from '../../src/secrets/index.ts';
import { CloudRoom, type CloudRoomOptions } from '../support/cloud-room.ts';
import { FakeAws } from '../support/fake-aws.ts';
import { AUTHORITY, FakeAzure } from '../support/fake-azure.ts';
import { FakeGcp } from '../support/fake-gcp.ts';
import { NO_STORES } from '../support/no-stores.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { vaultBench } from '../secrets/vault/support.ts';
import { piecesIn } from './finder.ts';
import { OUTPUTS } from './outputs.ts';
import { ENCODINGS, KINDS } from './shapes.ts';

const { value, pieces } = KINDS['a password with every sign of a keyboard'] ?? expect.fail();

/** A provider that has the value, as a task meets it; what it knows of secrets is the redactor's alone. */
interface Source extends AsyncDisposable {
  readonly redactor: Redactor;
  readonly secrets: Secrets;
  readonly reference: string;
  readonly logged: readonly string[];
}

/** How each kind of provider is given the value. A provider that is added to the product gets a line here. */
const PROVIDERS: Readonly<Record<string, (home: string) => Promise<Source>>> = {
  env: () => Promise.resolve(local('env:PASSWORD', { environment: { DELEGATE_SECRET_PASSWORD: value } })),
  file: async (home) => {
    await writeFile(join(home, 'password'), value);
    return local('file:password', { directory: home });
  },
  kubernetes: async (home) => {
    await mkdir(join(home, 'snow'));
    await writeFile(join(home, 'snow', 'password'), value);
    return local('kubernetes:snow/password', {}, { kubernetesDirectory: home });
  },
  exec: async (home) => {
    await writeFile(join(home, 'password'), value);
    const execFile = join(home, 'exec.json');
    const commands = { password: { command: ['/bin/cat', join(home, 'password')] } };
    await writeFile(execFile, JSON.stringify(commands), { mode: 0o600 });
    return local('exec:password', {}, { execFile });
  },
  vault: async (home) => {
    const bench = await vaultBench(home);
    bench.vault.mount('kv', 2);
    bench.vault.put('kv', 'servicenow/prod', { password: value });
    const { redactor, logged } = bench;
    return {
      redactor,
      logged,
      secrets: bench.open(),
      reference: 'vault:kv/servicenow/prod#password',
      [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
    };
  },
  aws: async () => {
    const cloud = await new FakeAws('eu-central-1').listen();
    cloud.keys.set('AKIAFAKEKEYFORTESTS1', { secret: 'aws-key-of-tests', token: undefined });
    cloud.put('one', value);
    const environment = {
      AWS_ACCESS_KEY_ID: 'AKIAFAKEKEYFORTESTS1',
      AWS_SECRET_ACCESS_KEY: 'aws-key-of-tests',
    };
    const settings = { aws: { region: 'eu-central-1', endpoint: undefined } };
    return inCloud('aws:one', { cloud, settings, environment });
  },
  azure: async () => {
    const vaultUrl = 'https://delegate-tests.vault.azure.net';
    const tenant = '11111111-2222-3333-4444-555555555555';
    const cloud = await new FakeAzure(vaultUrl, tenant).listen();
    cloud.clientCredentials.add('azure-client-secret-of-tests');
    cloud.put('one', value);
    const environment = {
      AZURE_TENANT_ID: tenant,
      AZURE_CLIENT_ID: '99999999-8888-7777-6666-555555555555',
      AZURE_CLIENT_SECRET: 'azure-client-secret-of-tests',
    };
    const settings = { azure: { vaultUrl, authorityHost: AUTHORITY } };
    return inCloud('azure:one', { cloud, settings, environment });
  },
  gcp: async (home) => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const cloud = await new FakeGcp().listen();
    cloud.publicKey = publicKey;
    cloud.put('projects/delegate-tests/secrets/one', value);
    const keyFile = join(home, 'key.json');
    await writeFile(
      keyFile,
      JSON.stringify({
        type: 'service_account',
        project_id: 'delegate-tests',
        private_key_id: '1',
        private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
        client_email: 'delegate@delegate-tests.iam.gserviceaccount.com',
        client_id: '1',
        token_uri: 'https://oauth2.googleapis.com/token',
      }),
    );
    const settings = { gcp: { project: 'delegate-tests', endpoint: undefined } };
    return inCloud('gcp:one', { cloud, settings, environment: { GOOGLE_APPLICATION_CREDENTIALS: keyFile } });
  },
};

function inCloud(reference: string, options: CloudRoomOptions): Source {
  const room = new CloudRoom(options);
  return {
    redactor: room.redactor,
    logged: room.log,
    secrets: room.secrets,
    reference,
    async [Symbol.asyncDispose]() {
      await room[Symbol.asyncDispose]();
      await options.cloud[Symbol.asyncDispose]();
    },
  };
}

function local(
  reference: string,
  options: Partial<SecretsOptions>,
  stores: Partial<typeof NO_STORES> = {},
): Source {
  const redactor = new Redactor();
  const logged: string[] = [];
  const tell = (fields: Record<string, unknown>, message: string): void =>
    void logged.push(`${message} ${JSON.stringify(fields)}`);
  const log = { info: tell, warn: tell };
  const protect: SecretsOptions['protect'] = (one, origins) => redactor.register(one, { origins });
  const scrub = (text: string): string => redactor.scrub(text);
  const permit = (one: string, origins: readonly string[]): void => redactor.permit(one, origins);
  const send = (): never => expect.fail('nobody is asked');
  const secrets = createSecrets({
    environment: {},
    directory: undefined,
    stores: {
      settings: { ...NO_STORES, ...stores },
      ports: { send, clock: systemClock, protect, permit, scrub, log },
    },
    names: {},
    writable: [],
    admit: () => Promise.resolve(),
    protect,
    log,
    ...options,
  });
  return {
    redactor,
    secrets,
    reference,
    logged,
    [Symbol.asyncDispose]: () => secrets[Symbol.asyncDispose](),
  };
}

describe('a secret of each provider', function () {
  this.timeout(30_000);
  const home = tempDirs();
  leavesNothingOpen();

  for (const [name, open] of Object.entries(PROVIDERS)) {
    it(`is in nothing that leaves, once it was read: ${name}`, async () => {
      await using source = await open(await home());
      const { redactor, secrets, reference, logged } = source;
      const signal = AbortSignal.timeout(10_000);
      const secret = await secrets.resolve(reference, { signal, origins: ['https://acme.example'] });
      expect(secret.reveal()).to.equal(value);
      for (const [encoding, encode] of Object.entries(ENCODINGS)) {
        for (const [output, emit] of Object.entries(OUTPUTS)) {
          expect(
            piecesIn(await emit(encode(value), redactor), pieces),
            `${encoding}, ${output}`,
          ).to.deep.equal([]);
        }
      }
      expect(piecesIn(logged.join('\n'), pieces)).to.deep.equal([]);
    });
  }
});
