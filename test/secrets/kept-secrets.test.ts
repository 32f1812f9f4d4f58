import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Redactor, Secret } from '../../src/kit/secret.ts';
import { createKeptSecrets, type KeptSecrets } from '../../src/secrets/kept-secrets.ts';
import { failureOf } from '../support/failure.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const NAME = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const TOKEN = 'refresh-token-of-the-customer';

describe('kept secrets', () => {
  const directory = tempDirs();
  leavesNothingOpen();
  let folder: string;
  let key: Buffer;
  let told: string[];
  let redactor: Redactor;
  let kept: KeptSecrets;

  const open = (withKey = key): KeptSecrets =>
    createKeptSecrets({
      folder,
      key: () => Promise.resolve(withKey),
      protect: (value) => redactor.register(value),
      log: { info: () => {}, warn: (_fields, message) => told.push(message) },
    });
  const valueOf = async (name = NAME, store = kept): Promise<string | undefined> =>
    (await store.read(name))?.reveal();

  beforeEach(async () => {
    folder = join(await directory(), 'state', 'kept');
    key = randomBytes(32);
    told = [];
    redactor = new Redactor();
    kept = open();
  });

  it('are there again at the next start, and scrubbed from every text', async () => {
    await kept.keep(NAME, new Secret(TOKEN));
    expect(await valueOf(NAME, open())).to.equal(TOKEN);
    expect(redactor.scrub(`sent ${TOKEN}`)).to.equal('sent [secret]');
    await kept.keep(NAME, new Secret('a-newer-one'));
    expect(await valueOf(NAME, open())).to.equal('a-newer-one');
    expect(await readdir(folder)).to.deep.equal([NAME]);
  });

  it('are encrypted, for this user alone, and never the same bytes twice', async () => {
    await kept.keep(NAME, new Secret(TOKEN));
    const first = await readFile(join(folder, NAME));
    expect(first.includes(TOKEN)).to.equal(false);
    expect((await stat(join(folder, NAME))).mode & 0o777).to.equal(0o600);
    expect((await stat(folder)).mode & 0o777).to.equal(0o700);
    await kept.keep(NAME, new Secret(TOKEN));
    expect((await readFile(join(folder, NAME))).equals(first)).to.equal(false);
  });

  it('that are not there are nothing to complain of, and need no key', async () => {
    const store = createKeptSecrets({
      folder,
      key: () => Promise.reject(new Error('no identity')),
      protect: (value) => new Secret(value),
      log: { info: () => {}, warn: (_fields, message) => told.push(message) },
    });
    expect(await store.read(NAME)).to.equal(undefined);
    await store.forget(NAME);
    expect(told).to.deep.equal([]);
  });

  it('that were forgotten are gone', async () => {
    await kept.keep(NAME, new Secret(TOKEN));
    await kept.keep(OTHER, new Secret('other'));
    await kept.forget(NAME);
    expect(await valueOf()).to.equal(undefined);
    expect(await valueOf(OTHER)).to.equal('other');
  });

  it('of another key are not taken for absent, and are found again when the key is back', async () => {
    await kept.keep(NAME, new Secret(TOKEN));
    const error = await failureOf(open(randomBytes(32)).read(NAME));
    expect(error).to.include({ code: 'kept-secret-unreadable', category: 'secret' });
    expect(error).to.have.property('hint').that.contains('DELEGATE_STATE_KEY');
    expect(await valueOf()).to.equal(TOKEN);
  });

  it('that were renamed are not taken for those of another connector', async () => {
    await kept.keep(NAME, new Secret(TOKEN));
    await rename(join(folder, NAME), join(folder, OTHER));
    expect(await failureOf(kept.read(OTHER))).to.include({ code: 'kept-secret-unreadable' });
  });

  it('of which one bit has changed, or the end is missing, are not used', async () => {
    await kept.keep(NAME, new Secret(TOKEN));
    const bytes = await readFile(join(folder, NAME));
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      for (const damaged of [changed, bytes.subarray(0, at)]) {
        await writeFile(join(folder, NAME), damaged);
        expect((await failureOf(kept.read(NAME))).code, `byte ${at}`).to.equal('kept-secret-unreadable');
      }
    }
  });

  it('that can not be read are not taken for absent', async () => {
    await mkdir(join(folder, NAME), { recursive: true });
    expect(await failureOf(kept.read(NAME))).to.include({ code: 'kept-secret-unreadable' });
  });

  it('that can not be written are refused, and the log says why', async () => {
    await mkdir(join(folder, '..'), { recursive: true });
    await writeFile(folder, 'a file in the place of the folder');
    const error = await failureOf(kept.keep(NAME, new Secret(TOKEN)));
    expect(error).to.include({ code: 'secret-not-kept', category: 'secret' });
    expect(told).to.have.length(1);
    await kept.forget(NAME);
  });

  for (const [clockOfTheOthers, firstS] of [
    ['right', 1_000],
    ['ahead', Date.now() / 1_000 + 86_400],
  ] as const) {
    it(`are at most 500; the one not renewed for the longest time goes, the clock of the others ${clockOfTheOthers}`, async () => {
      await mkdir(folder, { recursive: true });
      for (let index = 0; index < 500; index += 1) {
        const path = join(folder, index.toString(16).padStart(64, '0'));
        await writeFile(path, '');
        await utimes(path, firstS + index, firstS + index);
      }
      await kept.keep(NAME, new Secret(TOKEN));
      const names = await readdir(folder);
      expect(names).to.have.length(500);
      expect(names).to.include(NAME);
      expect(names).not.to.include('0'.repeat(64));
    });
  }

  it('have names that are hashes, and nothing else becomes a path', async () => {
    for (const name of ['', '../identity.json', 'A'.repeat(64), `${NAME}x`]) {
      await kept.read(name).then(
        () => expect.fail('it was read'),
        (error: unknown) => expect(error).to.be.instanceOf(TypeError),
      );
    }
  });

  it('in a folder that was made too open stay closed themselves', async () => {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
    await kept.keep(NAME, new Secret(TOKEN));
    expect((await stat(join(folder, NAME))).mode & 0o777).to.equal(0o600);
  });
});
