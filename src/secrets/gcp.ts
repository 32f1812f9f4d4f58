import { withinBounds, type CloudOptions } from './cloud.ts';
import { gcpOrigin, type GcpSettings } from './cloud-settings.ts';
import { connectGcp } from './gcp-client.ts';
import { GCP } from './gcp-login.ts';
import { invalidLocator, type FoundSecret, type Provider } from './provider.ts';
import { ShortMemory } from './short-memory.ts';

const NAME = /^[A-Za-z0-9_-]{1,255}$/;
const PROJECT = /^[a-z0-9][a-z0-9.:-]{0,62}$/;
/** A number, or the name that somebody gave to one. */
const VERSION = /^(?:[1-9]\d{0,9}|[A-Za-z][A-Za-z0-9_-]{0,62})$/;

const NEWEST = 'latest';

/**
 * `gcp:name` is the newest version of a secret in the project of the settings, `gcp:name/version` that one, which can't
 * be written. In another project: `gcp:projects/p/secrets/name`, or with `/versions/version` behind it.
 */
export function gcpProvider(settings: GcpSettings, options: CloudOptions): Provider {
  const { cacheMs, ports } = options;
  const client = connectGcp(settings, options);
  const memory = new ShortMemory<FoundSecret>({ store: GCP, clock: ports.clock, keepMs: cacheMs });
  const keyOf = ({ secret, version }: Place): string => `${secret}/versions/${version}`;
  return {
    async read(locator, signal) {
      const place = parse(locator, settings);
      const { secret, version, reference } = place;
      return await memory.get(keyOf(place), signal, async (ending) => {
        const found = await client.read(secret, version, reference, ending);
        return { value: { value: withinBounds(found.value, reference), place: found.version } };
      });
    },
    async write(locator, value, signal) {
      const place = parse(locator, settings);
      if (place.version !== NEWEST) throw new Error('a reference with a version is not written');
      // It goes in base64, which is one of the forms that are looked for.
      ports.protect(value, [gcpOrigin(settings)]);
      try {
        await client.write(place.secret, value, place.reference, signal);
      } finally {
        memory.forget(keyOf(place));
      }
    },
    async [Symbol.asyncDispose]() {
      await memory[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}

interface Place {
  /** `projects/p/secrets/s` */
  readonly secret: string;
  readonly version: string;
  /** As it is printed, once it is known to have the form of a name. */
  readonly reference: string;
}

function parse(locator: string, settings: GcpSettings): Place {
  const { project, name, version = NEWEST } = partsOf(locator, settings.project);
  if (!PROJECT.test(project) || !NAME.test(name) || !VERSION.test(version)) {
    throw invalidLocator(
      'gcp:…',
      'give name, name/version, or projects/PROJECT/secrets/NAME, or that with /versions/VERSION behind it',
    );
  }
  return { secret: `projects/${project}/secrets/${name}`, version, reference: `gcp:${locator}` };
}

function partsOf(
  locator: string,
  ownProject: string,
): { project: string; name: string; version: string | undefined } {
  const parts = locator.split('/');
  const [projects, project = '', secrets, name = '', versions, version] = parts;
  const isFull = projects === 'projects' && secrets === 'secrets';
  if (isFull && (parts.length === 4 || (parts.length === 6 && versions === 'versions'))) {
    return { project, name, version };
  }
  if (parts.length > 2) return { project: '', name: '', version: undefined };
  const [ownName = '', ownVersion] = parts;
  return { project: ownProject, name: ownName, version: ownVersion };
}
