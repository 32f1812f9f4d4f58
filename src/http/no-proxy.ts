import { BlockList, isIP, isIPv4 } from 'node:net';
import { domainToASCII } from 'node:url';

/** Where a connection is to go, as a list of exceptions sees it. */
export interface BypassTarget {
  /** Without the brackets of IPv6. */
  readonly hostname: string;
  readonly port: number;
}

type Rule = (target: BypassTarget) => boolean;

export interface BypassList {
  readonly rules: readonly Rule[];
  /** Entries that mean nothing, and so let nobody past the proxy. */
  readonly misread: readonly string[];
}

/**
 * A list as `NO_PROXY` has it: entries between commas or white space, in the sense that Go's `httpproxy` gives them
 * (curl differs in one: there `.example.com` holds for `example.com` too). Nothing is resolved: an address or a network
 * holds for URLs that name an address.
 *
 * | entry | goes direct |
 * |---|---|
 * | `*` | everything |
 * | `example.com` | it, and every name below it |
 * | `.example.com`, `*.example.com` | every name below it |
 * | `192.0.2.7`, `2001:db8::7`, `[2001:db8::7]` | the address |
 * | `10.0.0.0/8`, `fd00::/8` | the addresses of the network |
 * | any of the names and addresses with `:port` | the same, at that port alone |
 */
export function parseBypassList(text: string): BypassList {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  const read = entries.map((entry) => ({ entry, rule: ruleOf(entry.toLowerCase()) }));
  return {
    rules: read.flatMap(({ rule }) => (rule === undefined ? [] : [rule])),
    misread: read.flatMap(({ entry, rule }) => (rule === undefined ? [entry] : [])),
  };
}

export function isBypassed({ rules }: BypassList, target: BypassTarget): boolean {
  const plain = { ...target, hostname: target.hostname.toLowerCase().replace(/\.+$/, '') };
  return rules.some((rule) => rule(plain));
}

/**
 * What no proxy leads to: `localhost` with what is below it (RFC 6761) and the addresses of this machine to itself, as
 * for Go; and the metadata services of clouds with their link-local addresses. Through a proxy, those would answer for
 * the machine of the proxy, and it would see the credentials that they give.
 */
export function isNearby(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/\.+$/, '');
  if (isIP(name) !== 0) return nearby.check(name, familyOf(name));
  return name === 'localhost' || name.endsWith('.localhost') || name === GOOGLE_METADATA;
}

const GOOGLE_METADATA = 'metadata.google.internal';

const nearby = new BlockList();
nearby.addSubnet('127.0.0.0', 8, 'ipv4');
nearby.addAddress('::1', 'ipv6');
nearby.addSubnet('169.254.0.0', 16, 'ipv4');
nearby.addSubnet('fe80::', 10, 'ipv6');
/** Of Amazon: its metadata service, and what gives a pod or a container its credentials. */
nearby.addSubnet('fd00:ec2::', 32, 'ipv6');

function ruleOf(entry: string): Rule | undefined {
  if (entry === '*') return () => true;
  if (entry.includes('/')) return networkRule(entry);
  const { host, port } = splitPort(entry);
  const matches = isIP(host) === 0 ? nameRule(host) : addressRule(host);
  if (matches === undefined || port === undefined) return undefined;
  return (target) => (port === 'any' || target.port === port) && matches(target);
}

function networkRule(entry: string): Rule | undefined {
  const [, address = '', bits = ''] = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry) ?? [];
  if (isIP(address) === 0 || Number(bits) > (isIPv4(address) ? 32 : 128)) return undefined;
  const network = new BlockList();
  network.addSubnet(address, Number(bits), familyOf(address));
  return inList(network);
}

function addressRule(address: string): Rule {
  const list = new BlockList();
  list.addAddress(address, familyOf(address));
  return inList(list);
}

/** By the list, so that an address counts in each of its spellings, one that is mapped into IPv6 included. */
function inList(list: BlockList): Rule {
  return ({ hostname }) => isIP(hostname) !== 0 && list.check(hostname, familyOf(hostname));
}

function nameRule(pattern: string): Rule | undefined {
  const isBelowAlone = /^\*?\./.test(pattern);
  // A URL has its name in ASCII, whatever its user typed.
  const name = domainToASCII(pattern.replace(/^\*?\./, '').replace(/\.+$/, ''));
  // A part of an address, such as `10.1`, is written out by URLs and means nobody here.
  if (isIP(name) !== 0 || !/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name)) return undefined;
  const isBelow = (hostname: string): boolean => isIP(hostname) === 0 && hostname.endsWith(`.${name}`);
  return ({ hostname }) => isBelow(hostname) || (!isBelowAlone && hostname === name);
}

/** `host`, `host:port`, `[v6]:port`, or a bare IPv6 address, whose colons belong to it. Undefined: no port at all. */
function splitPort(entry: string): { host: string; port: number | 'any' | undefined } {
  const [, bracketed, , digits] = /^\[([^\]]*)\](:(.*))?$/.exec(entry) ?? [];
  if (bracketed !== undefined)
    return { host: bracketed, port: digits === undefined ? 'any' : portOf(digits) };
  const colon = entry.indexOf(':');
  if (colon === -1 || isIP(entry) !== 0) return { host: entry, port: 'any' };
  return { host: entry.slice(0, colon), port: portOf(entry.slice(colon + 1)) };
}

function portOf(digits: string): number | undefined {
  return /^\d{1,5}$/.test(digits) && Number(digits) > 0 && Number(digits) <= 65_535
    ? Number(digits)
    : undefined;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}
