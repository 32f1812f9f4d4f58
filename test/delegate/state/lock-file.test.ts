import { rmSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  createUnlessThere,
  isUnchanged,
  lookAt,
  removeIf,
  touch,
} from '../../../src/delegate/state/lock-file.ts';
import { systemCode } from '../../../src/kit/errors.ts';
import { watchedCalls } from '../../kit/write-steps.ts';
import { failureOf, rejectionOf } from '../../support/failure.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';

describe('a lock file', () => {
  const tempDir = tempDirs();
  const fileIn = async (): Promise<string> => join(await tempDir(), 'delegate.lock');

  leavesNothingOpen();

  it('is made for its owner alone, and never in the place of another', async () => {
    const path = await fileIn();
    await createUnlessThere(path, 'first');
    await createUnlessThere(path, 'second');
    expect(await readFile(path, 'utf8')).to.equal('first');
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
  });

  it('is not left half written by a disk that is full', async () => {
    const path = await fileIn();
    const full = watchedCalls((step) => {
      if (step === 'write its second half') throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    });
    expect(systemCode(await rejectionOf(createUnlessThere(path, 'a record', full)))).to.equal('ENOSPC');
    expect(await lookAt(path)).to.equal(undefined);
  });

  it('is seen to change with each touch, and with each content', async () => {
    const path = await fileIn();
    const sights = [];
    for (const change of [() => writeFile(path, 'a'), () => touch(path, 1_000), () => touch(path, 1_001)]) {
      await change();
      sights.push(await lookAt(path));
    }
    await writeFile(path, 'b');
    await touch(path, 1_001);
    sights.push(await lookAt(path));
    const again = await lookAt(path);
    for (const [index, sight] of sights.entries()) {
      if (sight === undefined || again === undefined) throw new Error('there is no file');
      expect(isUnchanged(sight, again)).to.equal(index === sights.length - 1);
    }
  });

  it('of any size is read no further than a record goes', async () => {
    const path = await fileIn();
    await writeFile(path, 'x'.repeat(1_000_000));
    expect(await lookAt(path)).to.include({ record: undefined, text: 'x'.repeat(4_096) });
  });

  it('that cannot be read makes the folder unusable', async () => {
    const path = await fileIn();
    await mkdir(path);
    expect(await failureOf(lookAt(path))).to.include({ code: 'state-folder-unusable' });
  });
});

describe('removing a lock file', () => {
  const tempDir = tempDirs();

  async function lockFile(): Promise<{ dir: string; path: string }> {
    const dir = await tempDir();
    const path = join(dir, 'delegate.lock');
    await writeFile(path, 'theirs');
    return { dir, path };
  }

  leavesNothingOpen();

  it('leaves nothing when it is the one that is meant', async () => {
    const { dir, path } = await lockFile();
    expect(await removeIf(path, ({ text }) => text === 'theirs')).to.equal(undefined);
    expect(await readdir(dir)).to.deep.equal([]);
  });

  it('is done when somebody else was quicker', async () => {
    expect(await removeIf(join(await tempDir(), 'delegate.lock'), () => true)).to.equal(undefined);
  });

  it('puts the very same file back when it is another one', async () => {
    const { dir, path } = await lockFile();
    const { ino } = await stat(path);
    expect(await removeIf(path, () => false)).to.equal(undefined);
    expect((await stat(path)).ino).to.equal(ino);
    expect(await readdir(dir)).to.deep.equal(['delegate.lock']);
  });

  it('lets a newer lock stand that was made while another file was aside', async () => {
    const { dir, path } = await lockFile();
    const meanwhile = (): boolean => {
      writeFileSync(path, 'newer');
      return false;
    };
    expect(await removeIf(path, meanwhile)).to.equal(undefined);
    expect(await readFile(path, 'utf8')).to.equal('newer');
    expect(await readdir(dir)).to.deep.equal(['delegate.lock']);
  });

  it('names the file that it could not put back', async () => {
    const { dir, path } = await lockFile();
    const vanished = (): boolean => {
      rmSync(dir, { recursive: true });
      return false;
    };
    expect(await removeIf(path, vanished)).to.include({ text: 'theirs' });
  });
});
