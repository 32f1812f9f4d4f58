import type { Configuration } from './config/load.ts';
import { connectors } from './connectors/index.ts';
import { Delegate } from './delegate/delegate.ts';
import { memoryJournal } from './delegate/journal.ts';
import { HttpClient } from './http/client.ts';
import type { Redactor, Secret } from './kit/secret.ts';
import { systemClock } from './kit/time.ts';
import { serveHealth } from './observability/health.ts';
import type { Logger } from './observability/logger.ts';
import { assertAddress, assertDestination } from './policy/destination.ts';
import { createSecrets } from './secrets/index.ts';

export interface ComposeOptions {
  configuration: Configuration;
  enrolmentToken: Secret | undefined;
  /** Whence `env:` secrets come. */
  environment: Readonly<Record<string, string | undefined>>;
  version: string;
  log: Logger;
  redactor: Redactor;
}

/** A wired delegate; `[Symbol.asyncDispose]` ends what it stands on, after `run` has ended. */
export interface ComposedDelegate extends AsyncDisposable {
  readonly delegate: Delegate;
  readonly healthUrl: string;
}

/** Wires everything, by plain parameters. Rejects with a coded error if the health port can't be had. */
export async function compose(options: ComposeOptions): Promise<ComposedDelegate> {
  const { configuration, log, redactor, version } = options;
  const protect = (value: string): Secret => redactor.register(value);
  if (options.enrolmentToken !== undefined)
    redactor.register(options.enrolmentToken.reveal(), { pinned: true });
  const rules = { allowLoopback: configuration.allowLoopback };
  const userAgent = `servicenow-delegate/${version}`;
  const journal = memoryJournal();

  const taskHttp = new HttpClient({
    guardUrl: (url) => assertDestination(url, 'request', rules),
    guardAddress: (address) => assertAddress(address, 'request', rules),
    userAgent,
  });
  // The manager's address is the operator's own word, checked with the configuration.
  const managerHttp = new HttpClient({ guardUrl: () => {}, guardAddress: () => {}, userAgent });

  const wired = connectors.map((define) =>
    define({
      http: taskHttp,
      secrets: createSecrets({
        environment: options.environment,
        directory: configuration.secretsDir,
        names: configuration.secretNames,
        protect,
      }),
      clock: systemClock,
      assertAllowed: (url, purpose) => assertDestination(url, purpose, rules),
      random: Math.random,
      protect,
      scrub: (text) => redactor.scrub(text),
      delegate: { id: () => delegate.delegateId, name: configuration.name, version },
    }),
  );
  const delegate: Delegate = new Delegate({
    managerUrl: configuration.managerUrl,
    enrolmentToken: options.enrolmentToken,
    name: configuration.name,
    tags: [...new Set([...configuration.tags, configuration.hostName])],
    version,
    stateDir: configuration.stateDir,
    capacity: configuration.capacity,
    taskTypes: wired.flatMap((connector) => connector.tasks),
    capabilities: wired.flatMap((connector) => connector.capabilities),
    taskSigningKeys: configuration.taskSigningKeys,
    requireSignedTasks: configuration.requireSignedTasks,
    journal,
    send: managerHttp.send,
    redactor,
    clock: systemClock,
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
    async [Symbol.asyncDispose]() {
      await Promise.all([
        health[Symbol.asyncDispose](),
        taskHttp[Symbol.asyncDispose](),
        managerHttp[Symbol.asyncDispose](),
        journal[Symbol.asyncDispose](),
      ]);
    },
  };
}
