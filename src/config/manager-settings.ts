import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { systemCode } from '../kit/errors.ts';
import { Secret } from '../kit/secret.ts';
import { ConfigurationError } from './errors.ts';
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from './schema.ts';

/** Settings of the reference manager, from the environment alone. */
export interface ManagerSettings {
  host: string;
  port: number;
  publicUrl: string | undefined;
  /** Undefined: one is made at start. */
  apiToken: Secret | undefined;
  minRetryIntervalMs: number;
  signTasks: boolean;
  logLevel: LogLevel;
  logFormat: LogFormat;
  /** Things that are probably mistakes but stop nothing. */
  warnings: readonly string[];
}

/** A shorter token can be guessed; an empty one would let everybody in. */
const MIN_API_TOKEN_CHARS = 16;
const API_TOKEN_TOO_SHORT = `must have at least ${MIN_API_TOKEN_CHARS} characters`;

const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(least).max(most));

const environmentSchema = z.object({
  MANAGER_HTTP_HOST: z.string().min(1).default('127.0.0.1'),
  MANAGER_HTTP_PORT: wholeNumber(0, 65_535).default(8081),
  MANAGER_PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'must be an https:// or http:// address' })
    .optional(),
  MANAGER_API_TOKEN: z.string().min(MIN_API_TOKEN_CHARS, API_TOKEN_TOO_SHORT).optional(),
  MANAGER_API_TOKEN_FILE: z.string().min(1).optional(),
  MANAGER_MIN_RETRY_INTERVAL_MS: wholeNumber(100, 3_600_000).default(10_000),
  MANAGER_SIGN_TASKS: z.enum(['true', 'false']).default('false'),
  MANAGER_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  MANAGER_LOG_FORMAT: z.enum(LOG_FORMATS).default('json'),
});

/** Every complaint in one `ConfigurationError`. */
export function loadManagerSettings(
  environment: Readonly<Record<string, string | undefined>>,
): ManagerSettings {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) {
    throw invalid(...parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  }
  const settings = parsed.data;
  return {
    host: settings.MANAGER_HTTP_HOST,
    port: settings.MANAGER_HTTP_PORT,
    publicUrl: settings.MANAGER_PUBLIC_URL,
    apiToken: readApiToken(settings.MANAGER_API_TOKEN, settings.MANAGER_API_TOKEN_FILE),
    minRetryIntervalMs: settings.MANAGER_MIN_RETRY_INTERVAL_MS,
    signTasks: settings.MANAGER_SIGN_TASKS === 'true',
    logLevel: settings.MANAGER_LOG_LEVEL,
    logFormat: settings.MANAGER_LOG_FORMAT,
    warnings: Object.keys(environment)
      .filter((name) => name.startsWith('MANAGER_') && !Object.hasOwn(environmentSchema.shape, name))
      .map((name) => `${name} is not a setting of the manager; it is ignored.`),
  };
}

function readApiToken(token: string | undefined, file: string | undefined): Secret | undefined {
  if (token !== undefined && file !== undefined) {
    throw invalid('MANAGER_API_TOKEN: give it or MANAGER_API_TOKEN_FILE, not both');
  }
  if (file === undefined) return token === undefined ? undefined : new Secret(token);
  const contents = readTokenFile(file);
  if (contents.length < MIN_API_TOKEN_CHARS) {
    throw invalid(`MANAGER_API_TOKEN_FILE: its token ${API_TOKEN_TOO_SHORT}`);
  }
  return new Secret(contents);
}

/** The path is not quoted: a token given where its file belongs would be. */
function readTokenFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (thrown) {
    throw invalid(`MANAGER_API_TOKEN_FILE: the file cannot be read (${systemCode(thrown) ?? 'unknown'})`);
  }
}

function invalid(...complaints: readonly string[]): ConfigurationError {
  return new ConfigurationError(complaints, 'docs/manager.md lists every setting.');
}
