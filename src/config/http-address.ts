import { throwComplaints } from './errors.ts';
import type { CommandFlags } from './flags.ts';
import { labelOf } from './leaves.ts';
import { readSettings, type Sources } from './settings.ts';

/** An address that listens on every interface answers on loopback, too. */
const LOOPBACK_OF: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** `http://127.0.0.1:8080`: where a server that listens there is asked from its own machine. */
export function httpAddress(host: string, port: number): string {
  const address = LOOPBACK_OF[host] ?? host;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/**
 * Where a delegate with these settings answers, seen from its own machine: `http://127.0.0.1:8080`. What is wrong with
 * other settings does not count: whoever asks wants to know of a delegate that runs already.
 *
 * @throws ConfigurationError for flags that are none, and for a port that only the delegate's log tells
 */
export function loadHttpAddress(sources: Sources): string {
  return loadHttpCommand(sources).address();
}

/** The same for a command with flags of its own, which may do without that address. */
export function loadHttpCommand(
  sources: Sources,
  command?: CommandFlags,
  hint?: string,
): { flags: ReadonlyMap<string, string>; address: () => string } {
  const { settings, commandLineComplaints, isValid, flags } = readSettings(
    sources,
    command === undefined ? {} : { command },
  );
  throwComplaints({ commandLine: commandLineComplaints, others: [] }, hint);
  return {
    flags: flags.own,
    address: () => {
      const complaints: string[] = [];
      if (!isValid('http.host')) complaints.push(`${labelOf('http.host')}: it is not valid`);
      if (!isValid('http.port')) complaints.push(`${labelOf('http.port')}: it is not valid`);
      const { host, port } = settings.http;
      if (complaints.length === 0 && port === 0) {
        complaints.push(`${labelOf('http.port')}: 0 takes any port, and only the delegate's log says which`);
      }
      throwComplaints({ commandLine: [], others: complaints }, hint);
      return httpAddress(host, port);
    },
  };
}
