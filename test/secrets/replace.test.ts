import { mkdir, readdir, readFile, stat, symlink, writeFile, chmod, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Secret } from '../../src/kit/secret.ts';
import { createSecrets } from '../../src/secrets/index.ts';
import type { SecretResolver } from '../../src/secrets/resolver.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const NEW = new Secret('the-new-refresh-token');

describe('replacing a secret', () => {
  const directory = tempDirs();
  leavesNothingOpen();
  let home: string;
  let folder: string;
  let told: Record<string, unknown>[];

  const secrets = (writable: string[], names: Record<string, string> = {}): SecretResolver =>
    createSecrets({
      environment: { DELEGATE_SECRET_RT: 'old' },
      directory: folder,
      names,
      writable,
      admit: () => Promise.resolve(),
      protect: (value) => new Secret(value),
      log: { info: () => {}, warn: (fields) => told.push(fields) },
    });
  const contents = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');

  beforeEach(async () => {
    home = await directory();
    folder = join(home, 'secrets');
    told = [];
    await mkdir(join(folder, 'oidc'), { recursive: true });
    await writeFile(join(folder, 'oidc', 'rt'), 'old\n');
  });

  it('puts the new value in its place, whole, and leaves nothing beside it', async () => {
    const store = secrets(['file:oidc/rt']);
    expect(await store.replace('file:oidc/rt', NEW)).to.equal(true);
    const resolved = await store.resolve('file:oidc/rt', {
      signal: new AbortController().signal,
      origins: [],
    });
    expect(resolved.reveal()).to.equal(NEW.reveal());
    expect(await readdir(join(folder, 'oidc'))).to.deep.equal(['rt']);
    expect(told).to.deep.equal([]);
  });

  for (const mode of [0o600, 0o640, 0o664]) {
    it(`keeps the permissions ${mode.toString(8)}`, async () => {
      await chmod(join(folder, 'oidc', 'rt'), mode);
      await secrets(['file:oidc/rt']).replace('file:oidc/rt', NEW);
      expect((await stat(join(folder, 'oidc', 'rt'))).mode & 0o777).to.equal(mode);
    });
  }

  describe('by a bare name', () => {
    const names = { 'snow.rt': 'file:oidc/rt', other: 'file:oidc/other' };
    it('is allowed where what it stands for is listed', async () => {
      expect(await secrets(['file:oidc/rt'], names).replace('snow.rt', NEW)).to.equal(true);
      expect(await contents('oidc/rt')).to.equal(NEW.reveal());
    });

    it('that is not mapped is not, although a name of that text is listed', async () => {
      expect(await secrets(['nowhere'], names).replace('nowhere', NEW)).to.equal(false);
    });
  });

  for (const [what, writable, reference] of [
    ['nothing is listed', [], 'file:oidc/rt'],
    ['another is listed', ['file:oidc/other'], 'file:oidc/rt'],
    ['its folder is listed', ['file:oidc', 'file:oidc/', 'file:oidc/*'], 'file:oidc/rt'],
    ['it is written in another way', ['file:oidc/rt'], 'file:./oidc/rt'],
  ] as const) {
    it(`is not allowed where ${what}`, async () => {
      expect(await secrets([...writable]).replace(reference, NEW)).to.equal(false);
      expect(await contents('oidc/rt')).to.equal('old\n');
    });
  }

  describe('can not be done, which is said,', () => {
    const refusedAt = async (reference: string): Promise<void> => {
      const store = secrets([reference]);
      told.splice(0);
      expect(await store.replace(reference, NEW)).to.equal(false);
      expect(told).to.have.length(1);
      expect(told[0]).to.have.property('reference', reference);
      expect(JSON.stringify(told)).not.to.contain(NEW.reveal());
    };

    it('to a variable', () => refusedAt('env:RT'));

    it('to a file that is not there', async () => {
      await refusedAt('file:oidc/none');
      expect(await readdir(join(folder, 'oidc'))).to.deep.equal(['rt']);
    });

    it('to a file that is read-only', async () => {
      await chmod(join(folder, 'oidc', 'rt'), 0o440);
      await refusedAt('file:oidc/rt');
      expect(await contents('oidc/rt')).to.equal('old\n');
    });

    it('to a folder', () => refusedAt('file:oidc'));

    it('to a link, which stays one', async () => {
      await symlink('rt', join(folder, 'oidc', 'link'));
      await refusedAt('file:oidc/link');
      expect(await readlink(join(folder, 'oidc', 'link'))).to.equal('rt');
      expect(await contents('oidc/rt')).to.equal('old\n');
    });

    it('through a link to a folder', async () => {
      await symlink('oidc', join(folder, 'linked'));
      await refusedAt('file:linked/rt');
    });

    it('through a link that leads out', async () => {
      await writeFile(join(home, 'outside'), 'old');
      await symlink('../../outside', join(folder, 'oidc', 'out'));
      await refusedAt('file:oidc/out');
      expect(await readFile(join(home, 'outside'), 'utf8')).to.equal('old');
    });

    it('to a secret that Kubernetes mounts', async () => {
      await mkdir(join(folder, '..2026_11_23'));
      await writeFile(join(folder, '..2026_11_23', 'mounted'), 'old');
      await symlink('..2026_11_23', join(folder, '..data'));
      await symlink('..data/mounted', join(folder, 'mounted'));
      await refusedAt('file:mounted');
      expect(await contents('mounted')).to.equal('old');
    });

    it('with a path that leads up', () => refusedAt('file:../outside'));

    it('with a value that would be read back as another', async () => {
      expect(
        await secrets(['file:oidc/rt']).replace('file:oidc/rt', new Secret('ends in a break\n')),
      ).to.equal(false);
      expect(await contents('oidc/rt')).to.equal('old\n');
    });
  });
});
