import { setTimeout as pause } from 'node:timers/promises';
import { healthRoutes } from '../../src/observability/health.ts';
import { servePages } from '../../src/observability/http.ts';
import { LoopDelay } from '../../src/observability/loop-delay.ts';

/**
 * The health endpoints in a process of their own, whose event loop the test may have blocked: told `block`, it works for
 * longer than a turn may take, turn after turn, until it is told `rest`.
 */

/** Scaled down from 5 s and 1 s. */
const WINDOW_MS = 100;
const BLOCKED_FROM_MS = 50;
const BLOCK_MS = 150;

const loopDelay = new LoopDelay({ windowMs: WINDOW_MS, blockedFromMs: BLOCKED_FROM_MS });
const server = await servePages({
  host: '127.0.0.1',
  port: 0,
  routes: healthRoutes({ readiness: () => ({ ready: true, phase: 'ready', checks: [] }), loopDelay }),
  onFailure: (error) => {
    throw error;
  },
});
loopDelay.begin();

const work = { isHard: false };

function block(): void {
  const end = performance.now() + BLOCK_MS;
  while (performance.now() < end);
}

process.on('message', (order) => {
  work.isHard = order === 'block';
});
process.once('disconnect', () => process.exit(0));
process.send?.({ url: server.url });
for (;;) {
  if (work.isHard) block();
  // A turn, in which a probe is answered, and hardly more.
  await pause(work.isHard ? 0 : WINDOW_MS);
}
