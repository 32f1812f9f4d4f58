import { composeConnectors, type WiredConnectors } from '../../../compose/connectors.ts';
import { policyOf } from '../../../compose/policy.ts';
import { composeSecrets } from '../../../compose/secrets.ts';
import type { DefineConnector, KeptSecretsPort, SecretNeed } from '../../../connectors/connector.ts';
import { connectors } from '../../../connectors/index.ts';
import { VALIDATE_CONNECTOR, validationAnswerSchema } from '../../../connectors/servicenow/tasks/validate.ts';
import { ended, untilAborted } from '../../../kit/flow.ts';
import { endsWithin } from '../../../kit/time.ts';
import type { Secrets } from '../../../secrets/index.ts';
import { LOCAL_ERRORS, localError } from '../../local/errors.ts';
import { readConnectorFile } from '../../local/input-file.ts';
import { runTask } from '../../local/task.ts';
import { checkSecret, isInOrder, secretsOf } from '../../secrets-check.ts';
import { fail, pass, skip, warn, type Finding } from '../finding.ts';
import type { Patient, PatientOptions } from '../patient.ts';
import type { Check } from '../run-checks.ts';

/** For work that has ended or was told to; nothing is printed after it. */
const CLOSE_WITHIN_MS = 500;
/** What a test of a connector keeps of its time, so that its own report says which step took it. */
const REPORT_MS = 500;
/** Of a file: which checks there are depends on what is in it. */
const READ_WITHIN_MS = 1_000;

interface Given {
  readonly file: string;
  readonly input: Promise<{ connector: unknown }>;
  readonly needs: Promise<readonly SecretNeed[]>;
}

/** What the checks of connectors and secrets stand on; `[Symbol.asyncDispose]` ends it. */
export class ConnectorRoom implements AsyncDisposable {
  readonly #patient: Patient;
  readonly #secrets: Secrets;
  readonly #wired: WiredConnectors;
  readonly #given: readonly Given[];

