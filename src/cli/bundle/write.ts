import { open, rm } from 'node:fs/promises';
import { writeDurably } from '../../kit/durable-file.ts';
import { reasonOf, systemCode } from '../../kit/errors.ts';
import { localError } from '../local/errors.ts';

/** For its owner alone: what is masked is no secret, and the rest is still nobody's business. */
const MODES = { mode: 0o600, folderMode: 0o700 } as const;

/** Makes the file. Rejects with `support-bundle-not-written`; then there is none, or the one from before. */
export async function writeBundle(path: string, text: string, force: boolean): Promise<void> {
  try {
    if (force) await writeDurably(path, text, MODES);
    else await writeNew(path, text);
  } catch (thrown) {
    const why = systemCode(thrown) === 'EEXIST' ? 'it is there already' : reasonOf(thrown);
    throw localError('support-bundle-not-written', `The file ${path} cannot be made: ${why}.`, {
      cause: thrown,
    });
  }
}

/** Made by us or not at all: never through a link, and never over another file. */
async function writeNew(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', MODES.mode);
  try {
    await file.writeFile(text);
  } catch (thrown) {
    await rm(path, { force: true });
    throw thrown;
  }
}
