import { readEnvironment } from '../config/environment.ts';
import { CommandLineError } from '../config/errors.ts';
import { loadManagerSettings } from '../config/manager-settings.ts';
import { packageVersion } from '../config/version.ts';
import { Redactor } from '../kit/secret.ts';
import { startManager } from '../manager/manager.ts';
import { createLogger } from '../observability/logger.ts';
import { guardOutputs, onLastWords } from './outputs.ts';
import { stopSignal } from './signals.ts';

/** `servicenow-delegate manager`: the reference manager alone, until a signal. */
export async function manager(args: readonly string[]): Promise<0> {
  if (args.length > 0) {
    throw new CommandLineError(['manager takes no arguments'], 'docs/manager.md lists its settings.');
  }
  const settings = loadManagerSettings(readEnvironment());
  const redactor = new Redactor();
  const log = await createLogger({ level: settings.logLevel, format: settings.logFormat, redactor });
  onLastWords((error) => {
    log.fatal({ err: error }, 'unexpected; the process ends');
    return 1;
  });
  using _outputs = guardOutputs(redactor);
  for (const warning of settings.warnings) log.warn(warning);
  await using started = await startManager({
    host: settings.host,
    port: settings.port,
    publicUrl: settings.publicUrl,
    apiToken: settings.apiToken,
    minRetryIntervalMs: settings.minRetryIntervalMs,
    signTasks: settings.signTasks,
    version: packageVersion(),
    log,
    // At debug level, for the vendor's engineer who follows the wire. Frames hold no secrets, and still are scrubbed.
    onFrame: (direction, sessionId, text) => log.debug({ sessionId, direction, frame: text }, 'frame'),
  });
  if (settings.apiToken === undefined) {
    // The one time that it can be learnt; it is not in the log, which others keep.
    process.stderr.write(`API token for this run: ${started.apiToken.reveal()}\n`);
  }
  redactor.register(started.apiToken.reveal(), { pinned: true });
  // Before anybody can know that it is there: a signal that nobody listens for kills.
  const asked = stopSignal();
  log.info({ url: started.url, publicUrl: started.publicUrl }, 'manager ready');
  const signal = await asked;
  log.info({ signal }, 'manager stops');
  return 0;
}
