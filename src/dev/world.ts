import { mkdir, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { Child, type LogLine } from './child.ts';
import {
  ADFS_CLIENT,
  CERTIFICATE_FILE,
  DEV_ENVIRONMENT_SECRETS,
  DEV_SECRET_NAMES,
  DEV_USER,
  devConnectors,
  PRIVATE_KEY_FILE,
  type DevConnectors,
} from './connectors.ts';
import { createDevelopmentCertificate } from './fake-identity/index.ts';
import { JsonApi } from './json-api.ts';
import { makeWorldFolder, sweepLeftovers } from './leftovers.ts';
import { devPolicy } from './policy.ts';

/** A version from before OIDC refresh tokens, for the delegate that plays the old one. */
export const OLD_VERSION = '23.06.79812';

/** Looks at a waiting ticket come this often in the development world. */
const LOOK_EVERY_MS = 1_000;

export interface WorldOptions {
  /** Node's arguments for the command line of this very build, script last. */
  cli: readonly string[];
  /** The environment that every process gets; what the delegate reads is added. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Every line that any process writes. */
  onLine?: (name: string, line: string) => void;
  /** Level of every process's log. */
  logLevel?: string;
  /** More for the delegates' environment, by the name behind `DELEGATE_SECRET_`. */
  secrets?: Readonly<Record<string, string>>;
  /** `default`: the delegates have no policy file, and take tasks for any host. Left out, they have one (`devPolicy`). */
  policy?: 'default';
}

/** Manager, ServiceNow, AD FS and two delegates, each a process of its own on free ports. */
export interface World extends AsyncDisposable {
  readonly addresses: {
    manager: string;
    serviceNow: string;
    serviceNowAdmin: string;
    adfs: string;
    adfsAdmin: string;
    health: string;
  };
  readonly apiToken: string;
  readonly enrolmentToken: string;
  readonly manager: JsonApi;
  readonly serviceNowAdmin: JsonApi;
  readonly adfsAdmin: JsonApi;
  readonly delegate: Child;
  readonly oldDelegate: Child;
  readonly connectors: DevConnectors;
  /** Secrets, state and configuration of the delegates; gone when the world is. */
  readonly folder: string;
  /** The environment that delegate eu-1 was started with, and the port that its health endpoints got. */
  readonly settings: Readonly<Record<string, string>>;
  /** A file that puts `settings` into a shell: `. FILE`. */
  readonly settingsFile: string;
  /** The manager alone goes away. */
  stopManager(): Promise<number | string>;
  /** Stops everything, delegates first. Resolves with each process's exit code. */
  stop(): Promise<Readonly<Record<string, number | string>>>;
}

/** Resolves when both delegates are ready. Whatever was started is stopped if something fails. */
export async function startWorld(options: WorldOptions): Promise<World> {
  await sweepLeftovers(tmpdir());
  const folder = await makeWorldFolder(tmpdir());
  const children: Child[] = [];
  try {
    return await build(options, folder, children);
  } catch (failure) {
    await stopAll(children, folder);
    throw failure;
  }
}

/** The youngest first, so that delegates leave while there is still a manager to say goodbye to. */
async function stopAll(
  children: readonly Child[],
  folder: string,
): Promise<Readonly<Record<string, number | string>>> {
  const codes: Record<string, number | string> = {};
  for (const child of children.toReversed()) codes[child.name] = await child.stop();
  await rm(folder, { recursive: true, force: true });
  return codes;
}

async function build(options: WorldOptions, folder: string, children: Child[]): Promise<World> {
  const environment = basicEnvironment(options.environment);
  const spawn = (name: string, args: readonly string[], env: Record<string, string> = {}): Child => {
    const child = new Child({
      name,
      argv: [...options.cli, ...args],
      env: { ...environment, ...env },
      onLine: options.onLine ?? (() => {}),
    });
    children.push(child);
    return child;
  };
  const level = options.logLevel ?? 'info';

  const apiToken = randomBytes(24).toString('base64url');
  const serviceNowProcess = spawn('servicenow', ['dev-servicenow']);
  const adfsProcess = spawn('adfs', ['dev-adfs']);
  const managerProcess = spawn('manager', ['manager'], {
    MANAGER_HTTP_PORT: '0',
    MANAGER_API_TOKEN: apiToken,
    MANAGER_MIN_RETRY_INTERVAL_MS: String(LOOK_EVERY_MS),
    MANAGER_SIGN_TASKS: 'true',
    MANAGER_LOG_LEVEL: level,
  });
  const [serviceNow, adfs, manager] = await Promise.all([
    serviceNowProcess.line(says('fake ServiceNow ready')).then((line) => twoPlanes.parse(line)),
    adfsProcess.line(says('fake AD FS ready')).then((line) => twoPlanes.parse(line)),
    managerProcess.line(says('manager ready')).then((line) => onePlane.parse(line)),
  ]);

  const api = new JsonApi(manager.url, apiToken);
  const serviceNowAdmin = new JsonApi(serviceNow.adminUrl);
  const adfsAdmin = new JsonApi(adfs.adminUrl);
  const secretsDir = await makeTrust(folder, adfsAdmin, serviceNowAdmin);
  const { value: enrolmentToken } = await api.post(
    '/api/v1/enrolment-tokens',
    { label: 'development', singleUse: false },
    issued,
  );
  const configFile = join(folder, 'delegate.yaml');
  await writeFile(configFile, JSON.stringify({ secretNames: DEV_SECRET_NAMES }));
  const secrets = { ...DEV_ENVIRONMENT_SECRETS, ...options.secrets };
  const addresses = { serviceNow: serviceNow.url, adfs: adfs.url };
  const policyFile = join(folder, 'policy.json');
  await writeFile(policyFile, JSON.stringify(devPolicy(addresses, Object.keys(secrets)), null, 2));

  const delegateEnvironment = (name: string, tags: string): Record<string, string> => ({
    DELEGATE_MANAGER_URL: manager.url,
    DELEGATE_ENROLMENT_TOKEN: enrolmentToken,
    DELEGATE_CONFIG: configFile,
    DELEGATE_NAME: name,
    DELEGATE_TAGS: tags,
    DELEGATE_STATE_DIR: join(folder, name),
    DELEGATE_HTTP_PORT: '0',
    DELEGATE_SECRETS_DIR: secretsDir,
    DELEGATE_ALLOW_LOOPBACK: 'true',
    ...(options.policy === 'default' ? {} : { DELEGATE_POLICY_FILE: policyFile }),
    DELEGATE_LOG_LEVEL: level,
    ...Object.fromEntries(
      Object.entries(secrets).map(([secret, value]) => [`DELEGATE_SECRET_${secret}`, value]),
    ),
  });
  const ownEnvironment = delegateEnvironment('eu-1', 'eu');
  const delegate = spawn('delegate', ['run'], ownEnvironment);
  const oldDelegate = spawn(
    'old-delegate',
    ['dev-delegate', OLD_VERSION],
    delegateEnvironment('old-1', 'legacy'),
  );
  const [{ healthUrl }] = await Promise.all([
    delegate.line(says('delegate starts')).then((line) => health.parse(line)),
    delegate.line(isReady),
    oldDelegate.line(isReady),
  ]);

  const settings = { ...ownEnvironment, DELEGATE_HTTP_PORT: new URL(healthUrl).port };
  const settingsFile = join(folder, 'eu-1.env');
  await writeFile(settingsFile, shellText(settings), { mode: 0o600 });

  let stopping: ReturnType<typeof stopAll> | undefined;
  const stop = (): ReturnType<typeof stopAll> => (stopping ??= stopAll(children, folder));
  return {
    addresses: {
      manager: manager.url,
      serviceNow: serviceNow.url,
      serviceNowAdmin: serviceNow.adminUrl,
      adfs: adfs.url,
      adfsAdmin: adfs.adminUrl,
      health: healthUrl,
    },
    apiToken,
    enrolmentToken,
    manager: api,
    serviceNowAdmin,
    adfsAdmin,
    delegate,
    oldDelegate,
    connectors: devConnectors(addresses),
    folder,
    settings,
    settingsFile,
    stopManager: () => managerProcess.stop(),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}

const onePlane = z.object({ url: z.string() });
const twoPlanes = onePlane.extend({ adminUrl: z.string() });
const health = z.object({ healthUrl: z.string() });
const issued = z.object({ value: z.string() });
const adfsInfo = z.object({ issuer: z.string(), jwks: z.looseObject({ keys: z.array(z.unknown()) }) });

function says(message: string): (line: LogLine) => boolean {
  return (line) => line['msg'] === message;
}

function isReady(line: LogLine): boolean {
  return line['msg'] === 'phase' && line['to'] === 'ready';
}

/** A client certificate for the delegate, AD FS told of it, and ServiceNow told to trust that AD FS. */
async function makeTrust(folder: string, adfsAdmin: JsonApi, serviceNowAdmin: JsonApi): Promise<string> {
  const secretsDir = join(folder, 'secrets');
  const certificate = await createDevelopmentCertificate({ commonName: 'servicenow-delegate development' });
  await mkdir(join(secretsDir, dirname(CERTIFICATE_FILE)), { recursive: true });
  await writeFile(join(secretsDir, CERTIFICATE_FILE), certificate.certificatePem);
  await writeFile(join(secretsDir, PRIVATE_KEY_FILE), certificate.pkcs8Pem, { mode: 0o600 });
  await adfsAdmin.post(
    '/__sim/clients',
    {
      clientId: ADFS_CLIENT.clientId,
      certificatePem: certificate.certificatePem,
      permissions: [ADFS_CLIENT.resource],
      tokenClaims: { upn: DEV_USER },
    },
    z.unknown(),
  );
  const { issuer, jwks } = await adfsAdmin.get('/__sim/info', adfsInfo);
  await serviceNowAdmin.post(
    '/__sim/issuers/trust',
    { issuer, jwks, audience: ADFS_CLIENT.resource, userClaim: 'upn', userField: 'user_name' },
    z.unknown(),
  );
  return secretsDir;
}

/** Exports for any POSIX shell. */
function shellText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'\n`)
    .join('');
}

/** What a process needs to run at all. Settings of whoever started the world must not leak into it. */
function basicEnvironment(environment: WorldOptions['environment']): Record<string, string> {
  return Object.fromEntries(
    ['PATH', 'HOME', 'TMPDIR', 'LANG', 'NODE_V8_COVERAGE'].flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
