import { readFileSync } from 'node:fs';
import { reasonOf } from '../kit/errors.ts';
import { Secret } from '../kit/secret.ts';
import { assertClientIdentity, certificatesIn, UnusableMaterial } from '../kit/tls-material.ts';
import { labelOf } from './leaves.ts';
import { DIRECT } from './network-formats.ts';
import type { ClientCertificateSetting } from './schema.ts';
import type { RawSettings, Sources } from './settings.ts';

/** Where Node itself looks for authorities beside its own. */
const NODE_AUTHORITIES_VARIABLE = 'NODE_EXTRA_CA_CERTS';

export interface ProxyConfiguration {
  /** Without credentials. */
  readonly url: URL;
  /** `user:password` of a standard variable. */
  readonly credentials: Secret | undefined;
}

/** How connections leave. Files are named here and read where they are used, because they may change. */
export interface NetworkConfiguration {
  readonly authorityFiles: readonly string[];
  readonly clientCertificates: readonly {
    readonly origin: string;
    readonly certificateFile: string;
    readonly privateKeyFile: string;
    readonly passphraseFile: string | undefined;
  }[];
  readonly httpsProxy: ProxyConfiguration | undefined;
  readonly httpProxy: ProxyConfiguration | undefined;
  /** As `NO_PROXY`. */
  readonly proxyBypass: string;
  readonly proxyCredentialsFile: string | undefined;
}

type Reading = Pick<RawSettings, 'settings' | 'complaints' | 'isValid'> & {
  environment: Sources['environment'];
  warnings: string[];
  /** False for commands that never call it. */
  forManager: boolean;
};

/** Whatever is wrong with a file is found here, at the start, and not when the first task needs it. */
export function readNetwork(reading: Reading): NetworkConfiguration {
  const { settings, environment } = reading;
  const { proxy } = settings;
  checkProxyCredentials(reading);
  return {
    authorityFiles: authorityFilesOf(reading),
    clientCertificates: clientCertificatesOf(reading),
    httpsProxy: proxyOf(['HTTPS_PROXY', 'https_proxy'], reading),
    httpProxy: proxyOf(['HTTP_PROXY', 'http_proxy'], reading),
    proxyBypass:
      proxy.bypass === '' ? (firstOf(['NO_PROXY', 'no_proxy'], environment)?.text ?? '') : proxy.bypass,
    proxyCredentialsFile: proxy.credentialsFile === '' ? undefined : proxy.credentialsFile,
  };
}

// --- authorities ------------------------------------------------------------------------------------------------

function authorityFilesOf({ settings, complaints, isValid, environment, warnings }: Reading): string[] {
  const { caFile } = settings;
  if (caFile === '' || !isValid('caFile')) return [];
  const mistake = mistakeIn([caFile], ([bundle = '']) => certificatesIn(bundle));
  if (mistake !== undefined) complaints.push(`${labelOf('caFile')}: the file ${mistake}`);
  // A list of our own takes the place of all that Node trusts: what it was told to add is then added here.
  const nodeFile = environment[NODE_AUTHORITIES_VARIABLE] ?? '';
  if (nodeFile === '') return [caFile];
  const nodeMistake = mistakeIn([nodeFile], ([bundle = '']) => certificatesIn(bundle));
  if (nodeMistake === undefined) return [caFile, nodeFile];
  // As Node does: a warning, and no more.
  warnings.push(`${NODE_AUTHORITIES_VARIABLE}: the file ${nodeMistake}; it is ignored.`);
  return [caFile];
}

// --- client certificates ----------------------------------------------------------------------------------------

function clientCertificatesOf(reading: Reading): NetworkConfiguration['clientCertificates'] {
  const { settings, complaints, isValid } = reading;
  const listed = isValid('clientCertificates') ? settings.clientCertificates : [];
  const all = listed.map((one, index) => ({ one, label: `clientCertificates[${index}]` }));
  const manager = reading.forManager ? managerCertificateOf(reading) : undefined;
  if (manager !== undefined) all.push({ one: manager, label: labelOf('managerCertificateFile') });
  for (const { one, label } of all) {
    const { certificateFile, privateKeyFile, passphraseFile } = one;
    const files = [
      certificateFile,
      privateKeyFile,
      ...(passphraseFile === undefined ? [] : [passphraseFile]),
    ];
    const mistake = mistakeIn(files, ([certificate = '', privateKey = '', passphrase]) =>
      assertClientIdentity({ certificate, privateKey, passphrase: passphrase?.replace(/\r?\n$/, '') }),
    );
    if (mistake !== undefined) complaints.push(`${label}: the pair of certificate and key ${mistake}`);
  }
  const origins = all.map(({ one }) => one.origin);
  if (new Set(origins).size < origins.length) {
    complaints.push('clientCertificates: an origin has two entries; each can show one certificate');
  }
  return all.map(({ one }) => ({ ...one, passphraseFile: one.passphraseFile }));
}

