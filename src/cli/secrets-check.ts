import { composeConnectors } from '../compose/connectors.ts';
import { policyOf } from '../compose/policy.ts';
import { composeSecrets } from '../compose/secrets.ts';
import { readEnvironment } from '../config/environment.ts';
import { ConfigurationError, type TaskConfiguration } from '../config/load.ts';
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
import type { Inspection } from '../secrets/inspect.ts';
import { endSoon } from './ending.ts';
import { readConnectorFile } from './local/input-file.ts';
import { guardCommand } from './outputs.ts';
import { terminalOf } from './report/layout.ts';
import { secretsReport, type CheckedSecret, type Destination } from './report/secrets.ts';
import { onStopSignals } from './signals.ts';

const HINT = 'servicenow-delegate secrets --help shows what it takes, with examples.';

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
  const firstFlag = args.findIndex((arg) => arg.startsWith('-'));
  const references = firstFlag === -1 ? args : args.slice(0, firstFlag);
  const environment = readEnvironment();
  const { configuration, flags, warnings } = loadLocalConfiguration(
    // A word stands for the one operand that other commands have: here there may be none, or several.
    { args: ['check', ...args.slice(references.length)], environment },
    { flags: { json: 'switch', connector: 'text' }, operand: 'REFERENCE' },
    HINT,
  );
  for (const warning of warnings) process.stderr.write(`${warning}\n`);
  const redactor = new Redactor();
  using _outputs = guardCommand(redactor, () => SOME_DO_NOT);
  const stop = new AbortController();
  using _signals = onStopSignals((signal) => stop.abort(new Error(`stopped by ${signal}`)));
  try {
    const checked = await check(configuration, environment, redactor, {
      references,
      connectorFile: flags.get('connector'),
      signal: AbortSignal.any([stop.signal, AbortSignal.timeout(CHECK_WITHIN_MS)]),
    });
    const text = flags.has('json')
      ? `${JSON.stringify({ secrets: checked }, null, 2)}\n`
      : secretsReport(checked, terminalOf(process.stdout));
    process.stdout.write(redactor.scrub(text));
    return checked.every(isInOrder) ? ALL_RESOLVE : SOME_DO_NOT;
  } finally {
    endSoon();
  }
}

function isInOrder({ error, mayGoTo }: CheckedSecret): boolean {
  return error === undefined && mayGoTo.every(({ allowed }) => allowed);
}

interface Asked {
  readonly references: readonly string[];
  readonly connectorFile: string | undefined;
  readonly signal: AbortSignal;
}

async function check(
  configuration: TaskConfiguration,
  environment: Readonly<Record<string, string | undefined>>,
  redactor: Redactor,
  { references, connectorFile, signal }: Asked,
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
    throw new ConfigurationError(
      ['REFERENCE: none was given, and secretNames maps none; name some, or give --connector=FILE'],
      HINT,
    );
  }
  await using secrets = composeSecrets(ports);
  return await Promise.all(
    Array.from(wanted, async (reference) => {
      const inspection = await secrets.inspect(reference, signal);
      const mayGoTo = await destinationsOf(
        inspection,
        needs.filter((need) => need.reference === reference),
        policy,
      );
      return checkedSecret(inspection, mayGoTo, configuration.writableSecrets);
    }),
  );
}

/** The secrets that a connector's file names, by the very code that reads a task's input. */
async function needsOf(
  path: string,
  ports: Parameters<typeof composeSecrets>[0],
  signal: AbortSignal,
): Promise<readonly SecretNeed[]> {
  const input = await readConnectorFile({ path, standardInput: process.stdin, signal });
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
