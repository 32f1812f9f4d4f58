import { readEnvironment } from '../config/environment.ts';
import { startFakeAdfs } from '../dev/fake-identity/index.ts';
import { startFakeServiceNow } from '../dev/fake-servicenow/index.ts';
import { Redactor } from '../kit/secret.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { VERSION_PATTERN } from '../protocol/version.ts';
import { runDelegate } from './run.ts';
import { stopSignal } from './signals.ts';

/** The parts of the development world, each as a process of its own, until a signal. */

export async function devServiceNow(): Promise<void> {
  await using instance = await startFakeServiceNow();
  await untilStopped({ url: instance.url, adminUrl: instance.adminUrl }, 'fake ServiceNow ready');
}

export async function devAdfs(): Promise<void> {
  await using adfs = await startFakeAdfs();
  await untilStopped({ url: adfs.url, adminUrl: adfs.adminUrl }, 'fake AD FS ready');
}

/** A delegate that says another version of itself, to show what a manager does with an old one. */
export async function devDelegate([version = '', ...args]: readonly string[]): Promise<0 | 1 | 2> {
  if (!VERSION_PATTERN.test(version)) {
    process.stderr.write('dev-delegate needs a version such as 23.06.79812 as its first argument.\n');
    return 2;
  }
  return await runDelegate(args, version);
}

async function untilStopped(addresses: Record<string, string>, message: string): Promise<void> {
  const log = await devLogger();
  log.info(addresses, message);
  await stopSignal();
}

async function devLogger(): Promise<Logger> {
  const level = readEnvironment()['DELEGATE_LOG_LEVEL'] ?? 'info';
  return await createLogger({ level, format: 'json', redactor: new Redactor() });
}
