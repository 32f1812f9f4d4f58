import { join } from 'node:path';
import type { Configuration, TaskConfiguration } from './config/load.ts';
import type { DefineConnector, TaskType } from './connectors/connector.ts';
import { Delegate } from './delegate/delegate.ts';
import { openJournal } from './delegate/journal/file-journal.ts';
import { journalFolder } from './delegate/journal/folder.ts';
import { keptSecretsKeyFrom, stateKeyFrom } from './delegate/state/state-key.ts';
import { HttpClient } from './http/client.ts';
import { deferred } from './kit/flow.ts';
import type { Redactor, Secret } from './kit/secret.ts';
import { endsWithin, type Clock } from './kit/time.ts';
import { serveHealth } from './observability/health.ts';
import type { Logger } from './observability/logger.ts';
import { defaultPolicy, type Policy } from './policy/policy.ts';
import { assertSecretsStay } from './policy/secret-bounds.ts';
import { createSecrets } from './secrets/index.ts';
import { createKeptSecrets } from './secrets/kept-secrets.ts';

/** For an exchange that has just begun, which has a minute, and the disk behind it, which has no limit of its own. */
const CONNECTORS_END_WITHIN_MS = 70_000;

export interface ConnectorsOptions {
  configuration: TaskConfiguration;
  policy: Policy;
  /** What this delegate can do. */
  connectors: readonly DefineConnector[];
  /** Whence `env:` secrets come. */
  environment: Readonly<Record<string, string | undefined>>;
  version: string;
  redactor: Redactor;
  clock: Clock;
  log: Logger;
  /** What kept secrets are encrypted with, from `keptSecretsKeyFrom`; asked for when the first is needed. */
  keptSecretsKey: () => Promise<Buffer>;
  /** As the manager knows it; only there once it is enrolled. */
  delegateId: () => string;
}

/** The connectors on the adapters below them; `[Symbol.asyncDispose]` ends their connections, however often it is called. */
export interface WiredConnectors extends AsyncDisposable {
  readonly taskTypes: readonly TaskType[];
  readonly capabilities: readonly string[];
}

/** What tasks need, with or without a manager. */
export function composeConnectors(options: ConnectorsOptions): WiredConnectors {
  const { configuration, redactor, version, clock, log } = options;
  const { policy } = options;
  const secrets = createSecrets({
    environment: options.environment,
    directory: configuration.secretsDir,
    names: configuration.secretNames,
    writable: configuration.writableSecrets,
    admit: (name, origins, signal) => policy.admitSecret(name, origins, signal),
    protect: (value, origins) => redactor.register(value, { origins }),
    log,
  });
  const kept = createKeptSecrets({
    folder: join(configuration.stateDir, 'kept'),
    key: options.keptSecretsKey,
    protect: (value) => redactor.register(value),
    log,
  });
  const http = new HttpClient({
    guardUrl: (url) => policy.assertUrl(url),
    guardRequest: (exchange) => {
      policy.assertRequest(exchange);
      assertSecretsStay(exchange, redactor);
    },
    guardAddress: (address) => policy.assertAddress(address),
    userAgent: userAgentOf(version),
    maxBodyBytes: policy.maxAnswerBytes,
  });
  const wired = options.connectors.map((define) =>
    define({
      http,
      secrets,
      kept,
      clock,
      policy,
      random: Math.random,
      protect: (value, origins) => redactor.register(value, { origins }),
      scrub: (text) => redactor.scrub(text),
      delegate: { id: options.delegateId, name: configuration.name, version },
    }),
  );
  const endConnectors = async (): Promise<void> => {
    await Promise.all(wired.map(async (connector) => await connector[Symbol.asyncDispose]?.()));
  };
  const end = async (): Promise<void> => {
    // First who sends: a token exchange that is under way is seen through.
    if (!(await endsWithin(clock, CONNECTORS_END_WITHIN_MS, endConnectors()))) {
      log.error('connectors do not end; ending without them');
    }
    await http[Symbol.asyncDispose]();
  };
  let ending: Promise<void> | undefined;
  return {
    taskTypes: wired.flatMap((connector) => connector.tasks),
    capabilities: wired.flatMap((connector) => connector.capabilities),
    [Symbol.asyncDispose]: () => (ending ??= end()),
  };
}

