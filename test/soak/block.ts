import { z } from 'zod';
import { defineTask, type DefineConnector } from '../../src/connectors/connector.ts';

/**
 * `soak.block` reads, and holds the event loop for so long, as a careless loop or a huge JSON text does. Once for
 * each key: the attempt that follows is well-behaved.
 */
export const blockConnector: DefineConnector = () => {
  const blocked = new Set<string>();
  const task = defineTask({
    name: 'soak.block',
    version: 1,
    effect: 'reads',
    input: z.object({ key: z.string(), forMs: z.number().min(0) }),
    output: z.object({ key: z.string(), blocked: z.boolean() }),
    run({ key, forMs }) {
      const isFirst = !blocked.has(key);
      blocked.add(key);
      if (isFirst) spin(forMs);
      return Promise.resolve({ key, blocked: isFirst });
    },
  });
  return { capabilities: [], tasks: [task] };
};

function spin(forMs: number): void {
  const until = performance.now() + forMs;
  while (performance.now() < until);
}
