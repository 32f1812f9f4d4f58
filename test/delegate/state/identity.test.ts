import { fork } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { expect } from 'chai';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, importJWK, jwtVerify } from 'jose';
import { pino } from 'pino';
import { z } from 'zod';
import {
  loadIdentity,
  newKey,
  saveEnrolment,
  saveIdentity,
  signConnectToken,
  type Identity,
} from '../../../src/delegate/state/identity.ts';
import { stateKeyFrom } from '../../../src/delegate/state/state-key.ts';
import { fileCalls } from '../../../src/kit/durable-file.ts';
import { failureOf } from '../../support/failure.ts';
import type { Ed25519PublicJwk } from '../../../src/protocol/enrolment.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { watchedCalls } from '../../kit/write-steps.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';

const MANAGER_URL = 'https://manager.example.com/base';
const REWRITER = fileURLToPath(new URL('identity-process.ts', import.meta.url));
const BOTH = ['identity.backup.json', 'identity.json'];
const noOne = (): void => {};

const silent = pino({ level: 'silent' });

const load = (dir: string, log = silent): Promise<Identity> => loadIdentity(dir, noOne, log);
const enrol = (dir: string, identity: Identity, delegateId: string, log = silent) =>
  saveEnrolment(dir, identity, MANAGER_URL, { delegateId }, log);

/** The part of the file that must not be seen. */
const keySchema = z.object({ key: z.object({ d: z.string() }) });

