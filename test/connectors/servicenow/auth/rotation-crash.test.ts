import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { exitOf } from '../../../support/child.ts';
import { startOidcProvider, type OidcProvider } from '../../../support/oidc-provider.ts';
import { joinOidcProvider, openBench, tableCalls, type Bench } from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { tempDirs } from '../../../support/temp-dir.ts';
import { runTask, type Order } from './rotation-task.ts';

const PROCESS = fileURLToPath(new URL('rotation-process.ts', import.meta.url));
const STORED = 'file:refresh-token';

describe('a delegate that is killed while a refresh token rotates', () => {
  const directory = tempDirs();
  let provider: OidcProvider;
  let bench: Bench;
  let order: Order;

  beforeEach(async () => {
    provider = await startOidcProvider({ rotation: true });
    bench = await openBench();
    const { type, spec } = await joinOidcProvider(bench, provider);
    const home = await directory();
    await mkdir(join(home, 'secrets'));
    for (const name of ['client-id', 'client-secret', 'refresh-token']) {
      await writeFile(join(home, 'secrets', name), bench.surroundings.secrets.get(name) ?? '');
    }
    order = {
      home,
      key: randomBytes(32).toString('base64'),
      writable: [],
      instanceUrl: bench.instance.url,
      auth: {
        type,
        spec: {
          ...spec,
          clientIdRef: 'file:client-id',
          clientSecretRef: 'file:client-secret',
          refreshTokenRef: STORED,
        },
      },
    };
  });
  afterEach(async () => {
    await bench[Symbol.asyncDispose]();
    await provider.close();
  });

  leavesNothingOpen();

  const killed = async (how: Partial<Order>): Promise<void> => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', PROCESS, JSON.stringify({ ...order, ...how })],
      { stdio: 'inherit' },
    );
    expect(await exitOf(child)).to.equal('SIGKILL');
    expect(tableCalls(bench.instance), 'before anybody used the access token').to.deep.equal([]);
  };
  const works = async (how: Partial<Order> = {}): Promise<void> => {
    expect(await runTask({ ...order, ...how })).to.include({ decision: 'approved' });
  };

  it('after the new one was kept in the state folder finds it there, and the grant lives', async () => {
    await killed({ dieAfter: 'kept' });
    await works();
    await works();
  });

  it('after the new one was written into the store finds it there, and the grant lives', async () => {
    const before = await readFile(join(order.home, 'secrets', 'refresh-token'), 'utf8');
    await killed({ dieAfter: 'replaced', writable: [STORED] });
    expect(await readFile(join(order.home, 'secrets', 'refresh-token'), 'utf8')).not.to.equal(before);
    await works({ writable: [STORED] });
    await works();
    await works();
  });

  it('before the older one in the state folder was forgotten, uses that no more', async () => {
    await killed({ dieAfter: 'kept' });
    await killed({ dieAfter: 'replaced', writable: [STORED] });
    await works({ writable: [STORED] });
    await works();
  });
});
