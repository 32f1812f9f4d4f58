import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readEnvironment } from '../config/environment.ts';
import { ConfigurationError } from '../config/load.ts';
import { loadLocalConfiguration } from '../config/local.ts';
import { MAIN_NAME } from '../delegate/state/identity-file.ts';
import { rotationRequest } from '../delegate/state/rotation-request.ts';
import { complain } from './complaint.ts';
import { hintOf } from './pages/page.ts';
import { strangerTo } from './state-folder-user.ts';

const HINT = hintOf('rotate-key');

/** `servicenow-delegate rotate-key`: asks the delegate of this state folder, which runs or will, for a new key. */
export async function rotateKey(args: readonly string[]): Promise<0> {
  const sources = { args, environment: readEnvironment() };
  const loaded = loadLocalConfiguration(sources, { flags: {} }, HINT);
  for (const warning of loaded.warnings) complain({ message: warning });
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
