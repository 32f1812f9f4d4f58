import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { removeUnfinished, writeDurably } from '../../src/kit/durable-file.ts';
import { systemCode } from '../../src/kit/errors.ts';
import { failureOf, rejectionOf } from '../support/failure.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { watchedCalls, WRITE_STEPS, type WriteStep } from './write-steps.ts';

const WRITER = fileURLToPath(new URL('durable-file-process.ts', import.meta.url));
const MODES = { mode: 0o600, folderMode: 0o700 } as const;
const OLD = 'the old content\n'.repeat(100);
const NEW = 'the new content\n'.repeat(200);

function fault(code: string): Error {
  return Object.assign(new Error(`${code}: made by a test`), { code });
}

/** What must stand in the file when its writing ends just before this step. */
function leftBefore(step: WriteStep): string {
  return WRITE_STEPS.indexOf(step) <= WRITE_STEPS.indexOf('rename it') ? OLD : NEW;
}

describe('a durable write', () => {
  const tempDir = tempDirs();

  async function fileWithOldContent(): Promise<string> {
    const path = join(await tempDir(), 'file.json');
    await writeDurably(path, OLD, MODES);
    return path;
  }

  leavesNothingOpen();

  it('makes the file and its folders for their owner alone', async () => {
    const folder = join(await tempDir(), 'not', 'there', 'yet');
    await writeDurably(join(folder, 'file.bin'), new Uint8Array([0, 255, 10]), MODES);
    expect([...(await readFile(join(folder, 'file.bin')))]).to.deep.equal([0, 255, 10]);
    expect((await stat(join(folder, 'file.bin'))).mode & 0o777).to.equal(0o600);
    expect((await stat(folder)).mode & 0o777).to.equal(0o700);
  });

  it('replaces what was there, takes every step, and leaves nothing beside it', async () => {
    const path = await fileWithOldContent();
    const steps: WriteStep[] = [];
    await writeDurably(
      path,
      NEW,
      MODES,
      watchedCalls((step) => steps.push(step)),
    );
    expect(await readFile(path, 'utf8')).to.equal(NEW);
    expect(await readdir(join(path, '..'))).to.deep.equal(['file.json']);
    expect(steps).to.deep.equal(WRITE_STEPS);
  });

  for (const code of ['ENOSPC', 'EROFS', 'EIO']) {
    for (const step of WRITE_STEPS) {
      it(`leaves the old content or the new, and tells, when ${code} meets "${step}"`, async () => {
        const path = await fileWithOldContent();
        const calls = watchedCalls((at) => {
          if (at === step) throw fault(code);
        });
        expect(systemCode(await rejectionOf(writeDurably(path, NEW, MODES, calls)))).to.equal(code);
        expect(await readFile(path, 'utf8')).to.equal(leftBefore(step));
        expect(await readdir(join(path, '..'))).to.deep.equal(['file.json']);
      });
    }
  }

  it('leaves the old content or the new when its process is killed before any step', async () => {
    await Promise.all(
      WRITE_STEPS.map(async (step) => {
        const path = await fileWithOldContent();
        const writer = spawn(process.execPath, ['--import', 'tsx', WRITER, path, NEW, step], {
          stdio: 'inherit',
        });
        expect((await once(writer, 'exit'))[1], step).to.equal('SIGKILL');
        expect(await readFile(path, 'utf8'), step).to.equal(leftBefore(step));
        await removeUnfinished(path);
        expect(await readdir(join(path, '..')), step).to.deep.equal(['file.json']);
      }),
    );
  });

  it('is content with a file system that cannot sync a folder', async () => {
    const path = await fileWithOldContent();
    const calls = watchedCalls((at) => {
      if (at === 'sync the folder') throw fault('EINVAL');
    });
    await writeDurably(path, NEW, MODES, calls);
    expect(await readFile(path, 'utf8')).to.equal(NEW);
  });

  it('fails when another content is read back', async () => {
    const path = await fileWithOldContent();
    const calls = { ...watchedCalls(() => {}), readFile: async () => Buffer.from(NEW.slice(1)) };
    const error = await failureOf(writeDurably(path, NEW, MODES, calls));
    expect(error.code).to.equal('file-not-kept');
    expect(error.message).to.include(path);
  });
});

describe('what a killed write left', () => {
  const tempDir = tempDirs();
  leavesNothingOpen();

  it('is removed, and nothing else is', async () => {
    const folder = await tempDir();
    const others = ['file.json', 'file.json.old', 'file.jsonl.1.tmp', 'other.json.1.tmp'];
    for (const name of [...others, 'file.json.1.tmp', 'file.json.2.tmp']) {
      await writeFile(join(folder, name), name);
    }
    await removeUnfinished(join(folder, 'file.json'));
    expect((await readdir(folder)).sort()).to.deep.equal(others);
  });

  it('is nothing where there is no folder', async () => {
    await removeUnfinished(join(await tempDir(), 'nowhere', 'file.json'));
  });

  it('is told of when it cannot be removed', async () => {
    const folder = await tempDir();
    await mkdir(join(folder, 'file.json.1.tmp'));
    await rejectionOf(removeUnfinished(join(folder, 'file.json')));
  });
});
