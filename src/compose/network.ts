import { Dialer } from '../http/dialer.ts';
import { Proxies } from '../http/proxies.ts';
import { Trust } from '../http/trust.ts';
import type { Secret } from '../kit/secret.ts';
import type { ConnectorsOptions } from './connectors.ts';

type NetworkOptions = Pick<ConnectorsOptions, 'configuration' | 'policy' | 'redactor' | 'clock' | 'log'>;

/** The one way out of the delegate, as settings and policy describe it. */
export function dialerOf(options: NetworkOptions, proxies: Proxies = proxiesOf(options)): Dialer {
  const { configuration, clock, log } = options;
  return new Dialer({
    proxies,
    trust: new Trust({ ...configuration.network, protect: protectorOf(options), clock, log }),
  });
}

/** Which way each connection takes. */
export function proxiesOf(options: NetworkOptions): Proxies {
  const { configuration, policy, clock, log } = options;
  const { network } = configuration;
  return new Proxies({
    https: network.httpsProxy,
    http: network.httpProxy,
    bypass: network.proxyBypass,
    credentialsFile: network.proxyCredentialsFile,
    proxyFor: (origin) => policy.proxyFor(origin),
    protect: protectorOf(options),
    clock,
    log,
  });
}

function protectorOf({ redactor }: NetworkOptions): (value: string, origins: readonly string[]) => Secret {
  return (value, origins) => redactor.register(value, { origins, pinned: true });
}

/** Of every request. */
export function userAgentOf(version: string): string {
  return `servicenow-delegate/${version}`;
}