function managerCertificateOf({
  settings,
  complaints,
  isValid,
}: Reading): ClientCertificateSetting | undefined {
  const { managerUrl, managerCertificateFile, managerPrivateKeyFile, managerPassphraseFile } = settings;
  if (managerCertificateFile === '' && managerPrivateKeyFile === '') return undefined;
  if (managerCertificateFile === '' || managerPrivateKeyFile === '') {
    const missing = managerCertificateFile === '' ? 'managerCertificateFile' : 'managerPrivateKeyFile';
    complaints.push(`${labelOf(missing)}: is missing; a certificate and its private key are given together`);
    return undefined;
  }
  if (!isValid('managerUrl')) return undefined;
  return {
    origin: new URL(managerUrl).origin,
    certificateFile: managerCertificateFile,
    privateKeyFile: managerPrivateKeyFile,
    ...(managerPassphraseFile === '' ? {} : { passphraseFile: managerPassphraseFile }),
  };
}

// --- proxy ------------------------------------------------------------------------------------------------------

function proxyOf(variables: readonly string[], reading: Reading): ProxyConfiguration | undefined {
  const { settings, isValid, environment } = reading;
  if (!isValid('proxy.url')) return undefined;
  if (settings.proxy.url === DIRECT) return undefined;
  if (settings.proxy.url !== '') return { url: new URL(settings.proxy.url), credentials: undefined };
  const found = firstOf(variables, environment);
  return found === undefined ? undefined : readStandardVariable(found.variable, found.text, reading);
}

/** As other programs take it: without a scheme it is http, and user and password may stand in it. */
function readStandardVariable(
  variable: string,
  text: string,
  { complaints, warnings }: Reading,
): ProxyConfiguration | undefined {
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    // To go without it would be to go where the operator did not want: past the proxy.
    complaints.push(
      `${variable}: is not the address of an http:// or https:// proxy; correct it, or set ${labelOf('proxy.url')} to it or to "${DIRECT}"`,
    );
    return undefined;
  }
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if (username === '' && password === '') return { url, credentials: undefined };
  warnings.push(
    `${variable}: holds a password, which every process of this user can read; give it in the file of DELEGATE_PROXY_CREDENTIALS_FILE.`,
  );
  return { url, credentials: new Secret(`${decoded(username)}:${decoded(password)}`) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that nobody encoded stands for itself.
    return text;
  }
}

function checkProxyCredentials({ settings, complaints, isValid }: Reading): void {
  const { credentialsFile } = settings.proxy;
  if (credentialsFile === '' || !isValid('proxy.credentialsFile')) return;
  const mistake = mistakeIn([credentialsFile], ([text = '']) => {
    if (!/^[^:\r\n]+:.*\r?\n?$/.test(text)) throw new UnusableMaterial('must hold user:password in one line');
  });
  if (mistake !== undefined) complaints.push(`${labelOf('proxy.credentialsFile')}: the file ${mistake}`);
}

// --- both -------------------------------------------------------------------------------------------------------

function firstOf(
  variables: readonly string[],
  environment: Sources['environment'],
): { variable: string; text: string } | undefined {
  return variables
    .map((variable) => ({ variable, text: environment[variable]?.trim() ?? '' }))
    .find(({ text }) => text !== '');
}

/** Why these files are of no use, in words that quote neither a path nor a content; undefined if they are. */
function mistakeIn(
  paths: readonly string[],
  check: (contents: readonly string[]) => void,
): string | undefined {
  try {
    check(paths.map((path) => readFileSync(path, 'utf8')));
    return undefined;
  } catch (thrown) {
    return thrown instanceof UnusableMaterial ? thrown.message : `cannot be read (${reasonOf(thrown)})`;
  }
}
