import { readEnvironment } from '../config/environment.ts';
import { ConfigurationError, type TaskConfiguration } from '../config/load.ts';
import { loadLocalConfiguration } from '../config/local.ts';
import { bareHostname } from '../kit/http-exchange.ts';
import { systemClock } from '../kit/time.ts';
import { isLoopbackHost } from '../policy/destination.ts';
import { PinFile, type SecretPin } from '../policy/pins.ts';
import { isReference } from '../policy/secret-reference.ts';
import { printable } from './report/layout.ts';
import { strangerTo } from './state-folder-user.ts';

/**
 * What the operator says of the pins, beside a delegate that runs or while it is stopped: `secrets pins`, `secrets
 * allow REFERENCE ORIGIN`, `secrets forget REFERENCE`. Each takes the arguments behind its name and resolves with the
 * exit code.
 */

const HINT = 'servicenow-delegate secrets --help shows what it takes, with examples.';

const DONE = 0;
const NOT_THERE = 1;

/** `secrets pins [--json]`: where each secret may go. */
export async function listPins(args: readonly string[]): Promise<number> {
  // An operand stands for the one that this command does not have.
  const { configuration, flags } = load(['pins', ...args]);
  const pins = await (await openPins(configuration)).list();
  process.stdout.write(flags.has('json') ? `${JSON.stringify({ pins }, null, 2)}\n` : pinsReport(pins));
  return DONE;
}

/** `secrets allow REFERENCE ORIGIN` */
export async function allowSecret(args: readonly string[]): Promise<number> {
  const [reference, origin = '', ...flags] = args;
  const { configuration, operand } = load([...(reference === undefined ? [] : [reference]), ...flags]);
  const name = nameOf(operand, configuration);
  const allowed = originOf(origin);
  await (await openPins(configuration)).allow(name, allowed);
  process.stdout.write(`${printable(name)} may go to ${allowed}, from its next use on.\n`);
  return DONE;
}

/** `secrets forget REFERENCE`: 1 if it has no pin. */
export async function forgetSecret(args: readonly string[]): Promise<number> {
  const { configuration, operand } = load(args);
  const name = nameOf(operand, configuration);
  if (!(await (await openPins(configuration)).forget(name))) {
    process.stderr.write(`${printable(name)} has no pin.\n`);
    return NOT_THERE;
  }
  process.stdout.write(`${printable(name)} is pinned anew at its next use, to wherever it goes then.\n`);
  return DONE;
}

function load(args: readonly string[]): ReturnType<typeof loadLocalConfiguration> {
  const sources = { args, environment: readEnvironment() };
  const loaded = loadLocalConfiguration(sources, { flags: { json: 'switch' }, operand: 'REFERENCE' }, HINT);
  for (const warning of loaded.warnings) process.stderr.write(`${warning}\n`);
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
  throw new ConfigurationError(
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
  throw new ConfigurationError(
    [
      'ORIGIN: must be https:// and a host, such as https://acme.service-now.com, with its port if it has one',
    ],
    HINT,
  );
}

function pinsReport(pins: readonly SecretPin[]): string {
  if (pins.length === 0) return 'No secret was used yet.\n';
  return pins
    .map(({ reference, origins, since }) => {
      const where = origins.length === 0 ? 'stays on this machine' : origins.join(', ');
      return `${printable(`${reference} → ${where} (since ${since.slice(0, 10)})`)}\n`;
    })
    .join('');
}
