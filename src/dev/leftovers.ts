import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { systemCode } from '../kit/errors.ts';

/** Every world's folder begins so. */
const PREFIX = 'servicenow-delegate-';
/** Says whose world it is; a folder without it is somebody else's. */
const OWNER_FILE = 'world.json';

const ownerSchema = z.object({ pid: z.int().positive(), host: z.string() });

/** A new folder for a world below `parent`, which tells whose it is. */
export async function makeWorldFolder(parent: string): Promise<string> {
  const folder = await mkdtemp(join(parent, PREFIX));
  await writeFile(join(folder, OWNER_FILE), JSON.stringify({ pid: process.pid, host: hostname() }));
  return folder;
}

/**
 * Removes the folders of worlds that were killed before they could: a world's own processes end when it is gone, its
 * folder, which holds secrets of the development world, does not. One that another machine or container made in a shared
 * folder is left alone, because the process id in it says nothing here. What still stops in a swept folder has nobody
 * left to tell of it.
 */
export async function sweepLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(parent, name);
    if (await isLeftOver(folder)) await rm(folder, { recursive: true, force: true });
  }
}

async function isLeftOver(folder: string): Promise<boolean> {
  const text = await readFile(join(folder, OWNER_FILE), 'utf8').catch(() => '');
  const owner = ownerSchema.safeParse(parsed(text));
  return owner.success && owner.data.host === hostname() && !isAlive(owner.data.pid);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    // Signal 0 asks, and sends nothing.
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return systemCode(thrown) !== 'ESRCH';
  }
}
