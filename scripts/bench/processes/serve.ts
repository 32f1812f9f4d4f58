import type { FromProcess } from '../messages.ts';

/**
 * Does what the bench orders, one order after the other, and ends with it.
 *
 * @param answer its value, or a promise of it
 * @param urls where it listens
 */
export function serve(answer: (order: unknown) => unknown, urls: readonly string[] = []): void {
  process.on('message', (order) => {
    void Promise.resolve(order)
      .then(answer)
      .then(
        (answered) => say({ said: 'answer', answer: answered }),
        (thrown: unknown) =>
          say({
            said: 'failed',
            why: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown),
          }),
      );
  });
  // The bench is gone: nobody is left to end what listens here.
  process.once('disconnect', () => process.exit(1));
  say({ said: 'ready', urls: [...urls] });
}

/** What the bench has handed this process at its start, as JSON in its first argument. */
export function handed(): unknown {
  return JSON.parse(process.argv[2] ?? 'null');
}

function say(message: FromProcess): void {
  process.send?.(message);
}
