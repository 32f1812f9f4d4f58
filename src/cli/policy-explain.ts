import { composeConnectors } from '../compose/connectors.ts';
import { policyOf } from '../compose/policy.ts';
import { readEnvironment } from '../config/environment.ts';
import { loadLocalConfiguration } from '../config/local.ts';
import { packageVersion } from '../config/version.ts';
import type { SecretNeed } from '../connectors/connector.ts';
import { connectors } from '../connectors/index.ts';
import { Redactor } from '../kit/secret.ts';
import { systemClock } from '../kit/time.ts';
import { createLogger } from '../observability/logger.ts';
import type { Judgement } from '../policy/judgement.ts';
import { PinFile } from '../policy/pins.ts';
import type { Policy, TaskAsk } from '../policy/policy.ts';
import { shownReference } from '../policy/secret-reference.ts';
import { complain } from './complaint.ts';
import { localError } from './local/errors.ts';
import { readTaskFile } from './local/input-file.ts';
import { guardCommand } from './outputs.ts';
import { CHECKING } from './pages/checking.ts';
import { flagKinds, hintOf } from './pages/page.ts';
import { hanging, jsonText, marked, padded, terminalOf, type Terminal } from './report/layout.ts';
import { onStopSignals } from './signals.ts';

const ALLOWED = 0;
const DENIED = 1;

/** What the policy says of a task, thing by thing. */
export interface Explanation {
  readonly task: string;
  readonly allowed: boolean;
  readonly judgements: readonly ShownJudgement[];
}

interface ShownJudgement {
  readonly subject: Judgement['subject'];
  readonly asked: string;
  readonly allowed: boolean;
  /** The rule that allows it, or why it is denied. */
  readonly because: string;
  readonly code?: string;
  readonly hint?: string | undefined;
}

/** 0 the policy allows the task · 1 it denies something. Rejects for a wrong command line, file or setting. */
export async function policyExplain(args: readonly string[]): Promise<number> {
  const environment = readEnvironment();
  const { configuration, flags, operand, warnings } = loadLocalConfiguration(
    { args, environment },
    { flags: flagKinds(CHECKING.policy, 'explain'), operand: 'TASK' },
    hintOf('policy'),
  );
  for (const warning of warnings) complain({ message: warning });
  const redactor = new Redactor();
  using _outputs = guardCommand(redactor, () => DENIED);
  const stop = new AbortController();
  using _signals = onStopSignals((signal) => stop.abort(new Error(`stopped by ${signal}`)));
  const { name, input } = await readTaskFile({
    path: operand,
    standardInput: process.stdin,
    signal: stop.signal,
  });

  const policy = policyOf(
    configuration,
    new PinFile({ stateDir: configuration.stateDir, clock: systemClock }),
  );
  const asks: TaskAsk[] = [];
  await using wired = composeConnectors({
    configuration,
    policy: {
      ...policy,
      authorize(ask) {
        asks.push(ask);
        return [];
      },
    },
    connectors,
    environment,
    version: packageVersion(),
    redactor,
    clock: systemClock,
    log: await createLogger({ level: 'warn', format: 'json', redactor, destination: process.stderr }),
    keptSecretsKey: () => Promise.reject(new TypeError('no secret is asked for here')),
    delegateId: () => 'local',
  });
  const type = wired.taskTypes.find((one) => one.name === name);
  if (type === undefined) {
    const known = wired.taskTypes.map((one) => one.name).join(', ');
    throw localError('input-file-unusable', `This version knows no such task; it knows ${known}.`);
  }
  const { secrets = [] } = type.prepare(input);
  const explanation = await explain({ task: name, asks, secrets }, policy, configuration.secretNames);
  process.stdout.write(
    flags.has('json') ? jsonText(explanation) : explanationReport(explanation, terminalOf(process.stdout)),
  );
  return explanation.allowed ? ALLOWED : DENIED;
}

/** No secret is read for it. */
export async function explain(
  { task, asks, secrets }: { task: string; asks: readonly TaskAsk[]; secrets: readonly SecretNeed[] },
  policy: Policy,
  secretNames: Readonly<Record<string, string>>,
): Promise<Explanation> {
  const judgements = asks.flatMap((ask) => policy.explain(ask)).map(shown);
  for (const { field, reference, origins } of secrets) {
    const name = Object.hasOwn(secretNames, reference) ? secretNames[reference] : reference;
    const where = origins.length === 0 ? 'this machine alone' : origins.join(', ');
    const asked = `${field} ${shownReference(name ?? reference)} → ${where}`;
    judgements.push({ ...shown(await policy.explainSecret(name ?? reference, origins)), asked });
  }
  return { task, allowed: judgements.every(({ allowed }) => allowed), judgements };
}

function shown(judgement: Judgement): ShownJudgement {
  const { subject, asked } = judgement;
  if (judgement.allowed) return { subject, asked, allowed: true, because: judgement.rule };
  const { message, code, hint } = judgement.denial;
  return { subject, asked, allowed: false, because: message, code, hint };
}

const SUBJECT_COLUMNS = 'token server'.length;

export function explanationReport({ task, allowed, judgements }: Explanation, terminal: Terminal): string {
  const { paint, width } = terminal;
  const lines = judgements.flatMap(({ subject, asked, because, hint, ...one }) => {
    const mark = one.allowed ? paint('good', '✓') : paint('bad', '✗');
    const indent = ' '.repeat(SUBJECT_COLUMNS + 4);
    return [
      ...hanging(`  ${padded(subject, SUBJECT_COLUMNS)}  `, asked, width).map((line, index) =>
        index === 0 ? mark + line.slice(1) : line,
      ),
      ...hanging(indent, because, width),
      ...(hint === undefined ? [] : hanging(`${indent}→ `, hint, width)),
    ];
  });
  const verdict = allowed
    ? marked(paint('good', '✓'), `${task} is allowed`, width)
    : marked(paint('bad', '✗'), `${task} is denied`, width);
  return [...verdict, '', ...lines, ''].join('\n');
}