describe('the identity of a state folder', () => {
  const tempDir = tempDirs();
  const fileIn = (dir: string): string => join(dir, 'identity.json');
  const backupIn = (dir: string): string => join(dir, 'identity.backup.json');

  /** What was logged, as lines of JSON. */
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => void warnings.push(line) });
  beforeEach(() => void warnings.splice(0));

  leavesNothingOpen();

  it('is made at the first start, for its owner alone', async () => {
    const dir = join(await tempDir(), 'not', 'there', 'yet');
    await load(dir);
    expect((await stat(fileIn(dir))).mode & 0o777).to.equal(0o600);
    expect((await stat(dir)).mode & 0o777).to.equal(0o700);
    expect(await readdir(dir)).to.deep.equal(BOTH);
    expect(await readFile(backupIn(dir))).to.deep.equal(await readFile(fileIn(dir)));
    expect((await stat(backupIn(dir))).mode & 0o777).to.equal(0o600);
  });

  it('is the same at the second start', async () => {
    const dir = await tempDir();
    const first = await load(dir);
    const again = await load(dir);
    expect(again.instanceId).to.equal(first.instanceId);
    expect(again.publicJwk).to.deep.equal(first.publicJwk);
    expect(again.enrolment).to.equal(undefined);
  });

  it('is another one in another folder', async () => {
    const [one, two] = await Promise.all([load(await tempDir()), load(await tempDir())]);
    expect(one.instanceId).not.to.equal(two.instanceId);
    expect(one.keyId).not.to.equal(two.keyId);
  });

  it('is kept with its enrolment', async () => {
    const dir = await tempDir();
    const made = await load(dir);
    const keys = [made.publicJwk];
    await saveEnrolment(dir, made, MANAGER_URL, { delegateId: 'dlg-1', taskSigningKeys: { keys } }, silent);
    const again = await load(dir);
    expect(again.enrolment).to.deep.equal({
      managerUrl: MANAGER_URL,
      delegateId: 'dlg-1',
      taskSigningKeys: keys,
    });
    expect(again.keyId).to.equal(made.keyId);
    expect(await readdir(dir)).to.deep.equal(BOTH);
  });

  it('survives a crash in the middle of a write, and removes what that left', async () => {
    const dir = await tempDir();
    const made = await load(dir);
    await writeFile(`${fileIn(dir)}.left-over.tmp`, '{"format":1,"inst');
    await writeFile(`${backupIn(dir)}.left-over.tmp`, '');
    expect((await load(dir)).keyId).to.equal(made.keyId);
    expect(await readdir(dir)).to.deep.equal(BOTH);
    await enrol(dir, made, 'dlg-1');
    expect((await load(dir)).enrolment?.delegateId).to.equal('dlg-1');
  });

  it('is what was saved last, or what was being saved, when the process is killed', async () => {
    const dir = await tempDir();
    const made = await load(dir);
    // Killed at the n-th word that it gives, the process is somewhere in the save after that.
    for (const saves of [1, 2, 5]) {
      const rewriter = fork(REWRITER, [dir], { execArgv: ['--import', 'tsx'] });
      let saved = 0;
      rewriter.on('message', (count) => {
        saved = z.number().parse(count);
        if (saved === saves) rewriter.kill('SIGKILL');
      });
      await once(rewriter, 'close');
      const again = await load(dir, log);
      expect(again.keyId).to.equal(made.keyId);
      expect(Number(again.enrolment?.delegateId)).to.be.within(saved, saved + 1);
      expect(await readdir(dir)).to.deep.equal(BOTH);
    }
    expect(warnings).to.deep.equal([]);
  });

  const damages: [what: string, damage: (text: string) => string][] = [
    ['empty', () => ''],
    ['truncated', (text) => text.slice(0, text.length / 2)],
    ['not JSON', () => 'hello'],
    ['other JSON', () => '[]'],
    ['of a format that is not known', (text) => text.replace('"format": 1', '"format": 2')],
    ['with a key that is none', (text) => text.replace(/"d": "[^"]*"/, '"d": "AAAA"')],
  ];
  async function damageFile(path: string, damage: (text: string) => string): Promise<string> {
    const damaged = damage(await readFile(path, 'utf8'));
    await writeFile(path, damaged);
    return damaged;
  }

  for (const [what, damage] of damages) {
    it(`comes from the backup, with a warning, when the file is ${what}`, async () => {
      const dir = await tempDir();
      const enrolled = await enrol(dir, await load(dir), 'dlg-1');
      await damageFile(fileIn(dir), damage);
      const again = await load(dir, log);
      expect(again.keyId).to.equal(enrolled.keyId);
      expect(again.enrolment).to.deep.equal(enrolled.enrolment);
      expect(await readFile(fileIn(dir))).to.deep.equal(await readFile(backupIn(dir)));
      expect((await stat(fileIn(dir))).mode & 0o777).to.equal(0o600);
      expect(warnings).to.have.length(1);
      expect(warnings[0]).to.include(fileIn(dir)).and.to.include('damaged').and.to.include('hint');
    });

    it(`keeps its backup good when that is ${what}`, async () => {
      const dir = await tempDir();
      const made = await load(dir);
      await damageFile(backupIn(dir), damage);
      expect((await load(dir, log)).keyId).to.equal(made.keyId);
      expect(await readFile(backupIn(dir))).to.deep.equal(await readFile(fileIn(dir)));
      expect(warnings).to.have.length(1);
      expect(warnings[0]).to.include(backupIn(dir));
    });

    it(`stops the start, and is left as it is, when both copies are ${what}`, async () => {
      const dir = await tempDir();
      await load(dir);
      const damaged = await damageFile(fileIn(dir), damage);
      await damageFile(backupIn(dir), damage);
      const error = await failureOf(load(dir));
      expect(error.code).to.equal('identity-unusable');
      expect(error.message).to.include(`${fileIn(dir)} is damaged`);
      expect(error.message).to.include(`${backupIn(dir)} is damaged`);
      expect(await readFile(fileIn(dir), 'utf8')).to.equal(damaged);
      expect(await readFile(backupIn(dir), 'utf8')).to.equal(damaged);
    });
  }

  it('comes from the backup, with a warning, when the file is missing', async () => {
    const dir = await tempDir();
    const made = await load(dir);
    await rm(fileIn(dir));
    expect((await load(dir, log)).keyId).to.equal(made.keyId);
    expect(await readdir(dir)).to.deep.equal(BOTH);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.include(fileIn(dir)).and.to.include('missing').and.to.include('remove both');
  });

  it('is never replaced by a new one where a damaged copy is left', async () => {
    const dir = await tempDir();
    await load(dir);
    await rm(fileIn(dir));
    await writeFile(backupIn(dir), '');
    expect((await failureOf(load(dir))).message)
      .to.include('missing')
      .and.to.include('damaged');
    expect(await readdir(dir)).to.deep.equal(['identity.backup.json']);
  });

  it('gets its backup, without a word, in a folder of a version that made none', async () => {
    const dir = await tempDir();
    await load(dir);
    await rm(backupIn(dir));
    await load(dir, log);
    expect(await readFile(backupIn(dir))).to.deep.equal(await readFile(fileIn(dir)));
    expect(warnings).to.deep.equal([]);
  });

  it('of a version that changed no keys still opens what lies beside it, also after its key was changed', async () => {
    const dir = await tempDir();
    const { privateKey } = generateKeyPairSync('ed25519');
    const enrolment = { managerUrl: MANAGER_URL, delegateId: 'dlg-1' };
    const key = privateKey.export({ format: 'jwk' });
    const file = { format: 1, instanceId: '5d2f5c9e-3b1a-4c8e-9f60-7a1b2c3d4e5f', key, enrolment };
    await writeFile(fileIn(dir), JSON.stringify(file));
    const stateKeyBy = (identityKey: KeyObject): Buffer =>
      stateKeyFrom({ operatorKey: undefined, identityKey, managerUrl: MANAGER_URL });
    const identity = await load(dir);
    expect(identity.enrolment).to.deep.equal(enrolment);
    expect(stateKeyBy(identity.stateKey)).to.deep.equal(stateKeyBy(privateKey));
    await saveIdentity({ stateDir: dir, protect: noOne, log: silent }, { ...identity, ...(await newKey()) });
    expect(stateKeyBy((await load(dir)).stateKey)).to.deep.equal(stateKeyBy(privateKey));
  });

  it('is the one that an operator has restored, and the backup follows', async () => {
    const [dir, elsewhere] = [await tempDir(), await tempDir()];
    await load(dir);
    const restored = await load(elsewhere);
    await writeFile(fileIn(dir), await readFile(fileIn(elsewhere)));
    expect((await load(dir)).keyId).to.equal(restored.keyId);
    await rm(fileIn(dir));
    expect((await load(dir)).keyId).to.equal(restored.keyId);
  });

  it('comes from the backup when the disk gives the file no more', async () => {
    const dir = await tempDir();
    const made = await load(dir);
    const calls = {
      ...fileCalls,
      readFile: async (path: string) => {
        if (path === fileIn(dir)) throw Object.assign(new Error('made by a test'), { code: 'EIO' });
        return await fileCalls.readFile(path);
      },
    };
    expect((await loadIdentity(dir, noOne, log, calls)).keyId).to.equal(made.keyId);
    expect(warnings[0]).to.include('damaged');
  });

  it('is used from the backup even if the disk lets nothing be mended', async () => {
    const dir = await tempDir();
    const made = await load(dir);
    await writeFile(fileIn(dir), '');
    const readOnly = watchedCalls((step) => {
      if (step === 'open the temporary file')
        throw Object.assign(new Error('made by a test'), { code: 'EROFS' });
    });
    expect((await loadIdentity(dir, noOne, log, readOnly)).keyId).to.equal(made.keyId);
    expect(warnings).to.have.length(2);
    expect(warnings[1]).to.include(fileIn(dir)).and.to.include('EROFS');
  });

  it('is enrolled, with a warning, when only its backup cannot be written', async () => {
    const dir = await tempDir();
    const made = await load(dir);
    await rm(backupIn(dir));
    await mkdir(backupIn(dir));
    await enrol(dir, made, 'dlg-1', log);
    expect((await load(dir)).enrolment?.delegateId).to.equal('dlg-1');
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.include(backupIn(dir));
  });

  it('stops the start when the file cannot be read', async () => {
    const dir = await tempDir();
    await mkdir(fileIn(dir));
    const error = await failureOf(load(dir));
    expect(error).to.include({ code: 'identity-unusable' });
    expect(error.message).to.include('EISDIR');
  });

  it('stops the start when the folder cannot be made', async () => {
    const dir = await tempDir();
    await writeFile(join(dir, 'a-file'), '');
    const error = await failureOf(load(join(dir, 'a-file', 'state')));
    expect(error.code).to.equal('identity-unusable');
    expect(error.hint).to.include('DELEGATE_STATE_DIR');
  });

  it('is not enrolled when the folder takes no more', async () => {
    const dir = await tempDir();
    const made = await load(dir);
    await rm(dir, { recursive: true });
    await writeFile(dir, 'a file in the place of the folder');
    const error = await failureOf(enrol(dir, made, 'dlg-1'));
    expect(error.code).to.equal('identity-unusable');
  });

  it('never shows its private key: not in an error, not when it is printed', async () => {
    const dir = await tempDir();
    const shown: string[] = [];
    const protectedValues: string[] = [];
    const made = await loadIdentity(dir, (value) => protectedValues.push(value), log);
    const text = await readFile(fileIn(dir), 'utf8');
    const { key } = keySchema.parse(JSON.parse(text));
    expect(protectedValues).to.deep.equal([key.d]);
    shown.push(inspect(made, { depth: 9 }), JSON.stringify(made));

    for (const damaged of [`${text}x`, text.replace('Ed25519', 'Ed25518'), text.replace('"x"', '"y"')]) {
      await writeFile(fileIn(dir), damaged);
      await load(dir, log);
      await Promise.all([fileIn(dir), backupIn(dir)].map((path) => writeFile(path, damaged)));
      const error = await failureOf(load(dir, log));
      shown.push(inspect(error, { depth: 9 }), JSON.stringify(error), JSON.stringify(error.toWire()));
      await rm(backupIn(dir));
      await writeFile(fileIn(dir), text);
      await load(dir, log);
    }
    shown.push(...warnings);
    expect(shown.join('\n')).not.to.include(key.d);
  });
});

