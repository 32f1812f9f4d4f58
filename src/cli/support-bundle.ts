import { resolve } from 'node:path';
import { readEnvironment } from '../config/environment.ts';
import { CommandLineError } from '../config/errors.ts';
import { readFlags, type CommandFlags } from '../config/flags.ts';
import { ConfigurationError, loadConfiguration, type LoadedConfiguration } from '../config/load.ts';
import { packageVersion } from '../config/version.ts';
import { reasonOf } from '../kit/errors.ts';
import { untilAborted } from '../kit/flow.ts';
import { systemClock, toTimestamp } from '../kit/time.ts';
import { createLogger } from '../observability/logger.ts';
import { KnownSecrets } from './bundle/known-secrets.ts';
import {
  aboutSection,
  auditSection,
  doctorSection,
  environmentSection,
  folderSection,
  logSection,
  policySection,
  settingsSection,
  statusSection,
} from './bundle/sections.ts';
import { protectAll, protectEnvironment } from './bundle/secrets-here.ts';
import { bundleText, type Section } from './bundle/text.ts';
import { writeBundle } from './bundle/write.ts';
import { DEFAULT_TIMEOUT_S, examine } from './doctor/examine.ts';
import { endSoon } from './ending.ts';
import { localError } from './local/errors.ts';
import { guardCommand } from './outputs.ts';
import { OPERATING } from './pages/operating.ts';
import { flagKinds, hintOf } from './pages/page.ts';
import { printable } from './report/layout.ts';
import { ProgressLine } from './report/progress.ts';
import { onStopSignals } from './signals.ts';
import { orWrongUsage } from './usage.ts';

const WRITTEN = 0;
const REFUSED = 1;

const STANDARD_OUTPUT = '-';

const COMMAND: CommandFlags = { flags: flagKinds(OPERATING['support-bundle']) };

/**
 * `servicenow-delegate support-bundle [--output FILE|-] [--force] [--log FILE]`: 0 written · 1 refused, because something
 * in it could be read that must not be · 2 the command line is wrong, or the file cannot be made.
 *
 * @param redactor another one only in a test, which breaks it
 */
export async function supportBundle(
  args: readonly string[],
  redactor: KnownSecrets = new KnownSecrets(),
): Promise<number> {
  using progress = new ProgressLine();
  using _outputs = guardCommand(
    redactor,
    () => REFUSED,
    () => progress.clear(),
  );
  const stop = new AbortController();
  using _signals = onStopSignals((signal) => stop.abort(new Error(`stopped by ${signal}`)));
  try {
    return await orWrongUsage(async () => {
      const complaints: string[] = [];
      const { own: flags } = readFlags(args, complaints, COMMAND);
      if (complaints.length > 0) throw new CommandLineError(complaints, hintOf('support-bundle'));
      progress.show('looking at this machine');
      const text = await textOf({ args, redactor, log: flags.get('log'), signal: stop.signal });
      progress.clear();
      const path = flags.get('output') ?? defaultName();
      if (path === STANDARD_OUTPUT) {
        process.stdout.write(text);
      } else {
        await writeBundle(path, text, flags.has('force'));
        process.stdout.write(`${printable(resolve(path))} was written. Read it before you send it.\n`);
      }
      return WRITTEN;
    });
  } finally {
    endSoon();
  }
}

interface Wanted {
  readonly args: readonly string[];
  readonly redactor: KnownSecrets;
  readonly log: string | undefined;
  readonly signal: AbortSignal;
}

async function textOf({ args, redactor, log: logFile, signal }: Wanted): Promise<string> {
  const environment = readEnvironment();
  const sources = { args, environment };
  const clock = systemClock;
  const version = packageVersion();
  const withinMs = DEFAULT_TIMEOUT_S * 1_000;
  const log = await createLogger({ level: 'silent', format: 'json', redactor, destination: process.stderr });
  const surroundings = { environment, version, redactor, clock, log, signal };
  protectEnvironment(environment, redactor);
  const loaded = loadedOrNot(sources);
  if (loaded !== undefined) {
    const ending = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
    await untilAborted(protectAll(loaded, { ...surroundings, signal: ending }), ending).catch(
      (thrown: unknown) => {
        signal.throwIfAborted();
        if (!ending.aborted) throw thrown;
        throw localError('support-bundle-unsafe', NOT_LOOKED_UP, {
          hint: 'Find the disk that does not answer; servicenow-delegate doctor says more.',
          cause: thrown,
        });
      },
    );
  }
  const results = await examine({ ...surroundings, sources, command: COMMAND, long: false, withinMs });
  const ofSettings =
    loaded === undefined
      ? []
      : [
          await statusSection(loaded.configuration, signal),
          policySection(loaded.configuration, clock),
          ...(await Promise.all([
            inTime('State folder', folderSection(loaded.configuration), withinMs, signal),
            inTime('Audit log', auditSection(loaded.configuration), withinMs, signal),
          ])),
        ];
  return bundleText(
    [
      aboutSection(version, clock),
      settingsSection(sources, COMMAND),
      doctorSection(results),
      ...ofSettings,
      environmentSection(environment),
      ...(logFile === undefined ? [] : [await logOf(logFile)]),
    ],
    redactor,
  );
}

const NOT_LOOKED_UP =
  'The support bundle was not written: the secrets that are to be masked could not be looked up in time.';

/** A disk that hangs keeps its own part out of the bundle, and not the bundle from being made. */
async function inTime(
  title: string,
  section: Promise<Section>,
  withinMs: number,
  signal: AbortSignal,
): Promise<Section> {
  const ending = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
  try {
    return await untilAborted(section, ending);
  } catch (thrown) {
    signal.throwIfAborted();
    if (!ending.aborted) throw thrown;
    return { title, about: 'It is not here.', text: `It could not be read within ${withinMs / 1_000} s.` };
  }
}

/** A bundle is wanted above all when something is wrong: with the settings, for one. */
function loadedOrNot(sources: Parameters<typeof loadConfiguration>[0]): LoadedConfiguration | undefined {
  try {
    return loadConfiguration(sources, { command: COMMAND });
  } catch (thrown) {
    if (thrown instanceof ConfigurationError) return undefined;
    throw thrown;
  }
}

async function logOf(path: string): ReturnType<typeof logSection> {
  try {
    return await logSection(path);
  } catch (thrown) {
    throw new CommandLineError(
      [`--log: the file cannot be read (${reasonOf(thrown)})`],
      hintOf('support-bundle'),
    );
  }
}

function defaultName(): string {
  return `servicenow-delegate-support-${toTimestamp(systemClock.now()).replace(/\.\d+/, '').replaceAll(':', '-')}.txt`;
}
