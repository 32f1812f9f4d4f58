/**
 * PEM as people paste it: on one line, with the two characters `\n` for a line break, with spaces for line
 * breaks, with none at all, or quoted. RFC 7468 allows none of that, and OpenSSL refuses it, so each block is
 * taken apart and set again.
 */
export interface PemBlock {
  /** Upper case, e.g. `RSA PRIVATE KEY`. */
  label: string;
  /** The block as RFC 7468 (or RFC 1421, if it has headers) wants it. */
  text: string;
}

/** An RSA key of 16,384 bits is 13 KB of PEM; a PKCS#12 file with its chain stays below 60 KB. */
export const MAX_KEY_TEXT_CHARS = 262_144;

const LINE_LENGTH = 64;

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*(?:-(?!----)[^-]*)*)-----END \1-----/g;

/** RFC 1421 headers, the encryption of the pre-PKCS#8 era. They end where the line does. */
const LEGACY_HEADERS = /^\s*Proc-Type:\s*4,ENCRYPTED\s+DEK-Info:\s*([A-Za-z0-9-]+,[0-9A-Fa-f]+)\s+/;

export function pemBlocks(pasted: string): PemBlock[] {
  const text = pasted.replace(/\\+[rn]/g, '\n');
  return [...text.matchAll(BLOCK)].map(([, label = '', body = '']) => ({
    label,
    text: setBlock(label, body),
  }));
}

function setBlock(label: string, body: string): string {
  const legacy = LEGACY_HEADERS.exec(body);
  const headers = legacy === null ? [] : ['Proc-Type: 4,ENCRYPTED', `DEK-Info: ${legacy[1] ?? ''}`, ''];
  const base64 = body.slice(legacy?.[0].length ?? 0).replace(/\s+/g, '');
  const lines = base64.match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  return [`-----BEGIN ${label}-----`, ...headers, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** The bytes of text that is base64 and nothing else (white space aside); undefined for any other text. */
export function base64Bytes(pasted: string): Buffer | undefined {
  const text = pasted.replace(/\\+[rn]|\s+/g, '');
  if (text === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}
