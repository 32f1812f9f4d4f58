import { policyOf } from '../../compose/policy.ts';
import { withoutCredentials } from '../../config/environment.ts';
import type { CommandFlags } from '../../config/flags.ts';
import { loadConfiguration, type LoadedConfiguration, type Sources } from '../../config/load.ts';
import type { Redactor } from '../../kit/secret.ts';
import type { Clock } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import { PinFile } from '../../policy/pins.ts';
import { CHECKING } from '../pages/checking.ts';
import { flagKinds } from '../pages/page.ts';
import { ConnectorRoom } from './checks/connectors.ts';
import { checkDescriptors, checkDisk, checkMemory, checkNode } from './checks/machine.ts';
import { checkClock, checkEnrolment, checkIdle, checkManager, IDLE_HOLD_MS } from './checks/manager.ts';
import { checkAddresses, checkDns, checkProxy } from './checks/network.ts';
import { checkPort } from './checks/port.ts';
import { checkPolicy, judgeMistakes, judgeWarnings } from './checks/settings.ts';
import { checkJournal, checkRunning, checkState } from './checks/state.ts';
import { checkTls } from './checks/tls.ts';
import { scrubbed, skip, skipBecauseOf, type CheckResult } from './finding.ts';
import { Patient } from './patient.ts';
import { runChecks, type Check } from './run-checks.ts';

/** What all checks have, unless told otherwise: with start and end the command stays below 10 s. */
export const DEFAULT_TIMEOUT_S = 7;

export const DOCTOR_COMMAND: CommandFlags = {
  flags: flagKinds(CHECKING.doctor),
  operand: 'CONNECTOR FILE',
  operands: 'any',
};

/** Every id that a report can have, in its order; `secrets` and `connector` also with a dot and a name behind it. */
export const CHECK_IDS = [
  'config',
  'policy',
  'node',
  'memory',
  'files',
  'state',
  'running',
  'journal',
  'disk',
  'port',
  'dns',
  'ip',
  'proxy',
  'tls',
  'manager',
  'clock',
  'idle',
  'enrolment',
  'secrets',
  'connector',
] as const;
export type CheckId = (typeof CHECK_IDS)[number];

export interface Examination {
  readonly sources: Sources;
  readonly command: CommandFlags;
  readonly version: string;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly log: Logger;
  /** Ends everything; its reason goes through. */
  readonly signal: AbortSignal;
  /** A connection is held for a minute, too. */
  readonly long: boolean;
  /** Milliseconds that all checks have. */
  readonly withinMs: number;
  readonly onProgress?: (open: readonly string[], total: number) => void;
}

/** Looks at everything that a delegate with these settings needs. Starts none, and writes nothing. */
export async function examine(examination: Examination): Promise<CheckResult[]> {
  const { sources, command, signal } = examination;
  let loaded: LoadedConfiguration;
  try {
    loaded = loadConfiguration(sources, { command, defaultLogLevel: 'fatal' });
  } catch (thrown) {
    return await run({ config: () => judgeMistakes(thrown), node: () => checkNode() }, 'config', examination);
  }
  const { configuration, warnings } = loaded;
  const policy = checkPolicy(configuration);
  const early: Looks = {
    config: () => judgeWarnings(warnings),
    policy: () => policy,
    node: () => checkNode(),
  };
  if (policy.status === 'FAIL') return await run(early, 'policy', examination);
  const over = new AbortController();
  const ending = AbortSignal.any([signal, over.signal]);
  try {
    const patient = patientOf(loaded, { ...examination, signal: ending });
    await using room = new ConnectorRoom(patient, loaded.flags.operands);
    const { stateDir, capacity, outbox, auditMaxBytes } = configuration;
    const looks: Looks = {
      ...early,
      memory: () => checkMemory({ capacity, outboxBytes: outbox.maxBytes }),
      files: () => checkDescriptors(capacity),
      state: () => checkState(stateDir),
      running: () => checkRunning(patient),
      journal: () => checkJournal(patient),
      disk: () => checkDisk({ stateDir, maxBytes: outbox.maxBytes + auditMaxBytes }, examination.clock),
      port: (until) => checkPort(patient, until),
      dns: () => checkDns(patient),
      ip: (until) => checkAddresses(patient, until),
      proxy: async () => await checkProxy(patient, await room.targets()),
      tls: (until) => checkTls(patient, until),
      manager: () => checkManager(patient),
      clock: () => checkClock(patient),
      enrolment: (until) => checkEnrolment(patient, until),
    };
    if (examination.long) looks.idle = (until) => checkIdle(patient, until);
    return await run(looks, undefined, examination, await room.checks(examination.withinMs));
  } finally {
    over.abort(new Error('the examination is over'));
  }
}

/** What a connection to the manager leaves of a check's time, for a word on what held it up. */
const WORD_MS = 500;

function patientOf(loaded: LoadedConfiguration, examination: Examination): Patient {
  const { configuration } = loaded;
  const { sources, clock, withinMs } = examination;
  return new Patient({
    ...examination,
    ...loaded,
    policy: policyOf(configuration, new PinFile({ stateDir: configuration.stateDir, clock })),
    environment: withoutCredentials(sources.environment),
    reachWithinMs: Math.max(withinMs - WORD_MS, withinMs / 2),
  });
}

type Looks = Partial<Record<CheckId, Check['look']>>;

const NOT_LONG = skip(
  'Whether a connection at rest survives a minute was not looked at.',
  'servicenow-delegate doctor --long looks; it takes a minute.',
);

/** What is given, and a word on every other check: why it was not made. */
async function run(
  looks: Looks,
  because: CheckId | undefined,
  { clock, signal, withinMs, redactor, onProgress }: Examination,
  named: readonly Check[] = [],
): Promise<CheckResult[]> {
  const checks = CHECK_IDS.flatMap((id): Check[] => {
    const look = looks[id];
    if (look !== undefined)
      return [{ id, look, ...(id === 'idle' ? { withinMs: withinMs + IDLE_HOLD_MS } : {}) }];
    const several = named.filter((check) => check.id === id || check.id.startsWith(`${id}.`));
    if (several.length > 0) return several;
    return [{ id, look: () => (because === undefined ? NOT_LONG : skipBecauseOf(because, TITLES[id])) }];
  });
  const results = await runChecks(checks, {
    clock,
    signal,
    withinMs,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return results.map((result) => scrubbed(result, (text) => redactor.scrub(text)));
}

/** What each check looks at, as the beginning of a sentence. */
const TITLES: Readonly<Record<CheckId, string>> = {
  config: 'The settings',
  policy: 'The policy',
  node: 'Node.js',
  memory: 'The memory limit',
  files: 'The limit of open files',
  state: 'The state folder',
  running: 'Whether a delegate runs',
  journal: 'The journal',
  disk: 'The disk',
  port: 'The port of the health endpoints',
  dns: 'DNS',
  ip: 'The way over IPv4 and IPv6',
  proxy: 'The proxy',
  tls: 'TLS',
  manager: 'The upgrade to a WebSocket',
  clock: "This machine's clock",
  idle: 'A connection at rest',
  enrolment: 'The enrolment',
  secrets: 'Each secret',
  connector: 'Each connector',
};
