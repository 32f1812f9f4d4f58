import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../kit/durable-file.ts';
import { systemCode } from '../../kit/errors.ts';

/** For the delegate's own user alone: who asked for what is nobody else's business. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** All that the audit log asks of a disk: few calls, so that a test can give it one that fills up, tears and stalls. */
export interface AuditFolder {
  /** None if there is no such folder yet. */
  list(): Promise<readonly ListedFile[]>;
  read(name: string): Promise<Buffer>;
  /** To append to; made if there is none. */
  append(name: string): Promise<AppendFile>;
  /** From `at` on, the file is to hold these bytes and nothing else; made if there is none. */
  rewrite(name: string, at: number, bytes: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  /** Makes what was created and removed survive a power cut. */
  sync(): Promise<void>;
}

export interface ListedFile {
  readonly name: string;
  readonly bytes: number;
}

export interface AppendFile {
  /** Resolves when all of it is written; after a rejection any part of it may be. */
  append(bytes: Uint8Array): Promise<void>;
  /** Makes what the file holds survive a power cut. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Below the state folder. */
export function auditFolderOf(stateDir: string): string {
  return join(stateDir, 'audit');
}

/** A folder of the file system; made when the first file is. */
export function auditFolder(path: string): AuditFolder {
  const make = async (): Promise<void> => void (await mkdir(path, { recursive: true, mode: FOLDER_MODE }));
  return {
    async list() {
      const names = (await ifThere(readdir(path))) ?? [];
      const files = await Promise.all(
        names.map(async (name) => {
          const found = await ifThere(stat(join(path, name)));
          return found === undefined ? [] : [{ name, bytes: found.size }];
        }),
      );
      return files.flat();
    },
    read: (name) => readFile(join(path, name)),
    async append(name) {
      await make();
      return appendFile(await open(join(path, name), APPEND, FILE_MODE));
    },
    async rewrite(name, at, bytes) {
      await make();
      await using file = await open(join(path, name), REWRITE, FILE_MODE);
      let written = 0;
      while (written < bytes.length) {
        const step = await file.write(bytes, written, bytes.length - written, at + written);
        written += step.bytesWritten;
      }
      await file.truncate(at + bytes.length);
    },
    remove: (name) => rm(join(path, name), { force: true }),
    sync: () => syncFolder(path),
  };
}

/** A reader beside a running delegate may come when a file has just gone. */
async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** Through no link: it could lead out of the folder, to a file that somebody wants destroyed. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
const REWRITE = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

function appendFile(handle: FileHandle): AppendFile {
  return {
    append: (bytes) => handle.writeFile(bytes),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
