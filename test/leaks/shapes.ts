import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';

/** One kind of secret, and the pieces that nobody may see. */
export interface Kind {
  readonly value: string;
  readonly pieces: readonly string[];
}

const PIECE_CHARS = 12;

/** Every stretch of so many characters: half a secret is one, too. */
function windowsOf(text: string, step = 1): string[] {
  const count = Math.max(1, Math.floor((text.length - PIECE_CHARS) / step) + 1);
  return Array.from({ length: count }, (_, index) => text.slice(index * step, index * step + PIECE_CHARS));
}

const plain = (value: string): Kind => ({ value, pieces: windowsOf(value) });

function privateKey(): Kind {
  const { privateKey: pem } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const lines = pem.split('\n').filter((line) => line.length >= 40 && !line.startsWith('-'));
  return { value: pem, pieces: lines.flatMap((line) => windowsOf(line.slice(0, 60), 4)) };
}

const JWT =
  'eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjYW5hcnktand0LTkxIiwiYXVkIjoic25vdyJ9.' +
  'c2lnbmF0dXJlLW9mLXRoZS1jYW5hcnktdG9rZW4tNTVlMGE5';

export const KINDS: Readonly<Record<string, Kind>> = {
  'a token': plain('cnry-9fK2xQ7vLm4TzR8wPb3YhD6s'),
  'a password with every sign of a keyboard': plain(`Kq!"§$%&/()=?*+#'~<>|{[]}\\@;:,._-^x9`),
  'a password with letters beyond ASCII': plain('Grüße-über-Fjörð-€42-straße'),
  'a password with letters beyond the first plane': plain('schlüssel😀und🗝️dose-77'),
  'a password with spaces': plain('correct horse  battery staple 42'),
  'a password that looks escaped': plain('p%41ss&amp;w\\u0041rd\\n"=3D+x7'),
  'a private key': privateKey(),
  'a JWT': { value: JWT, pieces: [JWT.slice(30, 60), JWT.slice(90, 118)] },
  'a document of several lines': plain(
    'user: canary-user-4471\npass: "canary-pass-8813"\nkind: canary-kind-0092',
  ),
};

const b64 = (text: string, encoding: 'base64' | 'base64url' = 'base64'): string =>
  Buffer.from(text).toString(encoding);
const hex = (text: string): string => Buffer.from(text).toString('hex');
const json = (value: unknown): string => JSON.stringify(value);
const every = (text: string, as: (char: string) => string): string => Array.from(text, as).join('');
const octets = (text: string, as: (byte: number) => string): string[] => Array.from(Buffer.from(text), as);
const hex2 = (byte: number): string => byte.toString(16).padStart(2, '0');
const lines = (text: string, length: number, by = '\r\n'): string =>
  text.match(new RegExp(`.{1,${length}}`, 'g'))?.join(by) ?? '';
const units = (text: string, as: (unit: number) => string): string =>
  Array.from({ length: text.length }, (_, index) => as(text.charCodeAt(index))).join('');
const HTML_NAMES: Readonly<Record<string, string>> = {
  '&': 'amp',
  '<': 'lt',
  '>': 'gt',
  '"': 'quot',
  "'": 'apos',
  ä: 'auml',
  ö: 'ouml',
  ü: 'uuml',
  ß: 'szlig',
  é: 'eacute',
  '§': 'sect',
  '€': 'euro',
  '!': 'excl',
  '/': 'sol',
  '+': 'plus',
  ':': 'colon',
};

