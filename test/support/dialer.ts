import { dial } from '../../src/delegate/connection/transport.ts';
import { Dialer } from '../../src/http/dialer.ts';
import { Proxies, type ProxiesOptions } from '../../src/http/proxies.ts';
import { Trust, type TrustOptions } from '../../src/http/trust.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';

/** A dialer as a delegate without any setting has it, but for what is given. */
export function dialerWith(
  given: { proxies?: Partial<ProxiesOptions>; trust?: Partial<TrustOptions> } = {},
): Dialer {
  const redactor = new Redactor();
  const shared = {
    protect: (value: string, origins: readonly string[]) => redactor.register(value, { origins }),
    clock: systemClock,
    log: { info: () => {}, warn: () => {}, error: () => {} },
  };
  return new Dialer({
    proxies: new Proxies({
      https: undefined,
      http: undefined,
      bypass: '',
      credentialsFile: undefined,
      proxyFor: () => undefined,
      ...shared,
      ...given.proxies,
    }),
    trust: new Trust({ authorityFiles: [], clientCertificates: [], ...shared, ...given.trust }),
  });
}

/** Opens the connection of a delegate to its manager, and ends it. */
export async function dialOnce(
  dialer: Pick<Dialer, 'open'>,
  managerUrl: string,
  token = 'token',
): Promise<void> {
  const transport = await dial({
    managerUrl,
    dialer,
    token,
    userAgent: 'test/1',
    signal: AbortSignal.timeout(10_000),
    clock: systemClock,
    tokenAheadMs: 0,
  });
  transport.terminate();
  await transport.closed;
}
