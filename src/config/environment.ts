/** A snapshot of the environment, taken once: this folder is the only one that reads it. */
export function readEnvironment(): Readonly<Record<string, string | undefined>> {
  return { ...process.env };
}
