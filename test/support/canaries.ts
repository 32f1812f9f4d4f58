/** Forms in which a secret value is looked for, in whatever a process lets out. */
export function formsOf(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8');
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    // Only the characters that no neighbour can change.
    return encoded.slice(offset === 0 ? 0 : offset + 1, Math.floor(((offset + bytes.length) * 8) / 6));
  });
  return [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    new URLSearchParams({ v: value }).toString().slice(2),
    bytes.toString('hex'),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ];
}

interface Leak {
  canary: string;
  where: string;
}

/** Each place where a canary shows, by the canary's name; values are never part of the report. */
export function findLeaks(
  canaries: ReadonlyMap<string, string>,
  outputs: Iterable<{ where: string; text: string }>,
): Leak[] {
  const leaks: Leak[] = [];
  const wanted = [...canaries].flatMap(([canary, value]) =>
    [...new Set(formsOf(value))].map((form) => ({ canary, form })),
  );
  for (const { where, text } of outputs) {
    for (const { canary, form } of wanted) if (text.includes(form)) leaks.push({ canary, where });
  }
  return leaks;
}
