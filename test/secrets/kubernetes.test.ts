import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DelegateError } from '../../src/kit/errors.ts';
import { kubernetesProvider } from '../../src/secrets/kubernetes.ts';
import type { Provider } from '../../src/secrets/provider.ts';
import { failureOf } from '../support/failure.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

describe('a mounted Kubernetes Secret', () => {
  const directory = tempDirs();
  let root: string;
  let provider: Provider;

  beforeEach(async () => {
    root = join(await directory(), 'secrets');
    await mkdir(join(root, 'servicenow'), { recursive: true });
    provider = kubernetesProvider(root);
    await mount('servicenow', 1, { user: 'svc-1', password: 'password-1' });
  });
  leavesNothingOpen();

  /** As the kubelet's atomic writer does: a new folder, a new link, and the link renamed over the old one. */
  async function mount(name: string, generation: number, data: Record<string, string>): Promise<void> {
    const folder = join(root, name);
    await mkdir(join(folder, `..gen_${generation}`));
    for (const [key, value] of Object.entries(data)) {
      await writeFile(join(folder, `..gen_${generation}`, key), value);
    }
    await symlink(`..gen_${generation}`, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    for (const key of Object.keys(data)) {
      await symlink(`..data/${key}`, join(folder, key)).catch(() => {});
    }
  }

  async function remove(name: string, generation: number): Promise<void> {
    await rm(join(root, name, `..gen_${generation}`), { recursive: true });
  }

  const read = async (locator: string): Promise<string> =>
    (await provider.read(locator, new AbortController().signal)).value;

  const failure = async (locator: string): Promise<DelegateError> => await failureOf(read(locator));

  it('is read by its name and key, and says which generation it was', async () => {
    const found = await provider.read('servicenow/password', new AbortController().signal);
    expect(found.value).to.equal('password-1');
    expect(found.place).to.match(/^mounted Secret at .*\/servicenow\/\.\.gen_1\/password$/);
  });

  it('that has changed counts at once, without a restart', async () => {
    expect(await read('servicenow/password')).to.equal('password-1');
    await mount('servicenow', 2, { user: 'svc-2', password: 'password-2' });
    expect(await read('servicenow/password')).to.equal('password-2');
    await remove('servicenow', 1);
    expect(await read('servicenow/user')).to.equal('svc-2');
  });

  it('is old or new, whole, and always there while the kubelet swaps it under two hundred reads', async () => {
    const long = (generation: number): string => `${generation}`.repeat(20_000);
    await mount('servicenow', 100, { password: long(1) });
    const kubelet = { isSwapping: true };
    const swapping = (async () => {
      for (let generation = 101; generation < 140; generation += 1) {
        await mount('servicenow', generation, { password: long(generation % 10) });
        await remove('servicenow', generation - 1);
      }
      kubelet.isSwapping = false;
    })();
    const seen: string[] = [];
    for (let reads = 0; reads < 200 || kubelet.isSwapping; reads += 1)
      seen.push(await read('servicenow/password'));
    await swapping;
    for (const value of seen) expect(value).to.match(/^(\d)\1{19999}$/);
  });

  it('that was not mounted, or lacks the key, is not found', async () => {
    for (const locator of ['other/password', 'servicenow/token']) {
      const error = await failure(locator);
      expect(error).to.include({ code: 'secret-not-found' });
      expect(error.message).to.contain('DELEGATE_KUBERNETES_SECRETS_DIR');
    }
  });

  const invalid = [
    'servicenow', 'servicenow/', '/password', '../secrets/servicenow/password', 'servicenow/../servicenow/password',
    'servicenow/..data/password', 'servicenow/..data', 'servicenow/..gen_1', 'servicenow/a/b', 'Servicenow/password',
    'servicenow/%2e%2e', 'service now/password', 'servicenow/pass word', '.servicenow/password', 'servicenow\\password',
  ]; // prettier-ignore
  for (const locator of invalid) {
    it(`is not read by ${JSON.stringify(locator)}`, async () => {
      expect(await failure(locator)).to.include({ code: 'secret-reference-invalid' });
    });
  }

  it('whose link leads out of the folder is refused', async () => {
    await writeFile(join(root, '..', 'outside'), 'canary-outside');
    await symlink('../../outside', join(root, 'servicenow', 'link'));
    const error = await failure('servicenow/link');
    expect(error).to.include({ code: 'secret-reference-invalid' });
    expect(JSON.stringify(error.toWire())).to.not.contain('canary-outside');
  });

  it("that is the delegate's own is not read, however the kubelet swaps it under the reads", async () => {
    const own = join(root, 'servicenow', 'password');
    const closed = kubernetesProvider(root, [own]);
    const kubelet = { isSwapping: true };
    const swapping = (async () => {
      for (let generation = 2; generation < 60; generation += 1) {
        await mount('servicenow', generation, { user: 'svc', password: 'canary-state-key' });
      }
      kubelet.isSwapping = false;
    })();
    while (kubelet.isSwapping) {
      const error = await failureOf(closed.read('servicenow/password', new AbortController().signal));
      expect(error).to.include({ code: 'secret-reference-invalid' });
    }
    await swapping;
    expect((await closed.read('servicenow/user', new AbortController().signal)).value).to.equal('svc');
  });

  it('is not written: the kubelet would undo it', () => {
    expect(provider.write).to.equal(undefined);
  });
});
