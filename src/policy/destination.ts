import { BlockList, isIP } from 'node:net';
import type { DelegateError } from '../kit/errors.ts';
import { bareHostname } from '../kit/http-exchange.ts';
import { policyError } from './errors.ts';

/** Where this delegate may connect to on behalf of a task. The manager can't widen it. */
export interface DestinationRules {
  /** `DELEGATE_ALLOW_LOOPBACK`: loopback may be called, and by plain http too. For development. */
  allowLoopback: boolean;
  /** Networks that the customer denies, from `networksOf`; on top of those that are never right. */
  denied?: BlockList;
}

const loopback = new BlockList();
addIpv4Everywhere(loopback, [127, 0, 0, 0], 8);
loopback.addAddress('::1', 'ipv6');

/** Never a customer's ServiceNow: "this host", link-local, multicast, and the clouds' metadata services. */
const forbidden = new BlockList();
forbidden.addSubnet('0.0.0.0', 8, 'ipv4');
addIpv4Everywhere(forbidden, [169, 254, 0, 0], 16);
addIpv4Everywhere(forbidden, [224, 0, 0, 0], 4);
addIpv4Everywhere(forbidden, [240, 0, 0, 0], 4);
/** Alibaba, Oracle and Azure keep theirs outside of link-local. */
addIpv4Everywhere(forbidden, [100, 100, 100, 200], 32);
addIpv4Everywhere(forbidden, [192, 0, 0, 192], 32);
addIpv4Everywhere(forbidden, [168, 63, 129, 16], 32);
forbidden.addAddress('::', 'ipv6');
forbidden.addSubnet('fe80::', 10, 'ipv6');
forbidden.addSubnet('fec0::', 10, 'ipv6');
forbidden.addSubnet('ff00::', 8, 'ipv6');
/** AWS and Google. */
forbidden.addAddress('fd00:ec2::254', 'ipv6');
forbidden.addAddress('fd20:ce::254', 'ipv6');
/** Local-use NAT64 (RFC 8215) and Teredo: what they lead to can't be read off the address. */
forbidden.addSubnet('64:ff9b:1::', 48, 'ipv6');
forbidden.addSubnet('2001::', 32, 'ipv6');

/**
 * URL objects let most signs of a shell stand in a host (`https://a;reboot`). Denials name origins in commands that the
 * operator is to run.
 */
const HOST_NAME = /^[a-z0-9._-]*$/;

/**
 * An IPv4 network, and the IPv6 addresses that lead to it: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible and
 * IPv4-translated. IPv4-mapped addresses are judged by the IPv4 rule already.
 */
function addIpv4Everywhere(
  list: BlockList,
  network: readonly [number, number, number, number],
  prefix: number,
): void {
  const [a, b, c, d] = network;
  const high = ((a << 8) | b).toString(16);
  const low = ((c << 8) | d).toString(16);
  list.addSubnet(network.join('.'), prefix, 'ipv4');
  list.addSubnet(`64:ff9b::${high}:${low}`, 96 + prefix, 'ipv6');
  list.addSubnet(`2002:${high}:${low}::`, 16 + prefix, 'ipv6');
  list.addSubnet(`::${high}:${low}`, 96 + prefix, 'ipv6');
  list.addSubnet(`::ffff:0:${high}:${low}`, 96 + prefix, 'ipv6');
}

/** @param cidrs `10.0.0.0/8`; of IPv4 networks, the IPv6 addresses that lead to them as well */
export function networksOf(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', prefix = ''] = cidr.split('/');
    const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
    if (isIP(address) === 4) addIpv4Everywhere(list, [a, b, c, d], Number(prefix));
    else list.addSubnet(address, Number(prefix), 'ipv6');
  }
  return list;
}

/**
 * Refuses a URL before anything is sent to it. A host name is judged again, by the addresses that it resolves
 * to, with `assertAddress`.
 *
 * @param purpose what the URL is for, as the reader knows it: "serviceNowUrl"
 */
export function assertDestination(url: URL, purpose: string, rules: DestinationRules): void {
  const host = bareHostname(url);
  if (isIP(host) !== 0) assertAddress(host, purpose, rules);
  else if (!HOST_NAME.test(host)) {
    throw policyError(
      'policy.url-refused',
      `${purpose}: its host has characters that host names do not have.`,
      {
        details: { rule: 'host-name' },
      },
    );
  }
  const onLoopback = isLoopbackHost(host);
  if (onLoopback && !rules.allowLoopback) throw loopbackRefused(purpose, host);
  if (url.protocol === 'https:') return;
  if (url.protocol === 'http:' && onLoopback) return;
  throw policyError('policy.https-required', `${purpose}: ${url.protocol}//${host} is not https.`, {
    details: { rule: 'https-required', host },
  });
}

/** Refuses an address that a host name resolved to. */
export function assertAddress(address: string, purpose: string, rules: DestinationRules): void {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (forbidden.check(address, family)) {
    throw policyError(
      'policy.address-refused',
      `${purpose}: ${address} is a link-local or unspecified address, which a task may not reach.`,
      { details: { rule: 'address-refused', address } },
    );
  }
  if (rules.denied?.check(address, family) === true) {
    throw policyError(
      'policy.address-refused',
      `${purpose}: the policy file denies the address ${address}.`,
      {
        details: { rule: 'network.deniedAddresses', address },
      },
    );
  }
  if (loopback.check(address, family) && !rules.allowLoopback) throw loopbackRefused(purpose, address);
}

export function isLoopbackHost(host: string): boolean {
  if (isIP(host) !== 0) return loopback.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
  const name = host.replace(/\.+$/, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost');
}

function loopbackRefused(purpose: string, host: string): DelegateError {
  return policyError('policy.loopback-refused', `${purpose}: ${host} is this machine's loopback.`, {
    details: { rule: 'loopback-refused', host },
  });
}
