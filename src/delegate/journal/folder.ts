import { mkdir, open, readdir, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../kit/durable-file.ts';
import { systemCode } from '../../kit/errors.ts';
import { FILE_MODE, FOLDER_MODE } from '../state/state-folder.ts';

/** All that the journal asks of a disk: few calls, so that a test can give it one that tears, fills up and forgets. */
export interface JournalFolder {
  /** Names of what is in it, in no order; none if there is no such folder yet. */
  list(): Promise<string[]>;
  read(name: string): Promise<Buffer>;
  /** Fails if the name is taken. */
  create(name: string): Promise<AppendFile>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Makes what was created, renamed and removed survive a power cut. */
  sync(): Promise<void>;
}

export interface AppendFile {
  /** Resolves when all of it is written; after a rejection any part of it may be. */
  append(bytes: Uint8Array): Promise<void>;
  /** Makes what was appended survive a power cut. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A folder of the file system; made when the first file is. */
export function journalFolder(path: string): JournalFolder {
  return {
    async list() {
      try {
        return await readdir(path);
      } catch (thrown) {
        if (systemCode(thrown) === 'ENOENT') return [];
        throw thrown;
      }
    },
    read: (name) => readFile(join(path, name)),
    async create(name) {
      await mkdir(path, { recursive: true, mode: FOLDER_MODE });
      return appendFile(await open(join(path, name), 'ax', FILE_MODE));
    },
    rename: (from, to) => rename(join(path, from), join(path, to)),
    remove: (name) => rm(join(path, name), { force: true }),
    sync: () => syncFolder(path),
  };
}

function appendFile(handle: FileHandle): AppendFile {
  return {
    append: (bytes) => handle.writeFile(bytes),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
