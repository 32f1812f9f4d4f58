import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Folders of one test file, each removed after its test, or after all of them. It is tried a few times: a process that
 * is being stopped may still write.
 */
export function tempDirs(until: 'each' | 'all' = 'each'): () => Promise<string> {
  const made: string[] = [];
  (until === 'each' ? afterEach : after)(async () => {
    await Promise.all(
      made.splice(0).map((path) => rm(path, { recursive: true, force: true, maxRetries: 5 })),
    );
  });
  return async () => {
    const path = await mkdtemp(join(tmpdir(), 'delegate-test-'));
    made.push(path);
    return path;
  };
}
