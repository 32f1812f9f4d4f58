import { Dialer } from '../http/dialer.ts';
import { Proxies } from '../http/proxies.ts';
import { Trust } from '../http/trust.ts';
import type { Secret } from '../kit/secret.ts';
import type { ConnectorsOptions } from './connectors.ts';

/** The one way out of the delegate, as settings and policy describe it. */
export function dialerOf({
  configuration,
  policy,
  redactor,
  clock,
  log,
}: Pick<ConnectorsOptions, 'configuration' | 'policy' | 'redactor' | 'clock' | 'log'>): Dialer {
  const { network } = configuration;
  const protect = (value: string, origins: readonly string[]): Secret =>
    redactor.register(value, { origins, pinned: true });
  return new Dialer({
    proxies: new Proxies({
      https: network.httpsProxy,
      http: network.httpProxy,
      bypass: network.proxyBypass,
      credentialsFile: network.proxyCredentialsFile,
      proxyFor: (origin) => policy.proxyFor(origin),
      protect,
      clock,
      log,
    }),
    trust: new Trust({ ...network, protect, clock, log }),
  });
}

/** Of every request. */
export function userAgentOf(version: string): string {
  return `servicenow-delegate/${version}`;
}
