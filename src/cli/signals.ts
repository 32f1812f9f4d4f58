import { endNow, type StopSignal } from './ending.ts';

/**
 * The first SIGTERM, SIGINT or SIGHUP asks to stop, the second ends the process at once. A process of the
 * development world is asked, too, when the one that started it is gone. Disposing takes the handlers away, so that
 * a later signal acts as usual.
 */
export function onStopSignals(stop: (signal: StopSignal) => void): Disposable {
  let asked = false;
  const onSignal = (signal: StopSignal): void => {
    if (asked) endNow(signal);
    asked = true;
    stop(signal);
  };
  const listeners = (['SIGTERM', 'SIGINT', 'SIGHUP'] as const).map((signal) => {
    const listener = (): void => onSignal(signal);
    process.on(signal, listener);
    return { signal, listener };
  });
  // There is a channel only if the parent made one; it must not keep the process alive.
  const onParentGone = (): void => onSignal('SIGHUP');
  process.once('disconnect', onParentGone);
  process.channel?.unref();
  return {
    [Symbol.dispose]() {
      process.off('disconnect', onParentGone);
      for (const { signal, listener } of listeners) process.off(signal, listener);
    },
  };
}

/** Resolves at the first signal. */
export async function stopSignal(): Promise<StopSignal> {
  return await new Promise((resolve) => {
    onStopSignals(resolve);
  });
}
