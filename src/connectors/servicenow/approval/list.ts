/**
 * The comma list of `in` and `not in`: items are trimmed; an item in double quotes keeps its spaces and commas,
 * and a doubled quote in it is one quote. A text without anything but spaces is the list of one blank item.
 *
 * A blank item among others must be written `""`: after a slip such as `Implement,` every ticket whose field is
 * not yet set would otherwise be approved.
 */
export function parseList(text: string): { items: string[] } | { problem: string } {
  if (text.trim() === '') return { items: [''] };
  const items: string[] = [];
  // Sticky: each match begins where the last ended, so the whole text is passed once.
  const plain = /\s*([^",\s][^,]*|)(,|$)/y;
  const inQuotes = /\s*"((?:[^"]|"")*)"\s*(,|$)/y;
  for (let offset = 0, more = true; more;) {
    inQuotes.lastIndex = offset;
    plain.lastIndex = offset;
    const quoted = inQuotes.exec(text);
    const match = quoted ?? plain.exec(text);
    const position = items.length + 1;
    if (match === null) {
      return {
        problem: `item ${position} begins with a quote that is not closed right before a comma or the end`,
      };
    }
    const [whole, item = '', separator] = match;
    if (quoted === null && item === '') {
      return { problem: `item ${position} is blank; write "" if a blank field is meant` };
    }
    items.push(quoted === null ? item.trim() : item.replaceAll('""', '"'));
    offset += whole.length;
    more = separator === ',';
  }
  return { items };
}
