import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { isLoopbackHost } from '../../../policy/destination.ts';
import { bareHostname } from '../../../kit/http-exchange.ts';
import { wrap } from '../../../kit/errors.ts';
import { toTimestamp } from '../../../kit/time.ts';
import type { ShownCertificates } from '../../../http/shown-certificates.ts';
import { failure, pass, skip, skipBecauseOf, warn, type Finding } from '../finding.ts';
import type { Patient } from '../patient.ts';
import { checkThatSays } from './network.ts';

const DAY_MS = 86_400_000;
const SOON_MS = 30 * DAY_MS;

/** The certificates of the manager as they arrive here, and what the delegate thinks of them. */
export async function checkTls(patient: Patient, signal: AbortSignal): Promise<Finding> {
  const { managerUrl, dialer } = patient;
  if (managerUrl.protocol === 'http:') {
    const hostname = bareHostname(managerUrl);
    return isLoopbackHost(hostname)
      ? skip(
          'The manager is called on this machine, without TLS.',
          'Nothing; a manager elsewhere wants https.',
        )
      : warn(
          'The manager is called without TLS: whoever is on the way can read tokens and tasks, and change them.',
          'Set DELEGATE_MANAGER_URL to an https address.',
        );
  }
  const reached = await patient.reached();
  const says = reached.ok ? 'tls' : checkThatSays(reached.error);
  if (says !== 'tls') return skipBecauseOf(says, 'TLS');
  const error = reached.ok ? undefined : wrap(reached.error);
  // Who did not answer once will not show anything either.
  if (error?.code === 'tls.handshake-timeout') return failure(error);
  const shown = await dialer
    .lookAtCertificates({ url: managerUrl, guardAddress: () => {}, signal })
    .catch(() => undefined);
  if (error !== undefined) {
    const action = shown === undefined ? undefined : actionFor(error.code, shown, managerUrl);
    const details = shown === undefined ? [] : linesOf(shown);
    return failure(error, { details, ...(action === undefined ? {} : { action }) });
  }
  if (shown === undefined) return pass(`${managerUrl.host} shows certificates that this machine trusts.`);
  return judgeTrusted(shown, managerUrl, patient.options.clock.now());
}

/** Undefined where the error's own hint is exact enough. */
function actionFor(code: string, { chain }: ShownCertificates, { host }: URL): string | undefined {
  const [leaf] = chain;
  const last = chain.at(-1);
  if (leaf === undefined || last === undefined) return undefined;
  if (code === 'tls.untrusted') {
    const authority = nameOf(last.issuer);
    return `If "${authority}" is an authority of your own, add its certificate to the bundle of DELEGATE_CA_FILE. If nobody knows it, ask the owners of the network who opens TLS on the way to ${host}.`;
  }
  if (code === 'tls.host-mismatch') {
    return `Call the manager by a name of its certificate in DELEGATE_MANAGER_URL: ${namesOf(leaf)}.`;
  }
  return undefined;
}

/** Of certificates that were accepted: who may have made them, and what may end soon. */
function judgeTrusted(shown: ShownCertificates, { host }: URL, nowMs: number): Finding {
  const { chain, protocol } = shown;
  const [first, ...others] = [...ofAuthority(chain, host), ...ofEnd(chain, host, nowMs)];
  if (first === undefined) {
    return pass(`${host} shows certificates that this machine trusts (${protocol}).`, linesOf(shown));
  }
  const action = [first, ...others].map((remark) => remark.action).join(' ');
  return warn(first.summary, action, [...others.map(({ summary }) => summary), ...linesOf(shown)]);
}

interface Remark {
  readonly summary: string;
  readonly action: string;
}

/** Who opens TLS on the way shows certificates of an authority of the company's own; so may the manager itself. */
function ofAuthority(chain: readonly X509Certificate[], host: string): Remark[] {
  const last = chain.at(-1);
  if (last === undefined || isPublic(chain)) return [];
  return [
    {
      summary: `The certificate of ${host} comes from "${nameOf(last.issuer)}", which is no public authority but one that your settings add: the manager's own, or that of a proxy that opens TLS on the way.`,
      action:
        'If the manager has its certificate from there, all is well. Else ask the owners of the network to leave the way to it closed: whoever opens it can read tokens and tasks.',
    },
  ];
}

function ofEnd(chain: readonly X509Certificate[], host: string, nowMs: number): Remark[] {
  const ending = chain.find(({ validTo }) => Date.parse(validTo) - nowMs < SOON_MS);
  if (ending === undefined) return [];
  const days = Math.max(0, Math.floor((Date.parse(ending.validTo) - nowMs) / DAY_MS));
  return [
    {
      summary: `The certificate of "${nameOf(ending.subject)}" ends in ${days} days, and with it the connection to ${host}.`,
      action: `Have the certificate of "${nameOf(ending.subject)}" renewed by its owner.`,
    },
  ];
}

function isPublic(chain: readonly X509Certificate[]): boolean {
  const roots = rootCertificates.map((pem) => new X509Certificate(pem));
  const last = chain.at(-1);
  return roots.some(
    (root) => chain.some(({ raw }) => raw.equals(root.raw)) || last?.checkIssued(root) === true,
  );
}

function linesOf({ chain }: ShownCertificates): string[] {
  return chain.map((one, index) => {
    const names = index === 0 ? ` for ${namesOf(one)},` : '';
    return `"${nameOf(one.subject)}"${names} by "${nameOf(one.issuer)}", from ${dayOf(one.validFrom)} to ${dayOf(one.validTo)}`;
  });
}

/** The common name, or what stands first where there is none. */
function nameOf(distinguished: string): string {
  const parts = distinguished.split('\n');
  const common = parts.find((part) => part.startsWith('CN='));
  return (common ?? parts[0] ?? 'unnamed').replace(/^[A-Z]+=/i, '');
}

function namesOf({ subjectAltName = '' }: X509Certificate): string {
  const names = subjectAltName.replaceAll(/(?:DNS|IP Address):/g, '');
  return names === '' ? 'no host name' : names;
}

function dayOf(text: string): string {
  return toTimestamp(Date.parse(text)).slice(0, 10);
}
