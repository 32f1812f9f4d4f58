import { BlockList, isIP } from 'node:net';
import { DelegateError } from '../kit/errors.ts';

/** Where this delegate may connect to on behalf of a task. The manager can't widen it. */
export interface DestinationRules {
  /** `DELEGATE_ALLOW_LOOPBACK`: loopback may be called, and by plain http too. For development. */
  allowLoopback: boolean;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Never a customer's ServiceNow: "this host", link-local and with it the clouds' metadata services. */
const forbidden = new BlockList();
forbidden.addSubnet('0.0.0.0', 8, 'ipv4');
forbidden.addAddress('::', 'ipv6');
forbidden.addSubnet('169.254.0.0', 16, 'ipv4');
forbidden.addSubnet('fe80::', 10, 'ipv6');
forbidden.addAddress('fd00:ec2::254', 'ipv6');

/**
 * Refuses a URL before anything is sent to it. A host name is judged again, by the addresses that it resolves
 * to, with `assertAddress`.
 *
 * @param purpose what the URL is for, as the reader knows it: "serviceNowUrl"
 */
export function assertDestination(url: URL, purpose: string, rules: DestinationRules): void {
  const host = hostOf(url);
  if (isIP(host) !== 0) assertAddress(host, purpose, rules);
  const onLoopback = isLoopbackHost(host);
  if (onLoopback && !rules.allowLoopback) throw loopbackRefused(purpose, host);
  if (url.protocol === 'https:') return;
  if (url.protocol === 'http:' && onLoopback) return;
  throw new DelegateError('policy.https-required', `${purpose}: ${url.protocol}//${host} is not https.`, {
    category: 'policy',
    hint: 'Give the https address; credentials are never sent in clear text.',
    details: { rule: 'https-required', host },
  });
}

/** Refuses an address that a host name resolved to. */
export function assertAddress(address: string, purpose: string, rules: DestinationRules): void {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (forbidden.check(address, family)) {
    throw new DelegateError(
      'policy.address-refused',
      `${purpose}: ${address} is a link-local or unspecified address, which a task may not reach.`,
      {
        category: 'policy',
        hint: 'Give the address of the ServiceNow instance or token server itself.',
        details: { rule: 'address-refused', address },
      },
    );
  }
  if (loopback.check(address, family) && !rules.allowLoopback) throw loopbackRefused(purpose, address);
}

export function isLoopbackHost(host: string): boolean {
  if (isIP(host) !== 0) return loopback.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
  const name = host.replace(/\.$/, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost');
}

/** The host of a URL without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

function loopbackRefused(purpose: string, host: string): DelegateError {
  return new DelegateError('policy.loopback-refused', `${purpose}: ${host} is this machine's loopback.`, {
    category: 'policy',
    hint: 'Only the operator can allow it, for development, with DELEGATE_ALLOW_LOOPBACK=true.',
    details: { rule: 'loopback-refused', host },
  });
}
