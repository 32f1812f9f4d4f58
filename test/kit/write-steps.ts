import { mkdir, open, readFile, rename, type FileHandle } from 'node:fs/promises';
import type { FileCalls } from '../../src/kit/durable-file.ts';

/** Every step of one durable write, in its order. */
export const WRITE_STEPS = [
  'make the folder',
  'open the temporary file',
  'write its first half',
  'write its second half',
  'sync it',
  'close it',
  'rename it',
  'open the folder',
  'sync the folder',
  'read back',
] as const;

export type WriteStep = (typeof WRITE_STEPS)[number];

/** Real calls; `onStep` is called before each step and may throw in its place. */
export function watchedCalls(onStep: (step: WriteStep) => void): FileCalls {
  return {
    mkdir: async (path, options) => {
      onStep('make the folder');
      return await mkdir(path, options);
    },
    open: async (path, flags, mode) => {
      if (flags === 'r') {
        onStep('open the folder');
        return handleWith(await open(path, flags), { sync: () => onStep('sync the folder') });
      }
      onStep('open the temporary file');
      const handle = await open(path, flags, mode);
      return handleWith(handle, {
        writeFile: async (content) => {
          onStep('write its first half');
          const bytes = typeof content === 'string' ? Buffer.from(content) : content;
          if (!(bytes instanceof Uint8Array)) throw new TypeError('neither text nor bytes');
          const half = Math.floor(bytes.length / 2);
          await handle.write(bytes.subarray(0, half));
          onStep('write its second half');
          await handle.write(bytes.subarray(half));
        },
        sync: () => onStep('sync it'),
        [Symbol.asyncDispose]: async () => {
          try {
            onStep('close it');
          } catch (thrown) {
            // A close that fails has still given the descriptor free.
            await handle.close();
            throw thrown;
          }
        },
      });
    },
    rename: async (from, to) => {
      onStep('rename it');
      await rename(from, to);
    },
    readFile: async (path) => {
      onStep('read back');
      return await readFile(path);
    },
  };
}

type Before = (...args: readonly unknown[]) => void | Promise<void>;

/** Runs what is given before the method of that name; in place of it, for `writeFile`. */
function handleWith(handle: FileHandle, before: Readonly<Record<PropertyKey, Before>>): FileHandle {
  return new Proxy(handle, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name, target);
      if (typeof method !== 'function') return method;
      return async (...args: readonly unknown[]): Promise<unknown> => {
        await before[name]?.(...args);
        return name === 'writeFile' ? undefined : await Reflect.apply(method, target, args);
      };
    },
  });
}
