import { DelegateError } from '../kit/errors.ts';
import { resolveInside, wordsOf, type SecretFolder } from './file.ts';
import { invalidLocator, type FoundSecret, type Provider } from './provider.ts';
import { readSecretFile } from './text-file.ts';

/** The name of a Secret (a DNS subdomain) and a key of its data, as Kubernetes lets them be. */
const LOCATOR = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/(?!\.\.)[A-Za-z0-9._-]{1,253}$/;

/**
 * `kubernetes:secret-name/key` reads a key of a Secret that is mounted below one folder, as a folder of its name. The
 * kubelet writes each generation of a Secret into a folder of its own and swaps one link (`..data`) to it, so that a
 * read has the old value or the new, whole. The link is followed anew with each read: a change needs no restart.
 *
 * Two keys are two reads: both are from one generation unless the swap comes between them. The next task has both anew.
 */
export function kubernetesProvider(directory: string, closed: readonly string[] = []): Provider {
  const folder: SecretFolder = {
    scheme: 'kubernetes',
    setting: 'DELEGATE_KUBERNETES_SECRETS_DIR',
    directory,
    closed,
  };
  const readOnce = async (locator: string, signal: AbortSignal): Promise<FoundSecret> => {
    const path = await resolveInside(folder, locator);
    signal.throwIfAborted();
    return {
      value: await readSecretFile(path, wordsOf(folder, locator)),
      place: `mounted Secret at ${path}`,
    };
  };
  return {
    async read(locator, signal) {
      if (!LOCATOR.test(locator)) {
        throw invalidLocator(
          'kubernetes:…',
          'give the name of a mounted Secret and one of its keys, as secret-name/key',
        );
      }
      try {
        return await readOnce(locator, signal);
      } catch (thrown) {
        if (!(thrown instanceof DelegateError) || thrown.code !== 'secret-not-found') throw thrown;
        // The kubelet removes the old generation right after the swap: the link had led there a moment ago.
        return await readOnce(locator, signal);
      }
    },
    write: undefined,
  };
}
