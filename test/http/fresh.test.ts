import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Fresh, LOOK_EVERY_MS } from '../../src/http/fresh.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { failureOf } from '../support/failure.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

describe('a value made from files', () => {
  const directory = tempDirs();
  let clock: ManualClock;
  let path: string;
  let told: { level: string; fields: Record<string, unknown> }[];

  beforeEach(async () => {
    clock = new ManualClock();
    path = join(await directory(), 'value');
    told = [];
    await writeFile(path, 'one');
  });

  leavesNothingOpen();

  function fresh(...paths: string[]): Fresh<string> {
    return new Fresh({
      what: 'The value',
      paths: paths.length === 0 ? [path] : paths,
      make: (contents) => {
        if (contents.includes('bad')) throw new Error('it is bad');
        return contents.join('+');
      },
      clock,
      log: {
        info: (fields) => void told.push({ level: 'info', fields }),
        error: (fields) => void told.push({ level: 'error', fields }),
      },
    });
  }

  it('is the one of a changed file a second later, and not looked at before', async () => {
    const value = fresh();
    expect(await value.current()).to.equal('one');
    await writeFile(path, 'two, longer');
    expect(await value.current()).to.equal('one');
    await clock.advance(LOOK_EVERY_MS);
    expect(await value.current()).to.equal('two, longer');
    expect(told.map(({ level }) => level)).to.deep.equal(['info']);
  });

  it('is looked at in between for somebody who asks for it as it is now', async () => {
    const value = fresh();
    await value.current();
    await writeFile(path, 'two, longer');
    expect(await value.current({ now: true })).to.equal('two, longer');
  });

  it('is taken up when Kubernetes swaps its links', async () => {
    const mount = await directory();
    await mkdir(join(mount, '..1'));
    await mkdir(join(mount, '..2'));
    await writeFile(join(mount, '..1', 'key'), 'aaa');
    await writeFile(join(mount, '..2', 'key'), 'bbb');
    await symlink('..1', join(mount, '..data'));
    await symlink(join('..data', 'key'), join(mount, 'key'));
    const value = fresh(join(mount, 'key'));
    expect(await value.current()).to.equal('aaa');
    await symlink('..2', join(mount, '..data_tmp'));
    await rename(join(mount, '..data_tmp'), join(mount, '..data'));
    await clock.advance(LOOK_EVERY_MS);
    expect(await value.current()).to.equal('bbb');
  });

  for (const [what, spoil, why] of [
    ['cannot be used', () => writeFile(path, 'bad'), 'it is bad'],
    ['is gone', () => rm(path), 'ENOENT'],
    ['is a folder', () => rm(path).then(() => mkdir(path)), 'EISDIR'],
    ['is too large', () => writeFile(path, Buffer.alloc(4 * 1_048_576 + 1)), 'too large'],
  ] as const) {
    it(`stays the last good one when the file ${what}, which is told once, and recovers`, async () => {
      const value = fresh();
      await value.current();
      await spoil();
      for (let look = 0; look < 3; look += 1) {
        await clock.advance(LOOK_EVERY_MS);
        expect(await value.current()).to.equal('one');
      }
      expect(told).to.have.length(1);
      const failure = told[0]?.fields['err'];
      if (!(failure instanceof DelegateError)) throw new TypeError('it is told with a code');
      expect(failure.code).to.equal('network.file-unusable');
      expect(failure.message).to.contain(why);
      await rm(path, { recursive: true, force: true });
      await writeFile(path, 'three');
      await clock.advance(LOOK_EVERY_MS);
      expect(await value.current()).to.equal('three');
    });
  }

  it('that was never good fails with what is wrong, and is asked again', async () => {
    await writeFile(path, 'bad');
    const value = fresh();
    expect(await failureOf(value.current())).to.include({ code: 'network.file-unusable' });
    expect(await failureOf(value.current())).to.include({ code: 'network.file-unusable' });
    await writeFile(path, 'good');
    await clock.advance(LOOK_EVERY_MS);
    expect(await value.current()).to.equal('good');
  });

  it('is one look for all who ask at the same time', async () => {
    const value = fresh();
    await writeFile(path, 'two');
    const all = await Promise.all([value.current(), value.current(), value.current({ now: true })]);
    expect(all).to.deep.equal(['two', 'two', 'two']);
    expect(told).to.deep.equal([]);
  });
});