describe('a connect token', () => {
  const bare = ({ kty, crv, x }: Ed25519PublicJwk) => ({ kty, crv, x });
  const tempDir = tempDirs();
  const NOW_MS = 1_795_000_000_999;

  async function tokenAndKey() {
    const dir = await tempDir();
    const made = await load(dir);
    const identity = await enrol(dir, made, 'dlg-1');
    const token = await signConnectToken(identity, identity.enrolment, NOW_MS);
    return { identity, token };
  }

  leavesNothingOpen();

  it('says what the protocol asks for, and nothing else', async () => {
    const { identity, token } = await tokenAndKey();
    expect(decodeProtectedHeader(token)).to.deep.equal({
      alg: 'EdDSA',
      typ: 'delegate+jwt',
      kid: await calculateJwkThumbprint(bare(identity.publicJwk)),
    });
    const { jti, ...claims } = decodeJwt(token);
    expect(jti).to.match(/^[0-9a-f-]{36}$/);
    expect(claims).to.deep.equal({
      iss: 'dlg-1',
      sub: 'dlg-1',
      aud: MANAGER_URL,
      iat: 1_795_000_000,
      exp: 1_795_000_060,
    });
  });

  it('is signed with the key that was enrolled', async () => {
    const { identity, token } = await tokenAndKey();
    const key = await importJWK(bare(identity.publicJwk), 'EdDSA');
    await jwtVerify(token, key, { audience: MANAGER_URL, currentDate: new Date(NOW_MS) });
  });

  it('is never the same twice', async () => {
    const { identity, token } = await tokenAndKey();
    expect(await signConnectToken(identity, identity.enrolment, NOW_MS)).not.to.equal(token);
  });
});
