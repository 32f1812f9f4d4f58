import { systemClock } from '../../src/kit/time.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { createSecrets } from '../../src/secrets/index.ts';
import { wrap } from '../../src/kit/errors.ts';
import { NO_STORES } from './no-stores.ts';

/**
 * A process in which the optional packages are not installed (`without-optional.mjs`): resolves each reference of its
 * command line, and prints what came of it as one JSON array.
 */
const redactor = new Redactor();
const protect = (value: string, origins: readonly string[]) => redactor.register(value, { origins });
const log = { debug: () => {}, info: () => {}, warn: () => {} };

await using secrets = createSecrets({
  environment: { DELEGATE_SECRET_ONE: 'value-of-one', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' },
  directory: undefined,
  stores: {
    settings: {
      ...NO_STORES,
      aws: { region: 'eu-central-1', endpoint: undefined },
      azure: { vaultUrl: 'https://v.vault.azure.net', authorityHost: 'https://login.microsoftonline.com' },
    },
    ports: {
      send: () => Promise.reject(new Error('nothing is sent')),
      clock: systemClock,
      protect,
      permit: (value, origins) => redactor.permit(value, origins),
      scrub: (text) => redactor.scrub(text),
      log,
    },
  },
  names: {},
  writable: [],
  admit: () => Promise.resolve(),
  protect,
  log,
});

const outcomes: unknown[] = [];
for (const reference of process.argv.slice(2)) {
  try {
    const secret = await secrets.resolve(reference, { signal: AbortSignal.timeout(10_000), origins: [] });
    outcomes.push({ found: secret.reveal().length });
  } catch (thrown) {
    const { code, hint } = wrap(thrown);
    outcomes.push({ code, hint });
  }
}
process.stdout.write(JSON.stringify(outcomes));
