import { composeConnectors, type ConnectorsOptions } from './compose/connectors.ts';
import { dialerOf, userAgentOf } from './compose/network.ts';
import { policyOf } from './compose/policy.ts';
import { composeWatching } from './compose/watching.ts';
import { composeTracing } from './compose/tracing.ts';
import { parseTaskSigningKeys, readTokenFile } from './config/credentials.ts';
import { labelOf } from './config/leaves.ts';
import type { Configuration } from './config/load.ts';
import type { EnrolmentToken } from './delegate/connection/credentials.ts';
import { Delegate } from './delegate/delegate.ts';
import { openJournal } from './delegate/journal/file-journal.ts';
import { journalFolder } from './delegate/journal/folder.ts';
import { keptSecretsKeyFrom, stateKeyFrom } from './delegate/state/state-key.ts';
import { HttpClient } from './http/client.ts';
import { Fresh } from './http/fresh.ts';
import { deferred } from './kit/flow.ts';
import type { Secret } from './kit/secret.ts';
import { FileAuditLog } from './observability/audit/audit-log.ts';
import { auditFolder, auditFolderOf } from './observability/audit/folder.ts';
import { noAuditLog, type AuditLog } from './observability/audit/trail.ts';
import { PinFile } from './policy/pins.ts';
import type { Policy } from './policy/policy.ts';
import { assertSecretsStay } from './policy/secret-bounds.ts';
import type { Ed25519PublicJwk } from './protocol/enrolment.ts';

export interface ComposeOptions extends Omit<
  ConnectorsOptions,
  'configuration' | 'policy' | 'delegateId' | 'keptSecretsKey' | 'audit' | 'metrics'
> {
  configuration: Configuration;
  enrolmentToken: Secret | undefined;
  stateKey: Secret | undefined;
  /** Every code that an error of this program can have: only these become labels of metrics. */
  errorCodes: ReadonlySet<string>;
  /** Lines of the log that its output did not take since the start. */
  logLinesLost: () => number;
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
  const policy = policyOf(configuration, new PinFile({ stateDir: configuration.stateDir, clock }));
  log.info(policy.summary, 'policy in force');
  const managerOrigin = new URL(configuration.managerUrl).origin;
  const pin = (secret: Secret | undefined, origins: readonly string[]): void => {
    if (secret !== undefined) redactor.register(secret.reveal(), { pinned: true, origins });
  };
  pin(options.enrolmentToken, [managerOrigin]);
  pin(options.stateKey, []);
  // The manager's address is the operator's own word, checked with the configuration.
  const dialer = dialerOf({ ...options, policy });
  const managerHttp = new HttpClient({
    dialer,
    guardUrl: () => {},
    guardRequest: (exchange) => assertSecretsStay(exchange, redactor),
    guardAddress: () => {},
    userAgent: userAgentOf(version),
  });
  const audit = auditLogOf(options, policy, () => delegate.delegateId);
  const signingKeys = await taskSigningKeysOf(options);
  // There is no identity before the delegate runs, and so none before its first task.
  const keptSecretsKey = deferred<Buffer>();
  const watching = composeWatching({
    ...options,
    policy,
    delegate: () => delegate,
    connectors: () => connectors,
  });
  const { metrics } = watching;
  const { traces, name } = configuration;
  const tracer = await composeTracing({ ...options, traces, name, dialer, metrics, random: Math.random });
  const connectors = composeConnectors({
    ...options,
    policy,
    dialer,
    audit,
    metrics,
    keptSecretsKey: () => keptSecretsKey.promise,
    delegateId: () => delegate.delegateId,
  });
  const delegate: Delegate = new Delegate({
    managerUrl: configuration.managerUrl,
    enrolmentToken: enrolmentTokenOf(options, [managerOrigin]),
    keyRotationMs: configuration.keyRotationMs,
    forgetTokens: () => connectors.forget(),
    name: configuration.name,
    tags: [...new Set([...configuration.tags, configuration.hostName])],
    version,
    stateDir: configuration.stateDir,
    capacity: configuration.capacity,
    taskTypes: connectors.taskTypes,
    taskResources: connectors,
    capabilities: connectors.capabilities,
    taskSigningKeys: signingKeys && (() => signingKeys.current()),
    requireSignedTasks: configuration.requireSignedTasks || policy.requireSignedTasks,
    policyHash: policy.hash,
    shutdownGraceMs: configuration.shutdownGraceMs,
    outboxLimits: configuration.outbox,
    openJournal: ({ stateKey }) => {
      const source = { operatorKey: options.stateKey, identityKey: stateKey };
      keptSecretsKey.resolve(keptSecretsKeyFrom(source));
      return openJournal({
        folder: journalFolder(configuration.stateDir),
        key: stateKeyFrom({ ...source, managerUrl: configuration.managerUrl }),
        clock,
        log,
        onWritten: (tookMs) => metrics.journalWritten(tookMs),
      });
    },
    audit,
    metrics,
    eventLoopDelayMs: watching.eventLoopDelayMs,
    tracer,
    send: managerHttp.send,
    dialer,
    redactor,
    clock,
    random: Math.random,
    log,
  });
  const health = await watching.serve();
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
      // Last: how the others end belongs into the traces.
      await tracer[Symbol.asyncDispose]();
    },
  };
}

/** From a file it is read when it is needed, and kept by nobody; a value is let go of once it has served. */
function enrolmentTokenOf(options: ComposeOptions, origins: readonly string[]): EnrolmentToken {
  const { enrolmentTokenFile: path } = options.configuration;
  if (path === undefined) return options.enrolmentToken;
  return () => {
    const token = readTokenFile(path);
    return token && options.redactor.register(token.reveal(), { pinned: true, origins });
  };
}

/** The keys of the operator's file, taken up anew when it has changed; a file that is no good changes nothing. */
async function taskSigningKeysOf({
  configuration,
  clock,
  log,
}: ComposeOptions): Promise<Fresh<readonly Ed25519PublicJwk[]> | undefined> {
  const { taskSigningKeysFile: path } = configuration;
  if (path === undefined) return undefined;
  const keys = new Fresh({
    what: `the task-signing keys (${labelOf('taskSigningKeysFile')})`,
    paths: [path],
    make: ([text = '']) => {
      const parsed = parseTaskSigningKeys(text);
      if (parsed === undefined) throw new Error('it is not a JWK set of public Ed25519 keys');
      return parsed;
    },
    clock,
    log,
  });
  await keys.current();
  return keys;
}

/** Of a delegate in service, unless its operator wants none. */
function auditLogOf(options: ComposeOptions, policy: Policy, delegateId: () => string): AuditLog {
  const { configuration, version, redactor, clock, log } = options;
  if (configuration.auditMaxBytes === 0) return noAuditLog();
  return new FileAuditLog({
    folder: auditFolder(auditFolderOf(configuration.stateDir)),
    maxBytes: configuration.auditMaxBytes,
    started: () => ({
      event: 'started',
      version,
      delegateName: configuration.name,
      delegateId: delegateId() || null,
      managerUrl: configuration.managerUrl,
      policyHash: policy.hash,
      requireSignedTasks: configuration.requireSignedTasks || policy.requireSignedTasks,
      allowLoopback: configuration.allowLoopback,
    }),
    scrub: (text) => redactor.scrub(text),
    clock,
    log,
  });
}
