import type { LookupAddress } from 'node:dns';
import type { WayReason } from '../../../http/proxies.ts';
import { parseBypassList } from '../../../http/no-proxy.ts';
import { portOf } from '../../../http/proxies.ts';
import { connectTcp, systemLookup } from '../../../http/sockets.ts';
import { transportError } from '../../../http/transport-error.ts';
import { wrap } from '../../../kit/errors.ts';
import { bareHostname } from '../../../kit/http-exchange.ts';
import type { Clock } from '../../../kit/time.ts';
import { fail, failure, pass, skipBecauseOf, warn, type Finding } from '../finding.ts';
import type { Patient } from '../patient.ts';

/** The next machine on the way: the proxy, if one leads to the manager. */
function nextHop({ proxies, managerUrl }: Patient): { url: URL; what: string } {
  const { proxy } = proxies.wayTo(managerUrl);
  return proxy === undefined ? { url: managerUrl, what: 'manager' } : { url: proxy.url, what: 'proxy' };
}

/** Of what is called from here: behind a proxy, the proxy resolves the others. */
export async function checkDns(patient: Patient): Promise<Finding> {
  const { url, what } = nextHop(patient);
  const hostname = bareHostname(url);
  const { clock } = patient.options;
  const startedMs = clock.monotonic();
  try {
    const addresses = await addressesOf(hostname);
    const ms = Math.round(clock.monotonic() - startedMs);
    const shown = addresses.map(({ address }) => address);
    if (shown.includes(hostname))
      return pass(`The address of the ${what}, ${hostname}, needs no name server.`);
    return pass(`${hostname}, the ${what}, is ${shown.join(', ')} (${ms} ms).`);
  } catch (thrown) {
    const setting = what === 'proxy' ? 'DELEGATE_PROXY_URL or HTTPS_PROXY' : 'DELEGATE_MANAGER_URL';
    const { message, code } = transportError(thrown, url);
    const action = `Check the host name in ${setting}, and that the name servers of this machine know it.`;
    return { ...fail(message, action), code };
  }
}

async function addressesOf(hostname: string): Promise<LookupAddress[]> {
  return await new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true }, (error, addresses) => {
      if (error === null) resolve(addresses);
      else reject(error);
    });
  });
}

/** Of a name with more addresses, the others are not tried. */
const MAX_ADDRESSES = 8;
/** A third of what all checks have by default: an address that swallows packets is no reason to say nothing at all. */
const CONNECT_WITHIN_MS = 3_000;

interface Attempt {
  readonly family: 'IPv4' | 'IPv6';
  readonly address: string;
  readonly ms: number;
  /** Undefined: it took the connection. */
  readonly failure: string | undefined;
}

/** Each address of the next machine on the way: a connection that waits for a dead one is slow or fails. */
export async function checkAddresses(patient: Patient, signal: AbortSignal): Promise<Finding> {
  const { url, what } = nextHop(patient);
  let addresses: LookupAddress[];
  try {
    addresses = await addressesOf(bareHostname(url));
  } catch {
    return skipBecauseOf('dns', 'The way over IPv4 and IPv6');
  }
  const { clock } = patient.options;
  const attempts = await Promise.all(
    addresses.slice(0, MAX_ADDRESSES).map(async (one) => await tryAddress(one, url, clock, signal)),
  );
  return judgeAttempts(attempts, url, what);
}

async function tryAddress(
  { address, family }: LookupAddress,
  url: URL,
  clock: Clock,
  signal: AbortSignal,
): Promise<Attempt> {
  const startedMs = clock.monotonic();
  const facts = { family: family === 6 ? ('IPv6' as const) : ('IPv4' as const), address };
  const ms = (): number => Math.round(clock.monotonic() - startedMs);
  const late = new AbortController();
  const timer = clock.after(CONNECT_WITHIN_MS, () => late.abort(new Error('late')));
  try {
    const target = { hostname: address, port: portOf(url), lookup: systemLookup, guardAddress: () => {} };
    const socket = await connectTcp(target, AbortSignal.any([signal, late.signal]));
    socket.destroy();
    return { ...facts, ms: ms(), failure: undefined };
  } catch (thrown) {
    signal.throwIfAborted();
    const why = late.signal.aborted
      ? 'no answer'
      : (wrap(transportError(thrown, url)).details?.['systemCode'] ?? 'failed');
    return { ...facts, ms: ms(), failure: String(why) };
  } finally {
    timer.cancel();
  }
}

