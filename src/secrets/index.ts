import { envProvider } from './env.ts';
import { fileProvider } from './file.ts';
import type { SecretsLog } from './log.ts';
import { createResolver, type Provider, type ResolverOptions, type SecretResolver } from './resolver.ts';

export interface SecretsOptions {
  /** A snapshot of the environment; only names that begin with `DELEGATE_SECRET_` are looked at. */
  environment: Readonly<Record<string, string | undefined>>;
  /** `DELEGATE_SECRETS_DIR`; undefined switches file references off. */
  directory: string | undefined;
  /** Bare names and the provider references that they stand for. */
  names: Readonly<Record<string, string>>;
  /** The provider references whose values the delegate may replace. */
  writable: readonly string[];
  admit: ResolverOptions['admit'];
  protect: ResolverOptions['protect'];
  log: SecretsLog;
}

/** The providers: one file and one line each. */
export function createSecrets(options: SecretsOptions): SecretResolver {
  const providers: Readonly<Record<string, Provider>> = {
    env: envProvider(options.environment),
    file: fileProvider(options.directory),
  };
  const { names, writable, admit, protect, log } = options;
  return createResolver({ providers, names, writable, admit, protect, log });
}
