import { leaves } from './leaves.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const MANAGER_SECRETS: readonly string[] = ['MANAGER_API_TOKEN'];

/**
 * A snapshot of the environment, taken once: this folder is the only one that reads it. What is secret in it is then no
 * longer in the process's own, from which libraries, child processes and diagnostic reports take it.
 *
 * The kernel shows the variables that a process was started with for as long as it lives (`/proc/PID/environ`, to its
 * own user and to root), whatever becomes of them: a file is the place for a secret.
 */
export function readEnvironment(): Environment {
  const snapshot = { ...process.env };
  const credentials = credentialVariables();
  for (const name of Object.keys(snapshot)) {
    if (credentials.has(name) || name.startsWith('DELEGATE_SECRET_')) delete process.env[name];
  }
  return snapshot;
}

/** What is left for those who run after the settings were read: the delegate's own credentials are not theirs. */
export function withoutCredentials(environment: Environment): Environment {
  const credentials = credentialVariables();
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !credentials.has(name)));
}

function credentialVariables(): ReadonlySet<string> {
  const sensitive = [...leaves().values()].filter((leaf) => leaf.sensitive === true);
  return new Set([...sensitive.flatMap(({ env }) => env ?? []), ...MANAGER_SECRETS]);
}
