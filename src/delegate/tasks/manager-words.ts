import type { Json, TaskAssign } from '../../protocol/messages.ts';

/**
 * Every text of a task as the manager gave it, one to a line. An answer repeats some of them: what was expected of a
 * field, a name that is unknown. A mask in place of such a repetition would tell the manager that it has guessed a
 * secret; what it has said itself is no news to it (docs/decisions/0005-redaction-by-value.md).
 *
 * @param ownWords words of this program that are left likewise
 */
export function saidIn({ taskId, name, input }: TaskAssign, ownWords: readonly string[] = []): string {
  return [taskId, name, ...textsOf(input), ...ownWords].join('\n');
}

/** Not by recursion: the codec bounds the depth, and a task may come from elsewhere. */
function* textsOf(input: Json): Generator<string> {
  const waiting: Json[] = [input];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next !== 'object') yield String(next);
    else if (Array.isArray(next)) waiting.push(...next);
    else if (next !== null) {
      yield* Object.keys(next);
      waiting.push(...Object.values(next));
    }
  }
}
