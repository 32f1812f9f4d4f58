import { systemCode } from '../../kit/errors.ts';
import { linesOf, readLine, type AuditRecord } from './chain.ts';
import type { AuditFolder } from './folder.ts';
import { listSegments } from './segments.ts';

/**
 * Every record, oldest first, with its line; undefined for a line that is none. It judges no record: see
 * `verifyAuditLog`. A line that is being written is left out, and so is a file that the running delegate has removed.
 */
export async function* recordsIn(
  folder: AuditFolder,
): AsyncGenerator<{ readonly record: AuditRecord; readonly text: string } | undefined> {
  for (const { name } of await listSegments(folder)) {
    const bytes = await readIfThere(folder, name);
    for (const line of linesOf(bytes ?? Buffer.alloc(0)).lines) {
      const read = readLine(line);
      yield read && { record: read.record, text: line.toString('utf8') };
    }
  }
}

/** Undefined if there is no such file any more. */
export async function readIfThere(folder: AuditFolder, name: string): Promise<Buffer | undefined> {
  try {
    return await folder.read(name);
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
