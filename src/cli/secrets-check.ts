import { composeConnectors } from '../compose/connectors.ts';
import { policyOf } from '../compose/policy.ts';
import { composeSecrets } from '../compose/secrets.ts';
import { readEnvironment } from '../config/environment.ts';
import { CommandLineError, type TaskConfiguration } from '../config/load.ts';
import { loadLocalConfiguration } from '../config/local.ts';
import { packageVersion } from '../config/version.ts';
import type { SecretNeed } from '../connectors/connector.ts';
import { connectors } from '../connectors/index.ts';
import { Redactor } from '../kit/secret.ts';
import { systemClock } from '../kit/time.ts';
import { createLogger } from '../observability/logger.ts';
import { PinFile } from '../policy/pins.ts';
import type { Policy } from '../policy/policy.ts';
import { shownReference } from '../policy/secret-reference.ts';
import type { Secrets } from '../secrets/index.ts';
import type { Inspection } from '../secrets/inspect.ts';
import { endSoon } from './ending.ts';
import { readConnectorFile } from './local/input-file.ts';
import { guardCommand } from './outputs.ts';
import { complain } from './complaint.ts';
import { CHECKING } from './pages/checking.ts';
import { flagKinds, hintOf } from './pages/page.ts';
import { harmlessJson, terminalOf } from './report/layout.ts';
import { ProgressLine } from './report/progress.ts';
import { secretsReport, type CheckedSecret, type Destination } from './report/secrets.ts';
import { onStopSignals } from './signals.ts';

const ALL_RESOLVE = 0;
const SOME_DO_NOT = 1;

/** Of each read, with its login; a store has less. */
const CHECK_WITHIN_MS = 60_000;

const VALIDATE_TASK = 'servicenow.connector.validate';

/**
 * `secrets check [REFERENCE…] [--connector FILE] [--json]`: for each reference where its value comes from, whether it is
 * there, and where it may go; never the value. 0 all resolve and may go where the connector sends them · 1 some don't.
 */
export async function checkSecrets(args: readonly string[]): Promise<number> {
  const environment = readEnvironment();
  const { configuration, flags, operands, warnings } = loadLocalConfiguration(
    { args, environment },
    { flags: flagKinds(CHECKING.secrets, 'check'), operand: 'REFERENCE', operands: 'any' },
    hintOf('secrets'),
  );
  for (const warning of warnings) complain({ message: warning });
  const redactor = new Redactor();
  using progress = new ProgressLine();
  using _outputs = guardCommand(
    redactor,
    () => SOME_DO_NOT,
    () => progress.clear(),
  );
  const stop = new AbortController();
  using _signals = onStopSignals((signal) => stop.abort(new Error(`stopped by ${signal}`)));
  try {
    const checked = await check(configuration, environment, redactor, {
      references: operands,
      connectorFile: flags.get('connector'),
      onProgress: (message) => progress.show(redactor.scrub(message)),
      signal: AbortSignal.any([stop.signal, AbortSignal.timeout(CHECK_WITHIN_MS)]),
    });
    // Scrubbed before it gets escapes that the redactor doesn't know.
    const text = flags.has('json')
      ? harmlessJson(`${redactor.scrub(JSON.stringify({ secrets: checked }, null, 2))}\n`)
      : redactor.scrub(secretsReport(checked, terminalOf(process.stdout)));
    process.stdout.write(text);
    return checked.every(isInOrder) ? ALL_RESOLVE : SOME_DO_NOT;
  } finally {
    endSoon();
  }
}

export function isInOrder({ error, mayGoTo }: CheckedSecret): boolean {
  return error === undefined && mayGoTo.every(({ allowed }) => allowed);
}

interface Asked {
  readonly references: readonly string[];
  readonly connectorFile: string | undefined;
  readonly onProgress: (message: string) => void;
  readonly signal: AbortSignal;
}

