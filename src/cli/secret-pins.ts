import { readEnvironment } from '../config/environment.ts';
import { CommandLineError, ConfigurationError, type TaskConfiguration } from '../config/load.ts';
import { loadLocalConfiguration } from '../config/local.ts';
import { bareHostname } from '../kit/http-exchange.ts';
import { systemClock } from '../kit/time.ts';
import { isLoopbackHost } from '../policy/destination.ts';
import { PinFile, type SecretPin } from '../policy/pins.ts';
import { isReference } from '../policy/secret-reference.ts';
import { complain } from './complaint.ts';
import { CHECKING } from './pages/checking.ts';
import { flagKinds, hintOf } from './pages/page.ts';
import { jsonText, printable, terminalOf, wrapped, type Terminal } from './report/layout.ts';
import { strangerTo } from './state-folder-user.ts';

/**
 * What the operator says of the pins, beside a delegate that runs or while it is stopped: `secrets pins`, `secrets
 * allow REFERENCE ORIGIN`, `secrets forget REFERENCE`. Each takes the arguments behind its name and resolves with the
 * exit code.
 */

const HINT = hintOf('secrets');

const DONE = 0;
const NOT_THERE = 1;

/** `secrets pins [--json]`: where each secret may go. */
export async function listPins(args: readonly string[]): Promise<number> {
  const { configuration, flags } = load('pins', args);
  const pins = await (await openPins(configuration)).list();
  process.stdout.write(flags.has('json') ? jsonText({ pins }) : pinsReport(pins, terminalOf(process.stdout)));
  return DONE;
}

/** `secrets allow REFERENCE ORIGIN` */
export async function allowSecret(args: readonly string[]): Promise<number> {
  const { configuration, operands } = load('allow', args);
  const [reference = '', origin = '', ...others] = operands;
  if (others.length > 0) throw new CommandLineError(['secrets allow takes REFERENCE and ORIGIN alone'], HINT);
  const name = nameOf(reference, configuration);
  const allowed = originOf(origin);
  await (await openPins(configuration)).allow(name, allowed);
  process.stdout.write(`${printable(name)} may go to ${allowed}, from its next use on.\n`);
  return DONE;
}

/** `secrets forget REFERENCE`: 1 if it has no pin. */
export async function forgetSecret(args: readonly string[]): Promise<number> {
  const { configuration, operand } = load('forget', args);
  const name = nameOf(operand, configuration);
  if (!(await (await openPins(configuration)).forget(name))) {
    process.stderr.write(`${printable(name)} has no pin.\n`);
    return NOT_THERE;
  }
  process.stdout.write(`${printable(name)} is pinned anew at its next use, to wherever it goes then.\n`);
  return DONE;
}

const OPERANDS = {
  pins: {},
  allow: { operand: 'REFERENCE', operands: 'any' },
  forget: { operand: 'REFERENCE' },
} as const;

function load(
  subcommand: keyof typeof OPERANDS,
  args: readonly string[],
): ReturnType<typeof loadLocalConfiguration> {
  const sources = { args, environment: readEnvironment() };
  const flags = flagKinds(CHECKING.secrets, subcommand);
  const loaded = loadLocalConfiguration(sources, { flags, ...OPERANDS[subcommand] }, HINT);
  for (const warning of loaded.warnings) complain({ message: warning });
  if (loaded.configuration.policyFile !== undefined) {
    process.stderr.write(
      'There is a policy file, and it alone says where secrets may go: pins are not used.\n',
    );
  }
  return loaded;
}

async function openPins({ stateDir }: TaskConfiguration): Promise<PinFile> {
  const complaint = await strangerTo(stateDir);
  if (complaint !== undefined) throw new ConfigurationError([complaint], HINT);
  return new PinFile({ stateDir, clock: systemClock });
}

/** The provider reference, also of a name that the configuration maps to one. */
function nameOf(reference: string, { secretNames }: TaskConfiguration): string {
  const name = (Object.hasOwn(secretNames, reference) ? secretNames[reference] : undefined) ?? reference;
  if (isReference(name)) return name;
  throw new CommandLineError(
    ['REFERENCE: must be a secret reference such as env:SN_PASSWORD, or a name of secretNames'],
    HINT,
  );
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && url.href === `${url.origin}/`;
  const isSafe =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(bareHostname(url)));
  if (isPlain && isSafe) return url.origin;
  throw new CommandLineError(
    [
      'ORIGIN: must be https:// and a host, such as https://acme.service-now.com, with its port if it has one',
    ],
    HINT,
  );
}

function pinsReport(pins: readonly SecretPin[], { width }: Terminal): string {
  if (pins.length === 0) return 'No secret was used yet.\n';
  return pins
    .flatMap(({ reference, origins, since }) => {
      const where = origins.length === 0 ? 'stays on this machine' : origins.join(', ');
      return wrapped(`${reference} → ${where} (since ${since.slice(0, 10)})`, width);
    })
    .map((line) => `${line}\n`)
    .join('');
}
