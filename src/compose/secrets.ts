import { HttpClient } from '../http/client.ts';
import type { Secret } from '../kit/secret.ts';
import { assertSecretsStay } from '../policy/secret-bounds.ts';
import { createSecrets, type Secrets } from '../secrets/index.ts';
import { assertStoreUrl } from '../secrets/store-settings.ts';
import type { ConnectorsOptions } from './connectors.ts';
import { dialerOf, userAgentOf } from './network.ts';

/** A secret has 64 KiB at most, and a store may keep a few dozen in one place. */
const MAX_STORE_ANSWER_BYTES = 4 * 1_048_576;

/** The secret providers on a client of their own; what `secrets check` needs, and a part of what tasks need. */
export function composeSecrets(
  options: Pick<
    ConnectorsOptions,
    'configuration' | 'policy' | 'environment' | 'version' | 'redactor' | 'clock' | 'log' | 'dialer'
  >,
): Secrets {
  const { configuration, policy, environment, version, redactor, clock, log } = options;
  const settings = configuration.secretStores;
  const protect = (value: string, origins: readonly string[]): Secret =>
    redactor.register(value, { origins });
  // The addresses are the operator's own words, so that loopback may be one; only they can be reached.
  const http = new HttpClient({
    dialer: options.dialer ?? dialerOf(options),
    guardUrl: (url) => assertStoreUrl(url, settings),
    guardRequest: (exchange) => assertSecretsStay(exchange, redactor),
    guardAddress: () => {},
    userAgent: userAgentOf(version),
    maxBodyBytes: MAX_STORE_ANSWER_BYTES,
  });
  const secrets = createSecrets({
    environment,
    directory: configuration.secretsDir,
    ownPlaces: configuration.ownPlaces,
    stores: {
      settings,
      ports: {
        send: http.send,
        clock,
        protect,
        permit: (value, origins) => redactor.permit(value, origins),
        scrub: (text) => redactor.scrub(text),
        log,
      },
    },
    names: configuration.secretNames,
    writable: configuration.writableSecrets,
    admit: (name, origins, signal) => policy.admitSecret(name, origins, signal),
    pin: (name, origins, signal) => policy.pinSecret(name, origins, signal),
    protect,
    log,
  });
  return {
    ...secrets,
    async [Symbol.asyncDispose]() {
      await secrets[Symbol.asyncDispose]();
      await http[Symbol.asyncDispose]();
    },
  };
}
