import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MAIN_NAME } from '../delegate/state/identity-file.ts';
import { systemCode } from '../kit/errors.ts';
import { PINS_FILE } from '../policy/pins.ts';

type LookAt = (path: string) => Promise<{ readonly uid: number }>;

/**
 * What keeps this user from writing where the delegate is to read: a mistyped folder would be made, and a file of
 * another user's would be one that the delegate can't read. The folder's own owner says nothing: a volume is often
 * root's, and the delegate's by its group.
 *
 * @returns a complaint; undefined: nothing does
 */
export async function strangerTo(
  stateDir: string,
  userId: number | undefined = process.getuid?.(),
  lookAt: LookAt = stat,
): Promise<string | undefined> {
  const ownerOf = async (path: string): Promise<number | undefined> => {
    try {
      return (await lookAt(path)).uid;
    } catch (thrown) {
      if (systemCode(thrown) === 'ENOENT') return undefined;
      throw thrown;
    }
  };
  try {
    if ((await ownerOf(stateDir)) === undefined) {
      return 'stateDir (DELEGATE_STATE_DIR): there is no such folder';
    }
    const delegate = (await ownerOf(join(stateDir, PINS_FILE))) ?? (await ownerOf(join(stateDir, MAIN_NAME)));
    if (delegate === undefined || delegate === userId) return undefined;
    return `run this as the user of the delegate, who owns what is in its state folder (user id ${delegate})`;
  } catch (thrown) {
    if (systemCode(thrown) !== 'EACCES') throw thrown;
    return 'run this as the user of the delegate: this one may not look into its state folder';
  }
}
