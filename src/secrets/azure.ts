import { AZURE, connectAzure } from './azure-client.ts';
import { lazily, withinBounds, type CloudOptions } from './cloud.ts';
import type { AzureSettings } from './cloud-settings.ts';
import { invalidLocator, type FoundSecret, type Provider } from './provider.ts';
import { ShortMemory } from './short-memory.ts';

const NAME = /^[0-9A-Za-z-]{1,127}$/;
const VERSION = /^[0-9a-f]{32}$/;

/**
 * `azure:name` is the newest version of a secret in the vault of the settings, `azure:name/version` that one, which can't
 * be written. A new version takes over content type and tags, and not the dates: they were those of the old value.
 */
export function azureProvider(settings: AzureSettings, options: CloudOptions): Provider {
  const { cacheMs, ports } = options;
  const client = lazily(async () => await connectAzure(settings, options));
  const memory = new ShortMemory<FoundSecret>({ store: AZURE, clock: ports.clock, keepMs: cacheMs });
  const { host, origin } = new URL(settings.vaultUrl);
  return {
    async read(locator, signal) {
      const { name, version, reference } = parse(locator);
      return await memory.get(locator, signal, async (ending) => {
        const found = await (await client()).read(name, version, reference, ending);
        return {
          value: {
            value: withinBounds(found.value, reference),
            place: `${host}/secrets/${name}, version ${found.version}`,
          },
        };
      });
    },
    async write(locator, value, signal) {
      const { name, version, reference } = parse(locator);
      if (version !== undefined) throw new Error('a reference with a version is not written');
      ports.protect(value, [origin]);
      try {
        await (await client()).write(name, value, reference, signal);
      } finally {
        memory.forget(locator);
      }
    },
    [Symbol.asyncDispose]: async () => await memory[Symbol.asyncDispose](),
  };
}

function parse(locator: string): { name: string; version: string | undefined; reference: string } {
  const [name = '', version, ...more] = locator.split('/');
  if (!NAME.test(name) || more.length > 0) {
    throw invalidLocator('azure:…', 'give the name of a secret: letters, digits and hyphens');
  }
  if (version !== undefined && !VERSION.test(version)) {
    throw invalidLocator('azure:…', 'after the slash stands a version of 32 hexadecimal digits');
  }
  return { name, version, reference: `azure:${locator}` };
}
