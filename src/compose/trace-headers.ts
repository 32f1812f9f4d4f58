const MAX_HEADERS = 16;
/** RFC 9110, sections 5.6.2 and 5.5: a token, and visible ASCII with blanks within. */
const HEADER =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}):[ \t]*([\x21-\x7e](?:[\t\x20-\x7e]{0,8190}[\x21-\x7e])?)[ \t]*$/;
/** They belong to the connection, or say what the body is. */
const OURS: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Headers from a file, one `Name: value` a line; empty lines, and those that begin with #, are none. Names come out in
 * lower case. Throws for anything else, in words that quote nothing of it.
 */
export function parseHeaders(text: string): Readonly<Record<string, string>> {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  if (lines.length > MAX_HEADERS) throw new Error(`it has more than ${MAX_HEADERS} headers`);
  const headers = lines.map((line, index) => {
    const [, name = '', value = ''] = HEADER.exec(line) ?? [];
    if (name === '') throw new Error(`header ${index + 1} is not of the form "Name: value"`);
    if (OURS.has(name.toLowerCase())) throw new Error(`header ${index + 1} is none that can be set`);
    return [name.toLowerCase(), value] as const;
  });
  return Object.fromEntries(headers);
}
