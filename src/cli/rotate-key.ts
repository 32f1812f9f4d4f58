import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readEnvironment } from '../config/environment.ts';
import { ConfigurationError } from '../config/load.ts';
import { loadLocalConfiguration } from '../config/local.ts';
import { MAIN_NAME } from '../delegate/state/identity-file.ts';
import { rotationRequest } from '../delegate/state/rotation-request.ts';
import { strangerTo } from './state-folder-user.ts';

const HINT = 'servicenow-delegate rotate-key --help shows what it takes, with examples.';

/** `servicenow-delegate rotate-key`: asks the delegate of this state folder, which runs or will, for a new key. */
export async function rotateKey(args: readonly string[]): Promise<0> {
  // Settings are read for commands with an operand: here that is the command's own name.
  const sources = { args: ['rotate-key', ...args], environment: readEnvironment() };
  const loaded = loadLocalConfiguration(sources, { flags: {}, operand: 'rotate-key' }, HINT);
  for (const warning of loaded.warnings) process.stderr.write(`${warning}\n`);
  const { stateDir } = loaded.configuration;
  const complaint = await strangerTo(stateDir);
  if (complaint !== undefined) throw new ConfigurationError([complaint], HINT);
  if (!existsSync(join(stateDir, MAIN_NAME))) {
    throw new ConfigurationError(['stateDir (DELEGATE_STATE_DIR): no delegate has its identity there'], HINT);
  }
  await rotationRequest(stateDir).make();
  process.stdout.write(
    'Asked for. The delegate gets a new key with its next connection, or within the hour; its log says when.\n',
  );
  return 0;
}
