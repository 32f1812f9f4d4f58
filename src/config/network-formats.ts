import { z } from 'zod';

/** In the place of a proxy: none, whatever the variables of the system say. */
export const DIRECT = 'direct';

/** A key and a certificate for each origin. In the settings file alone: a list fits into no variable. */
const clientCertificatesSchema = z.array(
  z.strictObject({
    origin: z.string(),
    certificateFile: z.string().min(1),
    privateKeyFile: z.string().min(1),
    passphraseFile: z.string().min(1).optional(),
  }),
);

export function checkProxyUrl(value: unknown): void {
  if (value === '' || value === DIRECT) return;
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`must be an address such as http://proxy.example.com:3128, or "${DIRECT}"`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(
      'must not hold credentials: they belong into the file of DELEGATE_PROXY_CREDENTIALS_FILE',
    );
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw new TypeError('must not have a path');
}

export function checkClientCertificates(value: unknown): void {
  const parsed = clientCertificatesSchema.safeParse(value);
  if (!parsed.success) {
    throw new TypeError(
      'must be a list of entries with origin, certificateFile, privateKeyFile and, if the key has one, passphraseFile',
    );
  }
  for (const { origin } of parsed.data) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin || !origin.startsWith('https://')) {
      throw new TypeError('each origin must be such as https://acme.service-now.com, without a path');
    }
  }
}