export interface ComposeOptions extends Omit<
  ConnectorsOptions,
  'configuration' | 'policy' | 'delegateId' | 'keptSecretsKey'
> {
  configuration: Configuration;
  enrolmentToken: Secret | undefined;
  stateKey: Secret | undefined;
}

/** A wired delegate; `[Symbol.asyncDispose]` ends what it stands on, after `run` has ended. */
export interface ComposedDelegate extends AsyncDisposable {
  readonly delegate: Delegate;
  readonly healthUrl: string;
  /** Ends what tasks stand on, after the delegate has stopped; resolves when their last exchange has ended. */
  endTasks(): Promise<void>;
}

/** Wires everything, by plain parameters. Rejects with a coded error if the health port can't be had. */
export async function compose(options: ComposeOptions): Promise<ComposedDelegate> {
  const { configuration, log, redactor, version, clock } = options;
  const policy = policyOf(configuration);
  const managerOrigin = new URL(configuration.managerUrl).origin;
  const pin = (secret: Secret | undefined, origins: readonly string[]): void => {
    if (secret !== undefined) redactor.register(secret.reveal(), { pinned: true, origins });
  };
  pin(options.enrolmentToken, [managerOrigin]);
  pin(options.stateKey, []);
  // The manager's address is the operator's own word, checked with the configuration.
  const managerHttp = new HttpClient({
    guardUrl: () => {},
    guardRequest: (exchange) => assertSecretsStay(exchange, redactor),
    guardAddress: () => {},
    userAgent: userAgentOf(version),
  });
  // There is no identity before the delegate runs, and so none before its first task.
  const keptSecretsKey = deferred<Buffer>();
  const connectors = composeConnectors({
    ...options,
    policy,
    keptSecretsKey: () => keptSecretsKey.promise,
    delegateId: () => delegate.delegateId,
  });
  const delegate: Delegate = new Delegate({
    managerUrl: configuration.managerUrl,
    enrolmentToken: options.enrolmentToken,
    name: configuration.name,
    tags: [...new Set([...configuration.tags, configuration.hostName])],
    version,
    stateDir: configuration.stateDir,
    capacity: configuration.capacity,
    taskTypes: connectors.taskTypes,
    taskResources: connectors,
    capabilities: connectors.capabilities,
    taskSigningKeys: configuration.taskSigningKeys,
    requireSignedTasks: configuration.requireSignedTasks || policy.requireSignedTasks,
    policyHash: policy.hash,
    shutdownGraceMs: configuration.shutdownGraceMs,
    outboxLimits: configuration.outbox,
    openJournal: ({ privateKey }) => {
      const source = { operatorKey: options.stateKey, identityKey: privateKey };
      keptSecretsKey.resolve(keptSecretsKeyFrom(source));
      return openJournal({
        folder: journalFolder(configuration.stateDir),
        key: stateKeyFrom({ ...source, managerUrl: configuration.managerUrl }),
        clock,
        log,
      });
    },
    send: managerHttp.send,
    redactor,
    clock,
    random: Math.random,
    log,
  });
  const health = await serveHealth({
    host: configuration.httpHost,
    port: configuration.httpPort,
    readiness: () => delegate.readiness(),
  });
  return {
    delegate,
    healthUrl: health.url,
    endTasks: async () => await connectors[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await Promise.all([
        health[Symbol.asyncDispose](),
        connectors[Symbol.asyncDispose](),
        managerHttp[Symbol.asyncDispose](),
      ]);
    },
  };
}

/** What the customer allows. */
export function policyOf({ allowLoopback }: TaskConfiguration): Policy {
  return defaultPolicy({ allowLoopback });
}

function userAgentOf(version: string): string {
  return `servicenow-delegate/${version}`;
}
