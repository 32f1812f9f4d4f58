import { resolve, sep } from 'node:path';
import type { Settings } from './schema.ts';

/** Where a pod finds the token of its service account, and what belongs to it. */
export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * Files and folders of the delegate itself: what it proves with who it is, and what it keeps. They often lie beside the
 * secrets of connectors, and no reference may lead to them: whoever writes references is not to have them sent anywhere.
 */
export function ownPlacesOf(settings: Settings): readonly string[] {
  const { vault, proxy, stateDir, secretsDir } = settings;
  const holdsSecrets =
    secretsDir !== '' && `${resolve(secretsDir)}${sep}`.startsWith(`${resolve(stateDir)}${sep}`);
  return [
    // Secrets in a folder of their own below the state are meant to be read; what is beside it can't be reached.
    ...(holdsSecrets && resolve(secretsDir) !== resolve(stateDir) ? [] : [stateDir]),
    settings.enrolmentTokenFile,
    settings.stateKeyFile,
    settings.execSecretsFile,
    settings.managerPrivateKeyFile,
    settings.managerPassphraseFile,
    proxy.credentialsFile,
    settings.traces.headersFile,
    vault.tokenFile,
    vault.roleIdFile,
    vault.secretIdFile,
    vault.jwtFile,
    ...settings.clientCertificates.flatMap(({ privateKeyFile, passphraseFile = '' }) => [
      privateKeyFile,
      passphraseFile,
    ]),
    SERVICE_ACCOUNT_FOLDER,
  ].filter((path) => path !== '');
}