async function check(
  configuration: TaskConfiguration,
  environment: Readonly<Record<string, string | undefined>>,
  redactor: Redactor,
  { references, connectorFile, onProgress, signal }: Asked,
): Promise<CheckedSecret[]> {
  const { logLevel: level, logFormat: format } = configuration;
  const log = await createLogger({ level, format, redactor, destination: process.stderr });
  const policy = policyOf(
    configuration,
    new PinFile({ stateDir: configuration.stateDir, clock: systemClock }),
  );
  const version = packageVersion();
  const ports = { configuration, policy, environment, version, redactor, clock: systemClock, log };
  const needs = connectorFile === undefined ? [] : await needsOf(connectorFile, ports, signal);
  const wanted = new Set([...references, ...needs.map(({ reference }) => reference)]);
  if (wanted.size === 0) for (const name of Object.keys(configuration.secretNames)) wanted.add(name);
  if (wanted.size === 0) {
    throw new CommandLineError(
      ['REFERENCE: none was given, and secretNames maps none; name some, or give --connector=FILE'],
      hintOf('secrets'),
    );
  }
  await using secrets = composeSecrets(ports);
  const asked = { secrets, needs, policy, writable: configuration.writableSecrets, signal };
  let done = 0;
  const tell = (): void => onProgress(`reading secrets: ${done} of ${wanted.size}`);
  tell();
  return await Promise.all(
    Array.from(wanted, async (reference) => {
      const checked = await checkSecret(reference, asked);
      done += 1;
      tell();
      return checked;
    }),
  );
}

/** One reference. Rejects with the signal's reason, or if where it may go can't be known. */
export async function checkSecret(
  reference: string,
  { secrets, needs, policy, writable, signal }: AskedOfSecret,
): Promise<CheckedSecret> {
  const inspection = await secrets.inspect(reference, signal);
  const mayGoTo = await destinationsOf(
    inspection,
    needs.filter((need) => need.reference === reference),
    policy,
  );
  return checkedSecret(inspection, mayGoTo, writable);
}

export interface AskedOfSecret {
  readonly secrets: Pick<Secrets, 'inspect'>;
  /** Of connectors, this secret's and others'. */
  readonly needs: readonly SecretNeed[];
  readonly policy: Policy;
  /** `DELEGATE_WRITABLE_SECRETS` */
  readonly writable: readonly string[];
  readonly signal: AbortSignal;
}

/** The secrets that a connector's file names, by the very code that reads a task's input. */
async function needsOf(
  path: string,
  ports: Parameters<typeof composeSecrets>[0],
  signal: AbortSignal,
): Promise<readonly SecretNeed[]> {
  return await secretsOf(await readConnectorFile({ path, standardInput: process.stdin, signal }), ports);
}

/** Rejects with what is wrong with the connector. */
export async function secretsOf(
  input: unknown,
  ports: Parameters<typeof composeSecrets>[0],
): Promise<readonly SecretNeed[]> {
  await using wired = composeConnectors({
    ...ports,
    // Whether the instance is allowed is for `policy explain`.
    policy: { ...ports.policy, authorize: () => [] },
    connectors,
    keptSecretsKey: () => Promise.reject(new TypeError('no kept secret is asked for here')),
    delegateId: () => 'local',
  });
  const validate = wired.taskTypes.find(({ name }) => name === VALIDATE_TASK);
  return validate?.prepare(input).secrets ?? [];
}

/** For what a connector sends, the policy's word; else what it says of the secret itself. */
async function destinationsOf(
  { name }: Inspection,
  needs: readonly SecretNeed[],
  policy: Policy,
): Promise<readonly Destination[]> {
  if (name === undefined) return [];
  if (needs.length === 0) return await policy.destinationsOf(name);
  return await Promise.all(
    needs.map(async ({ field, origins }) => {
      const judgement = await policy.explainSecret(name, origins);
      return {
        field,
        origins,
        allowed: judgement.allowed,
        because: judgement.allowed ? judgement.rule : judgement.denial.message,
      };
    }),
  );
}

function checkedSecret(
  { reference, name, provider, outcome }: Inspection,
  mayGoTo: readonly Destination[],
  writable: readonly string[],
): CheckedSecret {
  const isMapped = name !== undefined && name !== reference;
  const isListed = name !== undefined && writable.includes(name);
  const facts = {
    // A name that nobody has mapped may be a password, pasted where its name belongs.
    reference: isMapped ? reference : shownReference(reference),
    ...(isMapped ? { standsFor: shownReference(name) } : {}),
    ...(provider === undefined ? {} : { provider }),
    mayGoTo,
  };
  if (!outcome.resolves) return { ...facts, resolves: false, warnings: [], error: outcome.error };
  const { place, traits, canBeWritten } = outcome;
  const cannotBeWritten = isListed && !canBeWritten ? ['is listed as writable, and can not be written'] : [];
  return {
    ...facts,
    resolves: true,
    place,
    length: traits.lengthClass,
    mayBeReplaced: isListed && canBeWritten,
    warnings: [...traits.warnings, ...cannotBeWritten],
  };
}
