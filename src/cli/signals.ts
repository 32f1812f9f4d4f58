/** What a shell reports for a process that ended by the signal: 128 and its number. */
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 } as const;

type StopSignal = keyof typeof EXIT_CODES;

/**
 * The first SIGTERM, SIGINT or SIGHUP asks to stop, the second ends the process at once. Disposing takes the
 * handlers away, so that nothing keeps an ended process alive.
 */
export function onStopSignals(stop: (signal: StopSignal) => void): Disposable {
  let asked = false;
  const onSignal = (signal: StopSignal): void => {
    if (asked) process.exit(EXIT_CODES[signal]);
    asked = true;
    stop(signal);
  };
  const listeners = (['SIGTERM', 'SIGINT', 'SIGHUP'] as const).map((signal) => {
    const listener = (): void => onSignal(signal);
    process.on(signal, listener);
    return { signal, listener };
  });
  return {
    [Symbol.dispose]() {
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
