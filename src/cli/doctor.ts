import { readEnvironment } from '../config/environment.ts';
import { CommandLineError } from '../config/errors.ts';
import { readFlags } from '../config/flags.ts';
import { packageVersion } from '../config/version.ts';
import { Redactor } from '../kit/secret.ts';
import { systemClock, toTimestamp } from '../kit/time.ts';
import { createLogger } from '../observability/logger.ts';
import { DEFAULT_TIMEOUT_S, DOCTOR_COMMAND, examine } from './doctor/examine.ts';
import { doctorReport, worstOf } from './doctor/report.ts';
import { exitCodeOf } from './doctor/run-checks.ts';
import { endSoon } from './ending.ts';
import { guardCommand } from './outputs.ts';
import { hintOf } from './pages/page.ts';
import { jsonText, terminalOf } from './report/layout.ts';
import { ProgressLine } from './report/progress.ts';
import { onStopSignals } from './signals.ts';

const CRASHED = 1;

/**
 * `servicenow-delegate doctor [CONNECTOR FILE…] [--long] [--timeout SECONDS] [--json]`: looks at all that a delegate with
 * these settings needs, and says what to do. 0 nothing failed · 1 something did · 2 the settings or the policy are wrong.
 */
export async function doctor(args: readonly string[]): Promise<0 | 1 | 2> {
  const redactor = new Redactor();
  using progress = new ProgressLine();
  using _outputs = guardCommand(
    redactor,
    () => CRASHED,
    () => progress.clear(),
  );
  const stop = new AbortController();
  using _signals = onStopSignals((signal) => stop.abort(new Error(`stopped by ${signal}`)));
  const environment = readEnvironment();
  const complaints: string[] = [];
  const { own: flags } = readFlags(args, complaints, DOCTOR_COMMAND);
  if (complaints.length > 0) throw new CommandLineError(complaints, hintOf('doctor'));
  const clock = systemClock;
  const startedMs = clock.monotonic();
  try {
    const results = await examine({
      sources: { args, environment },
      command: DOCTOR_COMMAND,
      version: packageVersion(),
      redactor,
      clock,
      // What there is to say is in the report.
      log: await createLogger({ level: 'silent', format: 'json', redactor, destination: process.stderr }),
      signal: stop.signal,
      long: flags.has('long'),
      withinMs: Number(flags.get('timeout') ?? DEFAULT_TIMEOUT_S) * 1_000,
      onProgress: (open, total) => {
        if (open.length === 0) return;
        const done = total - open.length;
        progress.show(redactor.scrub(`${done} of ${total} checks done; waiting for ${open.join(', ')}`));
      },
    });
    progress.clear();
    const durationMs = Math.round(clock.monotonic() - startedMs);
    const text = flags.has('json')
      ? jsonText({
          status: worstOf(results),
          version: packageVersion(),
          checkedAt: toTimestamp(clock.now()),
          durationMs,
          checks: results,
        })
      : doctorReport(results, terminalOf(process.stdout));
    process.stdout.write(text);
    return exitCodeOf(results);
  } finally {
    endSoon();
  }
}
