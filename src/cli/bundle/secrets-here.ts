import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { policyOf } from '../../compose/policy.ts';
import { composeSecrets } from '../../compose/secrets.ts';
import { withoutCredentials } from '../../config/environment.ts';
import { settingsReference, type LoadedConfiguration } from '../../config/load.ts';
import { keysIn, readIdentityFile } from '../../delegate/state/identity-file.ts';
import { ended } from '../../kit/flow.ts';
import type { Redactor } from '../../kit/secret.ts';
import type { Clock } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Of a variable that is no setting, whoever it is for: a misspelt setting, or another program's. */
const LIKELY_SECRET = /(PASSWORD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|_KEY)(?!.*_(FILE|DIR|PATH)$)/i;
const SECRET_PREFIX = 'DELEGATE_SECRET_';
/** As a secret of a file may have. */
const MAX_FILE_BYTES = 262_144;
/** Of a folder of secrets; one with more is none. */
const MAX_FILES = 500;
const MAX_DEPTH = 4;

/** What the environment says that is nobody's business, also where the settings are not valid. */
export function protectEnvironment(environment: Environment, redactor: Redactor): void {
  const harmless = withoutCredentials(environment);
  const settings = new Set(settingsReference().map(({ env }) => env));
  for (const [name, value = ''] of Object.entries(environment)) {
    const isSecret = name.startsWith(SECRET_PREFIX) || !Object.hasOwn(harmless, name);
    const isLikelyOne = !settings.has(name) && LIKELY_SECRET.test(name);
    if (isSecret || isLikelyOne) protectText(value, redactor);
    for (const part of userInfoOf(value)) protectText(part, redactor);
  }
}

export interface Surroundings {
  readonly environment: Environment;
  readonly version: string;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Every secret of this delegate that can be had from here: what the settings name and hold, the keys of its identity,
 * each file that is its own or a secret, and what its stores give for each name that the settings map.
 */
export async function protectAll(
  { configuration, enrolmentToken, stateKey }: LoadedConfiguration,
  { environment, version, redactor, clock, log, signal }: Surroundings,
): Promise<void> {
  const { network, ownPlaces, secretsDir, secretStores, secretNames, writableSecrets, stateDir } =
    configuration;
  const given = [enrolmentToken, stateKey, network.httpsProxy?.credentials, network.httpProxy?.credentials];
  for (const secret of given) protectText(secret?.reveal() ?? '', redactor);
  const identity = await readIdentityFile(stateDir).catch(() => undefined);
  for (const { d } of identity === undefined ? [] : keysIn(identity)) protectText(d, redactor);
  const folders = [secretsDir, secretStores.kubernetesDirectory].filter((path) => path !== undefined);
  const own = (await Promise.all(ownPlaces.map(fileIfPlain))).flat();
  const files = [
    ...own,
    ...(await Promise.all(folders.map((folder) => filesBelow(folder, MAX_DEPTH)))).flat(),
  ];
  for (const path of files.slice(0, MAX_FILES)) await protectFile(path, redactor);
  const policy = policyOf(configuration);
  await using secrets = composeSecrets({
    configuration,
    policy,
    environment: withoutCredentials(environment),
    version,
    redactor,
    clock,
    log,
  });
  // Whatever is read is registered; whether it is there is for the report of doctor.
  const references = new Set([...Object.values(secretNames), ...writableSecrets]);
  await Promise.all(Array.from(references, (reference) => ended(secrets.inspect(reference, signal))));
}

function protectText(text: string, redactor: Redactor): void {
  const value = text.trim();
  if (value === '') return;
  redactor.register(value, { pinned: true, origins: [] });
  // user:password, as proxies have it: whoever quotes it may leave the user out.
  const [, password = ''] = /^[^:\s]+:(\S+)$/.exec(value) ?? [];
  if (password !== '' && !password.startsWith('//'))
    redactor.register(password, { pinned: true, origins: [] });
}

/** User and password within an address, as `HTTPS_PROXY` may have them. */
function userInfoOf(value: string): string[] {
  const [, userInfo = ''] = /^[a-z][a-z0-9+.-]*:\/\/([^/@]+)@/i.exec(value) ?? [];
  if (userInfo === '') return [];
  try {
    return [userInfo, decodeURIComponent(userInfo)];
  } catch {
    return [userInfo];
  }
}

async function protectFile(path: string, redactor: Redactor): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => '');
  protectText(text, redactor);
}

async function fileIfPlain(path: string): Promise<string[]> {
  const facts = await stat(path).catch(() => undefined);
  return facts?.isFile() === true && facts.size <= MAX_FILE_BYTES ? [path] : [];
}

/** Plain files; what links lead to, as Kubernetes mounts secrets, is found once. */
async function filesBelow(folder: string, depth: number): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(
    names.slice(0, MAX_FILES).map(async (name) => {
      const path = join(folder, name);
      const facts = await lstat(path).catch(() => undefined);
      if (facts?.isDirectory() === true) return depth > 0 ? await filesBelow(path, depth - 1) : [];
      return await fileIfPlain(path);
    }),
  );
  return found.flat();
}
