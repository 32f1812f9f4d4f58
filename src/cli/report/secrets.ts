import type { WireError } from '../../kit/errors.ts';
import type { SecretDestination } from '../../policy/policy.ts';
import { hanging, marked, type Terminal } from './layout.ts';

/** Where a secret may go, or would go by a connector. */
export interface Destination extends SecretDestination {
  /** Of the connector; left out where the secret itself is spoken of. */
  readonly field?: string;
}

/** What `secrets check` says of one reference; as JSON, too. */
export interface CheckedSecret {
  readonly reference: string;
  /** The provider reference behind a bare name. */
  readonly standsFor?: string;
  readonly provider?: string;
  readonly resolves: boolean;
  readonly place?: string;
  /** In characters, roughly. */
  readonly length?: string;
  /** By DELEGATE_WRITABLE_SECRETS. */
  readonly mayBeReplaced?: boolean;
  readonly warnings: readonly string[];
  readonly mayGoTo: readonly Destination[];
  readonly error?: WireError;
}

const INDENT = '    ';

export function secretsReport(secrets: readonly CheckedSecret[], terminal: Terminal): string {
  return `${secrets.map((one) => entry(one, terminal)).join('\n')}\n`;
}

function entry(secret: CheckedSecret, { paint, width }: Terminal): string {
  const { reference, standsFor, place, length, mayBeReplaced, warnings, mayGoTo, error } = secret;
  const isGood = error === undefined && mayGoTo.every(({ allowed }) => allowed);
  const mark = isGood ? paint('good', '✓') : paint('bad', '✗');
  const name = standsFor === undefined ? reference : `${reference} (${standsFor})`;
  const say = (text: string): string[] => hanging(INDENT, text, width);
  const lines = [
    ...marked(mark, name, width),
    ...(place === undefined ? [] : say(`from ${place}`)),
    ...(length === undefined
      ? []
      : say(`${length} characters${mayBeReplaced === true ? '; may be replaced' : ''}`)),
    ...(error === undefined ? [] : say(`${error.message} (${error.code})`)),
    ...(error?.hint === undefined ? [] : hanging(`${INDENT}→ `, error.hint, width)),
    ...warnings.flatMap((warning) => hanging(`${INDENT}! `, warning, width)),
    ...(mayGoTo.length === 0 && error === undefined
      ? say('may go to: wherever it is used first')
      : mayGoTo.flatMap((one) => say(destinationText(one)))),
  ];
  return `${lines.join('\n')}\n`;
}

function destinationText({ field, origins, allowed, because }: Destination): string {
  if (!allowed && origins.length === 0) return `may go nowhere: ${because}`;
  const where = origins.length === 0 ? 'this machine alone' : origins.join(', ');
  const verb = allowed ? 'may go to' : 'may not go to';
  return `${verb} ${where}${field === undefined ? '' : ` (${field})`}: ${because}`;
}
