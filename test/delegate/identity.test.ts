import { expect } from 'chai';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, importJWK, jwtVerify } from 'jose';
import { z } from 'zod';
import { loadIdentity, saveEnrolment, signConnectToken } from '../../src/delegate/identity.ts';
import { failureOf } from '../support/failure.ts';
import type { Ed25519PublicJwk } from '../../src/protocol/enrolment.ts';
import { tempDirs } from '../support/temp-dir.ts';

const MANAGER_URL = 'https://manager.example.com/base';
const noOne = (): void => {};

/** The part of the file that must not be seen. */
const keySchema = z.object({ key: z.object({ d: z.string() }) });

describe('the identity of a state folder', () => {
  const tempDir = tempDirs();
  const fileIn = (dir: string): string => join(dir, 'identity.json');

  it('is made at the first start, for its owner alone', async () => {
    const dir = join(await tempDir(), 'not', 'there', 'yet');
    await loadIdentity(dir, noOne);
    expect((await stat(fileIn(dir))).mode & 0o777).to.equal(0o600);
    expect((await stat(dir)).mode & 0o777).to.equal(0o700);
    expect(await readdir(dir)).to.deep.equal(['identity.json']);
  });

  it('is the same at the second start', async () => {
    const dir = await tempDir();
    const first = await loadIdentity(dir, noOne);
    const again = await loadIdentity(dir, noOne);
    expect(again.instanceId).to.equal(first.instanceId);
    expect(again.publicJwk).to.deep.equal(first.publicJwk);
    expect(again.enrolment).to.equal(undefined);
  });

  it('is another one in another folder', async () => {
    const [one, two] = await Promise.all([
      loadIdentity(await tempDir(), noOne),
      loadIdentity(await tempDir(), noOne),
    ]);
    expect(one.instanceId).not.to.equal(two.instanceId);
    expect(one.keyId).not.to.equal(two.keyId);
  });

  it('is kept with its enrolment', async () => {
    const dir = await tempDir();
    const made = await loadIdentity(dir, noOne);
    const keys = [made.publicJwk];
    await saveEnrolment(dir, made, MANAGER_URL, { delegateId: 'dlg-1', taskSigningKeys: { keys } });
    const again = await loadIdentity(dir, noOne);
    expect(again.enrolment).to.deep.equal({
      managerUrl: MANAGER_URL,
      delegateId: 'dlg-1',
      taskSigningKeys: keys,
    });
    expect(again.keyId).to.equal(made.keyId);
    expect(await readdir(dir)).to.deep.equal(['identity.json']);
  });

  it('survives a crash in the middle of a write', async () => {
    const dir = await tempDir();
    const made = await loadIdentity(dir, noOne);
    await writeFile(`${fileIn(dir)}.left-over.tmp`, '{"format":1,"inst');
    expect((await loadIdentity(dir, noOne)).keyId).to.equal(made.keyId);
    await saveEnrolment(dir, made, MANAGER_URL, { delegateId: 'dlg-1' });
    expect((await loadIdentity(dir, noOne)).enrolment?.delegateId).to.equal('dlg-1');
  });

  const damages: [what: string, damage: (text: string) => string][] = [
    ['empty', () => ''],
    ['truncated', (text) => text.slice(0, text.length / 2)],
    ['not JSON', () => 'hello'],
    ['other JSON', () => '[]'],
    ['of a format that is not known', (text) => text.replace('"format": 1', '"format": 2')],
    ['with a key that is none', (text) => text.replace(/"d": "[^"]*"/, '"d": "AAAA"')],
  ];
  for (const [what, damage] of damages) {
    it(`stops the start, and is left as it is, when the file is ${what}`, async () => {
      const dir = await tempDir();
      await loadIdentity(dir, noOne);
      const damaged = damage(await readFile(fileIn(dir), 'utf8'));
      await writeFile(fileIn(dir), damaged);
      const error = await failureOf(loadIdentity(dir, noOne));
      expect(error.code).to.equal('identity-unusable');
      expect(error.message).to.include(fileIn(dir)).and.to.include('damaged');
      expect(await readFile(fileIn(dir), 'utf8')).to.equal(damaged);
    });
  }

  it('stops the start when the file cannot be read', async () => {
    const dir = await tempDir();
    await mkdir(fileIn(dir));
    const error = await failureOf(loadIdentity(dir, noOne));
    expect(error).to.include({ code: 'identity-unusable' });
    expect(error.message).to.include('EISDIR');
  });

  it('stops the start when the folder cannot be made', async () => {
    const dir = await tempDir();
    await writeFile(join(dir, 'a-file'), '');
    const error = await failureOf(loadIdentity(join(dir, 'a-file', 'state'), noOne));
    expect(error.code).to.equal('identity-unusable');
    expect(error.hint).to.include('DELEGATE_STATE_DIR');
  });

  it('is not enrolled when the folder takes no more', async () => {
    const dir = await tempDir();
    const made = await loadIdentity(dir, noOne);
    await rm(dir, { recursive: true });
    await writeFile(dir, 'a file in the place of the folder');
    const error = await failureOf(saveEnrolment(dir, made, MANAGER_URL, { delegateId: 'dlg-1' }));
    expect(error.code).to.equal('identity-unusable');
  });

  it('never shows its private key: not in an error, not when it is printed', async () => {
    const dir = await tempDir();
    const shown: string[] = [];
    const protectedValues: string[] = [];
    const made = await loadIdentity(dir, (value) => protectedValues.push(value));
    const text = await readFile(fileIn(dir), 'utf8');
    const { key } = keySchema.parse(JSON.parse(text));
    expect(protectedValues).to.deep.equal([key.d]);
    shown.push(inspect(made, { depth: 9 }), JSON.stringify(made));

    for (const damaged of [`${text}x`, text.replace('Ed25519', 'Ed25518'), text.replace('"x"', '"y"')]) {
      await writeFile(fileIn(dir), damaged);
      const error = await failureOf(loadIdentity(dir, noOne));
      shown.push(inspect(error, { depth: 9 }), JSON.stringify(error), JSON.stringify(error.toWire()));
    }
    expect(shown.join('\n')).not.to.include(key.d);
  });
});

describe('a connect token', () => {
  const bare = ({ kty, crv, x }: Ed25519PublicJwk) => ({ kty, crv, x });
  const tempDir = tempDirs();
  const NOW_MS = 1_795_000_000_999;

  async function tokenAndKey() {
    const dir = await tempDir();
    const made = await loadIdentity(dir, noOne);
    const identity = await saveEnrolment(dir, made, MANAGER_URL, { delegateId: 'dlg-1' });
    const token = await signConnectToken(identity, identity.enrolment, NOW_MS);
    return { identity, token };
  }

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