/** How a value may be written, with something before and behind it. */
export const ENCODINGS: Readonly<Record<string, (value: string) => string>> = {
  'as it is': (value) => `password=${value};`,
  'within JSON': (value) => json({ password: value }),
  'within JSON within JSON': (value) => json({ body: json({ password: value }) }),
  'within JSON, three deep': (value) => json([json([json([value])])]),
  'within JSON in ASCII': (value) =>
    json({ v: value }).replace(/[^\x20-\x7e]/g, (char) =>
      units(char, (unit) => `\\u${unit.toString(16).padStart(4, '0')}`),
    ),
  'within JSON, every character escaped': (value) =>
    `"${units(value, (unit) => `\\u${unit.toString(16).toUpperCase().padStart(4, '0')}`)}"`,
  'within JSON for a page': (value) =>
    json({ v: value }).replaceAll('&', '\\u0026').replaceAll('<', '\\u003C').replaceAll('/', '\\/'),
  'as JavaScript shows it': (value) => inspect({ password: value, list: [value] }),
  'in bytes of JavaScript': (value) => octets(value, (byte) => `\\x${hex2(byte)}`).join(''),
  'in bytes of Python': (value) =>
    `b'${octets(value, (byte) => (byte < 0x7f && byte > 0x1f && byte !== 0x5c && byte !== 0x27 ? String.fromCharCode(byte) : `\\x${hex2(byte)}`)).join('')}'`,
  'within a URL': (value) => `https://acme.example/?a=1&p=${encodeURIComponent(value)}&b=2`,
  'within a URL, in lower case': (value) =>
    `/?p=${encodeURIComponent(value).replace(/%../g, (escape) => escape.toLowerCase())}`,
  'within a URL, every octet escaped': (value) => `/${octets(value, (byte) => `%${hex2(byte)}`).join('')}`,
  'within a URL in a URL': (value) => `/?next=${encodeURIComponent(`/?p=${encodeURIComponent(value)}`)}`,
  'within a URL in JSON': (value) =>
    json({ location: `https://acme.example/?p=${encodeURIComponent(value)}` }),
  'within a form': (value) => new URLSearchParams({ user: 'a', password: value }).toString(),
  'within a form in JSON': (value) => json({ body: new URLSearchParams({ password: value }).toString() }),
  'as old scripts escape it': (value) =>
    units(value, (unit) =>
      unit < 0x80 && /\w/.test(String.fromCharCode(unit))
        ? String.fromCharCode(unit)
        : `%u${unit.toString(16).padStart(4, '0')}`,
    ),
  'in base64': (value) => `data:${b64(value)}`,
  'in base64 behind one byte': (value) => `x ${b64(`:${value}z`)}`,
  'in base64 behind two bytes': (value) => `x ${b64(`a:${value}zz`)}`,
  'in base64url': (value) => `t=${b64(value, 'base64url')}`,
  'in base64url behind one byte': (value) => `t=${b64(`:${value}`, 'base64url')}`,
  'in base64 in lines of 76': (value) =>
    `Content:\r\n${lines(b64(`${'padding '.repeat(9)}${value}${'more '.repeat(12)}`), 76)}\r\n`,
  'in base64 in short lines in JSON': (value) => json({ data: lines(b64(`pad${value}end`), 20, '\n') }),
  'in base64 in a URL': (value) => `?b=${encodeURIComponent(b64(`u:${value}`))}`,
  'in base64 twice': (value) => b64(`auth=${b64(`svc:${value}`)}`),
  'in base64 of JSON': (value) => b64(json({ password: value })),
  'in base64 of a form': (value) => b64(new URLSearchParams({ p: value }).toString()),
  'in base64 of UTF-16': (value) =>
    `powershell -enc ${Buffer.from(`$p='${value}'`, 'utf16le').toString('base64')}`,
  'in a Basic header': (value) => `Authorization: Basic ${b64(`svc_deploy:${value}`)}`,
  'in the claims of a JWT': (value) => `e30.${b64(json({ sub: value, aud: 'x' }), 'base64url')}.c2ln`,
  'in hexadecimal': (value) => `0x${hex(value)}`,
  'in hexadecimal in upper case': (value) => hex(value).toUpperCase(),
  'in hexadecimal with colons': (value) => octets(value, hex2).join(':'),
  'in hexadecimal with spaces, in upper case': (value) => octets(value, hex2).join(' ').toUpperCase(),
  'in hexadecimal as a list': (value) => `{ ${octets(value, (byte) => `0x${hex2(byte)}`).join(', ')} }`,
  'as a buffer shows': (value) => `<Buffer ${octets(value, hex2).join(' ')}>`,
  'as JSON of a buffer': (value) => json({ body: Buffer.from(value) }),
  'as JSON of bytes': (value) => json({ body: new Uint8Array(Buffer.from(value)) }),
  'in HTML content': (value) =>
    `<p>${value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</p>`,
  'in an attribute of XML': (value) =>
    `<u p="${value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;').replaceAll("'", '&apos;').replaceAll('\n', '&#10;')}"/>`,
  'in HTML by decimal references': (value) => every(value, (char) => `&#${char.codePointAt(0) ?? 0};`),
  'in HTML by hexadecimal references': (value) =>
    every(value, (char) => `&#x${(char.codePointAt(0) ?? 0).toString(16)};`),
  'in HTML by named references': (value) =>
    every(value, (char) => (HTML_NAMES[char] === undefined ? char : `&${HTML_NAMES[char]};`)),
  'in HTML in JSON': (value) =>
    json({ page: `<b>${every(value, (char) => `&#${char.codePointAt(0) ?? 0};`)}</b>` }),
  'in quoted-printable': (value) =>
    lines(
      octets(value, (byte) =>
        byte > 0x20 && byte < 0x7f && byte !== 0x3d
          ? String.fromCharCode(byte)
          : `=${hex2(byte).toUpperCase()}`,
      ).join(''),
      72,
      '=\r\n',
    ),
  'in quoted-printable, every octet': (value) =>
    octets(value, (byte) => `=${hex2(byte).toUpperCase()}`).join(''),
  'in UTF-16 read as bytes': (value) => Buffer.from(value, 'utf16le').toString('latin1'),
  'in UTF-8 read as Latin 1': (value) => Buffer.from(value, 'utf8').toString('latin1'),
  'twice in one line': (value) => `${value} and again ${value}`,
};
