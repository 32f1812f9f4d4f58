/**
 * The first SIGTERM or SIGINT asks to stop, the second ends the process at once with the shell's code for it
 * (128 + signal). Disposing takes the handlers away, so that nothing keeps an ended process alive.
 */
export function onStopSignals(stop: (signal: NodeJS.Signals) => void): Disposable {
  const codes = { SIGTERM: 143, SIGINT: 130 } as const;
  let asked = false;
  const onSignal = (signal: 'SIGTERM' | 'SIGINT'): void => {
    if (asked) process.exit(codes[signal]);
    asked = true;
    stop(signal);
  };
  const listeners = (['SIGTERM', 'SIGINT'] as const).map((signal) => {
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
export async function stopSignal(): Promise<NodeJS.Signals> {
  return await new Promise((resolve) => {
    onStopSignals(resolve);
  });
}