  constructor(patient: Patient, files: readonly string[]) {
    const { dialer, options } = patient;
    const { configuration } = options;
    this.#patient = patient;
    const ports = { ...options, dialer };
    this.#secrets = composeSecrets(ports);
    this.#wired = composeConnectors({
      ...ports,
      // As `validate` does: what this machine's own user asks for is pinned to nothing.
      policy: policyOf(configuration),
      connectors: connectors.map(
        (define): DefineConnector =>
          (deps) =>
            define({ ...deps, kept: NOTHING_KEPT }),
      ),
      keptSecretsKey: () => Promise.reject(tokenNotUsed()),
      delegateId: () => 'local',
    });
    this.#given = [...new Set(files)].map((path) => {
      const input = readSoon(path, options);
      return { file: path, input, needs: input.then((read) => secretsOf(read, ports)).catch(() => []) };
    });
  }

  /** One for each name of the settings and each secret that a connector names, one for each connector. */
  async checks(withinMs: number): Promise<Check[]> {
    const needs = (await Promise.all(this.#given.map((one) => one.needs))).flat();
    const { secretNames, writableSecrets } = this.#patient.configuration;
    const wanted = new Set([...Object.keys(secretNames), ...needs.map(({ reference }) => reference)]);
    const { policy } = this.#patient.options;
    const asked = { secrets: this.#secrets, needs, policy, writable: writableSecrets };
    const secrets = Array.from(wanted, (reference): Check => {
      return {
        id: `secrets.${reference}`,
        look: async (signal) => judgeSecret(await checkSecret(reference, { ...asked, signal })),
      };
    });
    const tested = this.#given.map((one): Check => {
      return { id: `connector.${one.file}`, look: (signal) => this.#test(one, signal, withinMs - REPORT_MS) };
    });
    return [...orSkipped('secrets', secrets, NO_SECRETS), ...orSkipped('connector', tested, NO_CONNECTORS)];
  }

  /** Where the connectors would send their secrets: hosts that a proxy may have to lead to. */
  async targets(): Promise<string[]> {
    const needs = (await Promise.all(this.#given.map((one) => one.needs))).flat();
    return [...new Set(needs.flatMap(({ origins }) => origins))];
  }

  async #test({ input }: Given, signal: AbortSignal, timeoutMs: number): Promise<Finding> {
    const task = this.#wired.taskTypes.find(({ name }) => name === VALIDATE_CONNECTOR);
    if (task === undefined) throw new TypeError(`no connector knows ${VALIDATE_CONNECTOR}`);
    const prepared = task.prepare(await input);
    const { clock, log, redactor } = this.#patient.options;
    const surroundings = { clock, log, redactor, signal, onProgress: () => {}, timeoutMs };
    const { outcome, answer } = await runTask(task, prepared, surroundings);
    if (outcome.outcome !== 'succeeded') {
      const { message, hint, code } = outcome.error;
      return { ...fail(message, hint ?? `docs/errors.md explains ${code}.`), code };
    }
    return judgeConnector(validationAnswerSchema.parse(answer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock } = this.#patient.options;
    const closing = Promise.all([this.#wired[Symbol.asyncDispose](), this.#secrets[Symbol.asyncDispose]()]);
    await endsWithin(clock, CLOSE_WITHIN_MS, ended(closing));
  }
}

/** A file on a disk that hangs, or a pipe that nobody writes to, holds up its own check alone. */
async function readSoon(
  path: string,
  { clock, signal }: Pick<PatientOptions, 'clock' | 'signal'>,
): Promise<{ connector: unknown }> {
  const late = new AbortController();
  const ending = AbortSignal.any([signal, late.signal]);
  const timer = clock.after(READ_WITHIN_MS, () => {
    late.abort(
      localError('input-file-unusable', `${path} could not be read within ${READ_WITHIN_MS / 1_000} s.`),
    );
  });
  try {
    return await untilAborted(
      readConnectorFile({ path, standardInput: process.stdin, signal: ending }),
      ending,
    );
  } finally {
    timer.cancel();
  }
}

const NO_SECRETS = skip(
  'No secret is mapped by secretNames, and no connector was given that names one.',
  'Give a connector file: servicenow-delegate doctor connector.yaml.',
);
const NO_CONNECTORS = skip(
  'No connector file was given.',
  'Give one to have it tested: servicenow-delegate doctor connector.yaml.',
);

function orSkipped(id: string, checks: readonly Check[], finding: Finding): readonly Check[] {
  return checks.length > 0 ? checks : [{ id, look: () => finding }];
}

/** A refresh token may be replaced when it is used, and the new one would have to be kept: a doctor writes nothing. */
const NOTHING_KEPT: KeptSecretsPort = {
  read: () => Promise.reject(tokenNotUsed()),
  keep: () => Promise.reject(tokenNotUsed()),
  forget: () => Promise.reject(tokenNotUsed()),
};

function tokenNotUsed(): Error {
  return localError(
    'refresh-token-not-keepable',
    'The refresh token was not used: nothing is written by doctor, and its successor could not be kept.',
    {
      hint: 'Test this connector with servicenow-delegate validate while the delegate is stopped, or through its manager.',
    },
  );
}

type CheckedSecret = Awaited<ReturnType<typeof checkSecret>>;

function judgeSecret(secret: CheckedSecret): Finding {
  const { error, warnings, place, mayGoTo, reference } = secret;
  if (error !== undefined) {
    return {
      ...fail(error.message, error.hint ?? `docs/errors.md explains ${error.code}.`),
      code: error.code,
    };
  }
  const from = `${reference} is there, from ${place ?? 'its store'}`;
  if (!isInOrder(secret)) {
    const denied = mayGoTo.find(({ allowed }) => !allowed);
    return fail(
      `${from}; it may not go to ${denied?.origins.join(', ') ?? 'where it would'}: ${denied?.because ?? ''}`,
      'Allow it in the policy file, or with servicenow-delegate secrets allow.',
    );
  }
  if (warnings.length > 0)
    return warn(
      `${from}, but ${warnings.join('; ')}.`,
      'See whether it is the right value; docs/secrets.md says why it counts.',
    );
  return pass(`${from}.`);
}

type Validation = ReturnType<typeof validationAnswerSchema.parse>;

/** The report of `validate`, in a sentence. */
function judgeConnector({ status, errors, warnings, checks }: Validation): Finding {
  const [error] = errors;
  const held = errors.find(({ code }) => Object.hasOwn(LOCAL_ERRORS, code));
  if (held !== undefined)
    return skip(held.message, held.hint ?? 'Test it with servicenow-delegate validate.');
  if (status === 'FAILURE' && error !== undefined) {
    const more = errors.slice(1).map(({ message }) => message);
    return {
      ...fail(error.message, error.hint ?? `docs/errors.md explains ${error.code}.`, more),
      code: error.code,
    };
  }
  const [warning] = warnings;
  const passed = checks.filter((check) => check.status === 'passed' || check.status === 'warned').length;
  if (warning === undefined) return pass(`The connector works: ${passed} steps passed.`);
  return {
    ...warn(
      warning.message,
      warning.hint ?? `docs/errors.md explains ${warning.code}.`,
      warnings.slice(1).map(({ message }) => message),
    ),
    code: warning.code,
  };
}
