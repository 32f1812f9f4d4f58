import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../../kit/errors.ts';
import { FILE_MODE, stateFolderUnusable } from './state-folder.ts';

/** A file, because the delegate that is to do it runs in another process and has no other door. */
const NAME = 'rotate-key';

/** The operator's wish that the delegate get a new key. */
export interface RotationRequest {
  /** Rejects with `state-folder-unusable`, and so do the others. */
  make(): Promise<void>;
  isThere(): Promise<boolean>;
  remove(): Promise<void>;
}

export function rotationRequest(stateDir: string): RotationRequest {
  const path = join(stateDir, NAME);
  return {
    async make() {
      try {
        // Never through a link that somebody has laid there for root, who may run this.
        await writeFile(path, '', { mode: FILE_MODE, flag: 'wx' });
      } catch (thrown) {
        if (systemCode(thrown) === 'EEXIST') return;
        throw stateFolderUnusable(`The file ${path} cannot be written`, thrown);
      }
    },
    async isThere() {
      try {
        await access(path);
        return true;
      } catch (thrown) {
        if (systemCode(thrown) === 'ENOENT') return false;
        throw stateFolderUnusable(`The file ${path} cannot be read`, thrown);
      }
    },
    async remove() {
      try {
        await rm(path, { force: true });
      } catch (thrown) {
        throw stateFolderUnusable(`The file ${path} cannot be removed`, thrown);
      }
    },
  };
}
