import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { fileCalls } from '../../src/kit/durable-file.ts';
import { systemClock } from '../../src/kit/time.ts';
import { PinFile, PINS_FILE } from '../../src/policy/pins.ts';
import { defaultPolicy } from '../../src/policy/policy.ts';
import { underLock } from '../../src/policy/short-lock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { rejectionOf } from './support.ts';

const HOME = 'https://acme.service-now.com';
const LOGIN = 'https://login.acme.example';
const EVIL = 'https://evil.example';
const PASSWORD = 'env:SN_PASSWORD';

describe('the pins of secrets', () => {
  const directory = tempDirs();
  let stateDir: string;
  let pins: PinFile;

  leavesNothingOpen();

  beforeEach(async () => {
    stateDir = await directory();
    pins = new PinFile({ stateDir, clock: systemClock });
  });

  const path = (): string => join(stateDir, PINS_FILE);
  /** What another process sees: it has read nothing yet. */
  const anew = (): PinFile => new PinFile({ stateDir, clock: systemClock });
  const codeFor = async (reference: string, origins: readonly string[]): Promise<string | undefined> =>
    (await pins.denialOf(reference, origins))?.code;

  it('bind a secret to where it first went, also for the next process', async () => {
    await pins.pin(PASSWORD, [HOME]);
    for (const one of [pins, anew()]) {
      expect(await one.denialOf(PASSWORD, [HOME])).to.equal(undefined);
      expect(await one.denialOf(PASSWORD, [])).to.equal(undefined);
      expect((await one.denialOf(PASSWORD, [EVIL]))?.code).to.equal('policy.secret-pinned');
      expect((await one.denialOf(PASSWORD, [HOME, EVIL]))?.code).to.equal('policy.secret-pinned');
      expect((await rejectionOf(one.pin(PASSWORD, [EVIL])))?.code).to.equal('policy.secret-pinned');
    }
    expect(await anew().list()).to.have.length(1);
  });

  it('say where it is pinned, where it would go, and the command that agrees', async () => {
    await pins.pin(PASSWORD, [LOGIN, HOME]);
    const denial = await pins.denialOf(PASSWORD, [EVIL]);
    expect(denial?.message).to.equal(
      `The secret ${PASSWORD} is pinned to ${HOME} and ${LOGIN} since its first use, and would go to ${EVIL}.`,
    );
    expect(denial?.hint).to.contain(`servicenow-delegate secrets allow ${PASSWORD} ${EVIL}`);
    expect(denial?.details).to.deep.equal({
      rule: `pin ${PASSWORD}`,
      reference: PASSWORD,
      pinnedTo: [HOME, LOGIN],
      asked: [EVIL],
    });
  });

  it('keep on this machine what was used on it alone: a key is never sent as a password', async () => {
    await pins.pin('file:client.key', []);
    expect(await codeFor('file:client.key', [])).to.equal(undefined);
    expect((await pins.denialOf('file:client.key', [HOME]))?.message).to.contain('to this machine alone');
  });

  for (const reference of [
    'file:./a',
    'file:x/../a',
    'file:x//a',
    'file:/a',
    'file:..data/a',
    'file:x/..data/a',
    'a',
  ]) {
    it(`have no second name for a secret, such as ${reference}`, async () => {
      await pins.pin('file:a', [HOME]);
      expect(await codeFor(reference, [EVIL])).to.equal('policy.secret-not-allowed');
      expect(await codeFor(reference, [HOME])).to.equal('policy.secret-not-allowed');
    });
  }

  for (const [pinned, asked] of [
    ['gcp:sn-password', 'gcp:sn-password/3'],
    ['gcp:sn-password/2', 'gcp:sn-password/3'],
    ['azure:sn-password/0123', 'azure:sn-password'],
    ['aws:sn/login', 'aws:arn:aws:secretsmanager:eu-central-1:123456789012:secret:sn/login-AbCdEf'],
    ['aws:sn/login#password', 'aws:sn/login'],
    ['vault:kv/sn', 'vault:kv/sn#password'],
    // Key Vault, and some file systems, know no small and capital letters.
    ['azure:sn-password', 'azure:SN-Password'],
    ['file:sn/password', 'file:sn/Password'],
    ['kubernetes:sn/password', 'kubernetes:sn/PASSWORD'],
    ['gcp:sn-password', 'gcp:projects/acme-prod/secrets/sn-password'],
    ['gcp:projects/acme-prod/secrets/sn-password', 'gcp:sn-password/3'],
    ['gcp:projects/acme-prod/secrets/sn-password', 'gcp:projects/acme-prod/secrets/sn-password/versions/3'],
    ['gcp:projects/acme-prod/secrets/sn-password', 'gcp:projects/123456789012/secrets/sn-password'],
    // Without its last part an ARN is understood too; what is behind the hyphen may belong to the name.
    ['aws:sn-secret', 'aws:arn:aws:secretsmanager:eu-central-1:123456789012:secret:sn-secret'],
  ] as const) {
    it(`bind ${asked} as well, since it may be ${pinned}`, async () => {
      await pins.pin(pinned, [HOME]);
      expect(await codeFor(asked, [EVIL])).to.equal('policy.secret-pinned');
      expect((await rejectionOf(pins.pin(asked, [EVIL])))?.code).to.equal('policy.secret-pinned');
      expect(await codeFor(asked, [HOME])).to.equal(undefined);
    });
  }

  for (const [pinned, asked] of [
    ['vault:kv/sn#password', 'vault:kv/sn#client-id'],
    ['gcp:sn-password', 'gcp:sn-password-2'],
    ['aws:sn/login', 'aws:sn/login-test'],
    ['env:A', 'env:AB'],
    ['file:a', 'file:a/b'],
    ['env:A', 'env:a'],
    ['gcp:projects/acme-prod/secrets/sn-password', 'gcp:projects/acme-test/secrets/sn-password'],
  ] as const) {
    it(`leave ${asked} free beside ${pinned}`, async () => {
      await pins.pin(pinned, [HOME]);
      expect(await codeFor(asked, [LOGIN])).to.equal(undefined);
    });
  }

  it('change at once for a delegate that runs, when the operator says so', async () => {
    await pins.pin(PASSWORD, [HOME]);
    await anew().allow(PASSWORD, EVIL);
    expect(await codeFor(PASSWORD, [HOME, EVIL])).to.equal(undefined);
    expect(await anew().forget(PASSWORD)).to.equal(true);
    expect(await anew().forget(PASSWORD)).to.equal(false);
    await pins.pin(PASSWORD, [LOGIN]);
    expect(await codeFor(PASSWORD, [HOME])).to.equal('policy.secret-pinned');
  });

  it('take nothing from a secret when another name of it is used for less', async () => {
    await pins.pin('gcp:sn-password', [HOME]);
    await pins.pin('gcp:sn-password/3', []);
    expect(await codeFor('gcp:sn-password', [HOME])).to.equal(undefined);
    expect(await codeFor('gcp:sn-password/3', [HOME])).to.equal('policy.secret-pinned');
  });

  it('are agreed to for one name, which keeps what it might do before', async () => {
    await pins.pin('gcp:sn-password', [HOME]);
    const denial = await pins.denialOf('gcp:sn-password/3', [LOGIN]);
    expect(denial?.hint).to.contain(`secrets allow gcp:sn-password/3 ${LOGIN}`);
    await pins.allow('gcp:sn-password/3', LOGIN);
    expect(await codeFor('gcp:sn-password/3', [HOME, LOGIN])).to.equal(undefined);
    expect(await codeFor('gcp:sn-password', [HOME])).to.equal(undefined);
    expect(await codeFor('gcp:sn-password', [LOGIN])).to.equal('policy.secret-pinned');
  });

  it('of two members do not let the whole go to either place', async () => {
    await pins.pin('aws:sn#password', [HOME]);
    await pins.pin('aws:sn#client-id', [LOGIN]);
    for (const origin of [HOME, LOGIN]) {
      expect(await codeFor('aws:sn', [origin])).to.equal('policy.secret-pinned');
    }
  });

  it('may be made before the first use', async () => {
    await pins.allow(PASSWORD, HOME);
    expect((await rejectionOf(pins.pin(PASSWORD, [EVIL])))?.code).to.equal('policy.secret-pinned');
  });

  it('are all kept, whoever writes at the same time, and one secret gets one pin', async () => {
    const writers = Array.from({ length: 8 }, () => anew());
    const origins = writers.map((_, index) => `https://host-${index}.example`);
    const outcomes = await Promise.all(
      writers.map(async (writer, index) => {
        await writer.pin(`env:OWN_${index}`, [HOME]);
        return await rejectionOf(writer.pin('env:SHARED', [origins[index] ?? '']));
      }),
    );
    expect(outcomes.filter((denial) => denial === undefined)).to.have.length(1);
    const kept = await pins.list();
    expect(kept.map(({ reference }) => reference).sort()).to.deep.equal([
      ...writers.map((_, index) => `env:OWN_${index}`),
      'env:SHARED',
    ]);
    expect(await readdir(stateDir)).to.deep.equal([PINS_FILE]);
  });

  it('are in a file for the delegate alone, which holds no value', async () => {
    await pins.pin(PASSWORD, [HOME]);
    expect((await stat(path())).mode & 0o777).to.equal(0o600);
    expect(JSON.parse(await readFile(path(), 'utf8'))).to.have.nested.property('pins[0].reference', PASSWORD);
    expect(Object.keys((await pins.list())[0] ?? {})).to.have.members(['reference', 'origins', 'since']);
  });

  for (const [what, content] of [
    ['is empty', ''],
    ['is cut off', '{"version":1,"pins":[{"reference":"env:A"'],
    ['is of a version to come', '{"version":2,"pins":[]}'],
    ['holds what nobody wrote', '{"version":1,"pins":[],"allowAll":true}'],
    ['is larger than it can be', ' '.repeat(1_048_577)],
  ] as const) {
    it(`refuse every secret if their file ${what}, and don't replace it`, async () => {
      await writeFile(path(), content);
      expect(await codeFor(PASSWORD, [HOME])).to.equal('policy.pins-unusable');
      expect((await rejectionOf(pins.pin(PASSWORD, [HOME])))?.code).to.equal('policy.pins-unusable');
      expect((await rejectionOf(pins.allow(PASSWORD, HOME)))?.code).to.equal('policy.pins-unusable');
      expect(await readFile(path(), 'utf8')).to.equal(content);
    });
  }

  it('refuse every secret if their file is none', async () => {
    await mkdir(path());
    expect(await codeFor(PASSWORD, [HOME])).to.equal('policy.pins-unusable');
  });

  it('refuse a secret that they could not remember, and let it be tried again', async () => {
    const full = new PinFile({
      stateDir,
      clock: systemClock,
      calls: {
        ...fileCalls,
        open: () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })),
      },
    });
    const denial = await rejectionOf(full.pin(PASSWORD, [HOME]));
    expect(denial).to.include({ code: 'policy.pins-not-kept', retryable: true });
    expect(denial?.message).to.contain('ENOSPC');
    expect(await pins.list()).to.deep.equal([]);
    await pins.pin(PASSWORD, [HOME]);
  });

  it('refuse a secret where the state folder can not be made', async () => {
    await writeFile(join(stateDir, 'file'), '');
    const nowhere = new PinFile({ stateDir: join(stateDir, 'file', 'state'), clock: systemClock });
    expect((await rejectionOf(nowhere.pin(PASSWORD, [HOME])))?.category).to.equal('policy');
  });

  it('are a thousand at most', async () => {
    const many = Array.from({ length: 1_000 }, (_, index) => ({
      reference: `env:SECRET_${index}`,
      origins: [HOME],
      since: '2026-11-23T21:00:00.000Z',
    }));
    await writeFile(path(), JSON.stringify({ version: 1, pins: many }));
    expect((await rejectionOf(pins.pin(PASSWORD, [HOME])))?.message).to.contain('1000 secrets are pinned');
    await pins.forget('env:SECRET_0');
    await pins.pin(PASSWORD, [HOME]);
  });

  it('wait for a lock no longer than the task does', async () => {
    await writeFile(`${path()}.lock`, 'somebody');
    const stop = new AbortController();
    const waiting = rejectionOf(pins.pin(PASSWORD, [HOME], stop.signal));
    stop.abort(new Error('the task is over'));
    expect((await waiting)?.cause).to.have.property('message', 'the task is over');
    await rm(`${path()}.lock`);
  });

  it('take over the lock of a process that was killed', async () => {
    const lock = `${path()}.lock`;
    await writeFile(lock, 'of a process that is gone');
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(lock, longAgo, longAgo);
    await pins.pin(PASSWORD, [HOME]);
    expect(await readdir(stateDir)).to.deep.equal([PINS_FILE]);
  });

  it('clear away what a killed process had begun to write', async () => {
    await writeFile(`${path()}.0b5c1f0e-0000-4000-8000-000000000000.tmp`, '{"version":1,');
    await pins.pin(PASSWORD, [HOME]);
    expect(await readdir(stateDir)).to.deep.equal([PINS_FILE]);
  });

  it('leave no lock where even that could not be written: the next one need not wait for it', async () => {
    // A limit on the size of files stands for a full disk: the lock can be made, and nothing be written to it.
    const program = `
      import { systemClock } from ${JSON.stringify(new URL('../../src/kit/time.ts', import.meta.url).href)};
      import { underLock } from ${JSON.stringify(new URL('../../src/policy/short-lock.ts', import.meta.url).href)};
      await underLock(process.argv[1], { clock: systemClock }, async () => {});
    `;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', program, `${path()}.lock`];
    const failure = await promisify(execFile)('sh', [
      '-c',
      'ulimit -f 0; exec "$@"',
      'sh',
      process.execPath,
      ...args,
    ]).then(
      () => 'no failure',
      (thrown: unknown) => String(thrown),
    );
    expect(failure).to.contain('EFBIG');
    expect(await readdir(stateDir)).to.deep.equal([]);
  });

  it('are written by one at a time', async () => {
    let inside = 0;
    await Promise.all(
      Array.from({ length: 10 }, () =>
        underLock(`${path()}.lock`, { clock: systemClock }, async () => {
          inside += 1;
          expect(inside).to.equal(1);
          await readdir(stateDir);
          inside -= 1;
        }),
      ),
    );
  });

  describe('in the default policy', () => {
    const SIGNAL = new AbortController().signal;

    it('are asked before a secret is read, and made after', async () => {
      const policy = defaultPolicy({ allowLoopback: false }, pins);
      await policy.admitSecret(PASSWORD, [HOME], SIGNAL);
      // Whoever names a secret that is not there yet does not get hold of it.
      expect(await pins.list()).to.deep.equal([]);
      await policy.pinSecret(PASSWORD, [HOME], SIGNAL);
      expect((await rejectionOf(policy.admitSecret(PASSWORD, [EVIL], SIGNAL)))?.code).to.equal(
        'policy.secret-pinned',
      );
      expect(await policy.explainSecret(PASSWORD, [HOME])).to.include({
        allowed: true,
        rule: 'default: a secret goes where it first went',
      });
    });

    it('are none for what this machine’s own user asks for', async () => {
      const policy = defaultPolicy({ allowLoopback: false });
      await policy.pinSecret(PASSWORD, [HOME], SIGNAL);
      await policy.admitSecret(PASSWORD, [EVIL], SIGNAL);
      expect(await readdir(stateDir)).to.deep.equal([]);
    });
  });
});
