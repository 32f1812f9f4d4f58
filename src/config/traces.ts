import { labelOf } from './leaves.ts';
import type { Settings } from './schema.ts';
import type { SettingKey } from './settings.ts';

/** Where OTLP/HTTP takes traces, below the address of a collector (its specification, section "Endpoint URLs"). */
const TRACES_PATH = '/v1/traces';

export interface TracesConfiguration {
  /** Where spans are posted to, with its path. */
  readonly endpoint: string;
  /** Path; undefined: nothing is sent beside what OTLP needs. */
  readonly headersFile: string | undefined;
  /** From 0 to 1. */
  readonly sampleRatio: number;
  readonly serviceName: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What the schema can't see, of those settings that it has passed. */
export function checkTraces(
  { traces }: Settings,
  isValid: (...keys: SettingKey[]) => boolean,
  complaints: string[],
): void {
  if (traces.headersFile === '' || !isValid('traces.endpoint', 'traces.headersFile')) return;
  if (traces.endpoint === '') {
    complaints.push(`${labelOf('traces.headersFile')}: is of no use without ${labelOf('traces.endpoint')}`);
    return;
  }
  const { protocol, hostname } = new URL(traces.endpoint);
  const isLocal = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
  if (protocol === 'http:' && !isLocal) {
    complaints.push(
      `${labelOf('traces.headersFile')}: headers may hold a credential, which plain http beyond loopback would show; use an https address for the collector`,
    );
  }
}

/** For settings that have been checked. Undefined: no traces. */
export function tracesOf({ traces }: Settings): TracesConfiguration | undefined {
  const { endpoint, headersFile, sampleRatio, serviceName, attributes } = traces;
  if (endpoint === '') return undefined;
  const url = new URL(endpoint);
  if (url.pathname === '/') url.pathname = TRACES_PATH;
  return {
    endpoint: url.href,
    headersFile: headersFile === '' ? undefined : headersFile,
    sampleRatio,
    serviceName,
    attributes: Object.fromEntries(attributes.map((entry) => entryOf(entry))),
  };
}

function entryOf(attribute: string): [name: string, value: string] {
  const at = attribute.indexOf('=');
  return [attribute.slice(0, at), attribute.slice(at + 1)];
}
