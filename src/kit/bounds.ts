/**
 * Takes entries out, oldest first, until at most `most` are left. A map keeps the order in which keys were put in,
 * so a user who puts a key in anew moves it to the young end.
 */
export function forgetOldest<K>(entries: Map<K, unknown>, most: number): void {
  for (const oldest of entries.keys()) {
    if (entries.size <= most) return;
    entries.delete(oldest);
  }
}
