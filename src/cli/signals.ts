/** What a shell reports for a process that ended by the signal: 128 and its number. */
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 } as const;

type StopSignal = keyof typeof EXIT_CODES;

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

/**
 * By the signal itself, as if it had never been handled: `process.exit` would wait for file calls on their way to the
 * disk, and a disk that does not answer is a good reason to send a second signal. The kernel spares process 1 of a
 * container such an end, so that one is left with `process.exit`.
 */
export function endNow(signal: StopSignal): never {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  process.exit(EXIT_CODES[signal]);
}

/** Resolves at the first signal. */
export async function stopSignal(): Promise<StopSignal> {
  return await new Promise((resolve) => {
    onStopSignals(resolve);
  });
}