export function judgeAttempts(attempts: readonly Attempt[], url: URL, what: string): Finding {
  const details = attempts.map(
    ({ family, address, ms, failure: why }) => `${family} ${address}: ${why ?? 'connected'} after ${ms} ms`,
  );
  const good = attempts.filter(({ failure: why }) => why === undefined);
  const families = (some: readonly Attempt[]): string =>
    [...new Set(some.map(({ family }) => family))].toSorted().join(' and ');
  const bad = attempts.filter(({ failure: why }) => why !== undefined);
  if (good.length === 0) {
    return fail(
      `No address of the ${what} ${url.host} takes a connection.`,
      `Open the way from here to ${url.host} in firewalls and routes, and look whether the ${what} runs.`,
      details,
    );
  }
  if (bad.length > 0) {
    return warn(
      `The ${what} ${url.host} takes connections over ${families(good)}, and not at ${bad.map(({ address }) => address).join(', ')} (${families(bad)}).`,
      `Open the way to that address too, or take it out of DNS: until then connections may wait for it.`,
      details,
    );
  }
  return pass(`The ${what} ${url.host} takes connections over ${families(good)}.`, details);
}

const BECAUSE: Readonly<Record<WayReason, string>> = {
  policy: 'the policy file says so',
  settings: 'DELEGATE_PROXY_URL or HTTPS_PROXY names it',
  'no-proxy-set': 'no proxy is set',
  exception: 'DELEGATE_NO_PROXY or NO_PROXY makes an exception',
  nearby: 'loopback and link-local addresses are always called directly',
};

/** Which way each target takes and why, and whether the proxy opens it. */
export async function checkProxy(patient: Patient, otherTargets: readonly string[]): Promise<Finding> {
  const { proxies, managerUrl } = patient;
  const { misread } = parseBypassList(patient.configuration.network.proxyBypass);
  const targets = [managerUrl, ...otherTargets.filter(isUrl).map((target) => new URL(target))];
  const ways = targets.map((target) => {
    const { proxy, because } = proxies.wayTo(target);
    return `${target.origin}: ${proxy === undefined ? 'directly' : `by ${proxy.url.origin}`}, because ${BECAUSE[because]}`;
  });
  const details = [...new Set(ways)];
  const { proxy, because } = proxies.wayTo(managerUrl);
  if (proxy !== undefined) {
    const reached = await patient.reached();
    if (!reached.ok && checkThatSays(reached.error) === 'proxy') return failure(reached.error, { details });
  }
  if (misread.length > 0) {
    return warn(
      `The proxy exceptions hold entries that mean nothing: ${misread.join(' ')}`,
      'Correct DELEGATE_NO_PROXY or NO_PROXY; docs/network.md has the forms.',
      details,
    );
  }
  return proxy === undefined
    ? pass(`The manager is called without a proxy, because ${BECAUSE[because]}.`, details.slice(1))
    : pass(
        `The proxy ${proxy.url.origin} lets the delegate through to ${managerUrl.host}; ${BECAUSE[because]}.`,
        details.slice(1),
      );
}

function isUrl(text: string): boolean {
  return URL.canParse(text);
}

const NOT_TAKEN: readonly string[] = ['network.refused', 'network.unreachable', 'network.connect-timeout'];

/** The check that speaks of a failed connection: what one has said, the others need not say again. */
export function checkThatSays(error: unknown): 'dns' | 'ip' | 'proxy' | 'tls' | 'manager' {
  const { code } = wrap(error);
  if (code === 'network.dns' || code === 'network.proxy-dns') return 'dns';
  if (/^(network|tls)\.proxy-/.test(code)) return 'proxy';
  if (code.startsWith('tls.')) return 'tls';
  // A connection that was taken and then cut, as by one who reads the names in TLS, is no matter of addresses.
  return NOT_TAKEN.includes(code) ? 'ip' : 'manager';
}
