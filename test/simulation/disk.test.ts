import { expect } from 'chai';
import type { AppendFile, JournalFolder } from '../../src/delegate/journal/folder.ts';
import { seededRandom } from '../support/random.ts';
import { rejectionOf } from '../support/failure.ts';
import { SimulatedDisk, type Crash } from './disk.ts';
import { SimulatedProcess } from './process.ts';
import { SimulatedTime } from './time.ts';

const KILLED: Crash = { is: 'killed', flipsByte: false };
const POWER_CUT: Crash = { is: 'power-cut', flipsByte: false };
/** Longer than any call on a disk that answers. */
const A_WHILE_MS = 1_000;

describe('a simulated disk', () => {
  const time = new SimulatedTime();

  async function done<T>(work: Promise<T>): Promise<T> {
    await time.advance(A_WHILE_MS);
    return await work;
  }

  async function withFile(
    seed: number,
  ): Promise<{ disk: SimulatedDisk; folder: JournalFolder; file: AppendFile }> {
    const disk = new SimulatedDisk(time, seededRandom(seed));
    const folder = disk.folderOf(new SimulatedProcess('p', time));
    const file = await done(folder.create('a'));
    await done(folder.sync());
    return { disk, folder, file };
  }

  it('keeps what a killed process has written', async () => {
    const { disk, folder, file } = await withFile(1);
    await done(file.append(Buffer.from('written')));
    disk.crash(KILLED);
    expect((await done(folder.read('a'))).toString()).to.equal('written');
  });

  it('keeps, at a power cut, what was synced, and at most a piece of what was not', async () => {
    const kept = new Set<string>();
    for (let seed = 0; seed < 40; seed += 1) {
      const { disk, folder, file } = await withFile(seed);
      await done(file.append(Buffer.from('synced ')));
      await done(file.sync());
      await done(file.append(Buffer.from('not')));
      disk.crash(POWER_CUT);
      kept.add((await done(folder.read('a'))).toString().replaceAll('\0', '0'));
    }
    expect([...kept]).to.include.members(['synced ', 'synced n', 'synced 00']);
    for (const text of kept) expect(text).to.match(/^synced (?:n?|no|not|0*)$/);
  });

  it('may forget, at a power cut, a file whose folder was not synced', async () => {
    const left = new Set<number>();
    for (let seed = 0; seed < 20; seed += 1) {
      const disk = new SimulatedDisk(time, seededRandom(seed));
      await done(disk.folderOf(new SimulatedProcess('p', time)).create('a'));
      disk.crash(POWER_CUT);
      left.add(disk.fileCount);
    }
    expect([...left]).to.have.members([0, 1]);
  });

  it('refuses what its fault refuses, and nothing more', async () => {
    const { disk, folder, file } = await withFile(1);
    disk.fault = 'full';
    const append = rejectionOf(file.append(Buffer.from('x')));
    expect(await done(append)).to.have.property('code', 'ENOSPC');
    await done(folder.remove('a'));
    disk.fault = 'read-only';
    const create = rejectionOf(folder.create('b'));
    expect(await done(create)).to.have.property('code', 'EROFS');
    expect(await done(folder.list())).to.deep.equal([]);
  });

  it('answers nobody while it is stuck, and everybody afterwards', async () => {
    const { disk, folder } = await withFile(1);
    disk.fault = 'stuck';
    let listed: string[] | undefined;
    const list = folder.list().then((names) => (listed = names));
    await time.advance(A_WHILE_MS);
    expect(listed).to.equal(undefined);
    disk.fault = undefined;
    expect(await done(list)).to.deep.equal(['a']);
  });

  it('changes exactly one bit when a byte flips', async () => {
    const { disk, folder, file } = await withFile(1);
    await done(file.append(Buffer.alloc(100)));
    disk.crash({ is: 'killed', flipsByte: true });
    const bytes = await done(folder.read('a'));
    expect([...bytes].filter((byte) => byte !== 0)).to.have.lengthOf(1);
  });
});
