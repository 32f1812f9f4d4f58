import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { calculateJwkThumbprint, SignJWT, type CryptoKey } from 'jose';
import { WebSocket } from 'ws';
import type { Manager } from '../../src/manager/manager.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';
import { managersUnderTest } from './support/manager-under-test.ts';
import {
  createIdentity,
  enrol,
  ScriptedDelegate,
  type Enrolled,
  type Identity,
} from './support/scripted-delegate.ts';

const bare = ({ publicKey: { kty, crv, x } }: Identity) => ({ kty, crv, x });

describe('the manager, asked for another key of a delegate', () => {
  const start = managersUnderTest();
  leavesNothingOpen();

  interface Changes {
    typ?: string;
    kid?: string;
    signer?: CryptoKey;
    claims?: Record<string, unknown>;
  }

  /** @param standing what it says of the delegate; every token is for this manager, for a minute, and used once */
  async function signed(
    manager: Manager,
    standing: Record<string, unknown>,
    by: { typ: string; kid: string; signer: CryptoKey },
    changes: Changes,
  ): Promise<string> {
    const iat = Math.floor(Date.now() / 1_000);
    const claims = {
      ...standing,
      aud: manager.url,
      iat,
      exp: iat + 60,
      jti: randomUUID(),
      ...changes.claims,
    };
    return await new SignJWT(claims)
      .setProtectedHeader({ alg: 'EdDSA', typ: changes.typ ?? by.typ, kid: changes.kid ?? by.kid })
      .sign(changes.signer ?? by.signer);
  }

  async function token(
    manager: Manager,
    { delegateId }: Enrolled,
    by: Identity,
    changes: Changes = {},
  ): Promise<string> {
    const kid = await calculateJwkThumbprint(bare(by));
    const header = { typ: 'delegate-rotate+jwt', kid, signer: by.privateKey };
    return await signed(manager, { iss: delegateId, sub: delegateId }, header, changes);
  }

  async function proof(
    manager: Manager,
    { delegateId, thumbprint: replaces }: Enrolled,
    next: Identity,
    changes: Changes = {},
  ): Promise<string> {
    const header = { typ: 'delegate-key-proof+jwt', kid: next.thumbprint, signer: next.privateKey };
    return await signed(manager, { delegateId, replaces }, header, changes);
  }

  async function ask(
    manager: Manager,
    bearer: string,
    body: unknown,
  ): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${manager.url}/delegate/v1/rotate-key`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  /** The status of an upgrade with a connect token by this key; 101 also ends. */
  async function connect(manager: Manager, of: Enrolled, by: Identity): Promise<number> {
    const bearer = await token(manager, of, by, { typ: 'delegate+jwt' });
    const socket = new WebSocket(`${manager.url.replace('http', 'ws')}/delegate/v1/connect`, 'delegate.v1', {
      headers: { authorization: `Bearer ${bearer}` },
    });
    return await new Promise((resolve) => {
      socket.on('open', () => socket.close(1000));
      socket.on('close', () => resolve(101));
      socket.on('error', () => {});
      socket.on('unexpected-response', (_request, response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
    });
  }

  async function scene() {
    const { manager } = await start();
    const old = await enrol(manager);
    const next = { ...(await createIdentity()), instanceId: old.instanceId };
    return { manager, old, next };
  }

  it('accepts both from then on, however often it is asked', async () => {
    const { manager, old, next } = await scene();
    for (const _ of [1, 2]) {
      const body = { publicKey: next.publicKey, proof: await proof(manager, old, next) };
      const answer = await ask(manager, await token(manager, old, old), body);
      expect(answer).to.deep.equal({ status: 200, body: { keyId: next.thumbprint } });
    }
    expect(await connect(manager, old, old)).to.equal(101);
    expect(await connect(manager, old, next)).to.equal(101);
  });

  it('knows nothing of the new key before it is asked', async () => {
    const { manager, old, next } = await scene();
    expect(await connect(manager, old, next)).to.equal(401);
  });

  /** What is wrong with a request that is right in all else. */
  type Flaw = (world: Awaited<ReturnType<typeof scene>>) => {
    by?: Identity;
    token?: Changes;
    proof?: Changes;
    body?: object;
  };
  const elsewhere = { claims: { aud: 'https://other.example.com' } };
  const inAnHour = (): number => Math.floor(Date.now() / 1_000) + 3_600;

  const refusals: [what: string, status: number, flaw: Flaw][] = [
    ['a connect token', 401, () => ({ token: { typ: 'delegate+jwt' } })],
    ['a token by the new key', 401, ({ next }) => ({ by: next })],
    [
      'a token by a stranger in the name of the old key',
      401,
      ({ next }) => ({ token: { signer: next.privateKey } }),
    ],
    ['a token for another manager', 401, () => ({ token: elsewhere })],
    ['a token that lives for long', 401, () => ({ token: { claims: { exp: inAnHour() } } })],
    ['no proof', 400, () => ({ body: { proof: undefined } })],
    ['a proof by the old key', 400, ({ old }) => ({ proof: { signer: old.privateKey } })],
    ['a proof of another kind', 400, () => ({ proof: { typ: 'delegate+jwt' } })],
    ['a proof for another delegate', 400, () => ({ proof: { claims: { delegateId: 'dlg-other' } } })],
    [
      'a proof for the place of another key',
      400,
      ({ next }) => ({ proof: { claims: { replaces: next.thumbprint } } }),
    ],
    ['a proof for another manager', 400, () => ({ proof: elsewhere })],
    ['a proof that lives for long', 400, () => ({ proof: { claims: { exp: inAnHour() } } })],
    ['a proof that names another key', 400, ({ old }) => ({ proof: { kid: old.thumbprint } })],
    ['a private key', 400, ({ next }) => ({ body: { publicKey: { ...next.publicKey, d: 'AAAA' } } })],
  ];
  for (const [what, status, flaw] of refusals) {
    it(`refuses ${what} with ${status}, and the new key with it`, async () => {
      const world = await scene();
      const { manager, old, next } = world;
      const { by = old, token: changes, proof: proofChanges, body } = flaw(world);
      const bearer = await token(manager, old, by, changes);
      const right = { publicKey: next.publicKey, proof: await proof(manager, old, next, proofChanges) };
      expect((await ask(manager, bearer, { ...right, ...body })).status).to.equal(status);
      expect(await connect(manager, old, next)).to.equal(401);
      expect(await connect(manager, old, old)).to.equal(101);
    });
  }

  it('takes a token once', async () => {
    const { manager, old, next } = await scene();
    const bearer = await token(manager, old, old);
    const body = { publicKey: next.publicKey, proof: await proof(manager, old, next) };
    expect((await ask(manager, bearer, body)).status).to.equal(200);
    expect((await ask(manager, bearer, body)).status).to.equal(401);
  });

  it('gives nobody the key of another delegate', async () => {
    const { manager, old } = await scene();
    const other = await enrol(manager, 'eu-2');
    const body = { publicKey: other.publicKey, proof: await proof(manager, old, other) };
    expect((await ask(manager, await token(manager, old, old), body)).status).to.equal(409);
    expect(await connect(manager, other, other)).to.equal(101);
  });

  it('opens no session any more by a connection that the old key was still good for', async () => {
    const { manager, old, next } = await scene();
    const late = await ScriptedDelegate.connect(manager, old);
    const body = { publicKey: next.publicKey, proof: await proof(manager, old, next) };
    await ask(manager, await token(manager, old, old), body);
    const { delegateId } = old;
    const { delegate } = await ScriptedDelegate.join(manager, { ...next, delegateId });
    await delegate.vanish();
    await until('the session is over', () => manager.sessions.length === 0);
    late.hello();
    expect((await late.closed).code).to.equal(4401);
    expect(late.received).to.deep.equal([]);
  });

  it('refuses both keys of a delegate that was revoked meanwhile', async () => {
    const { manager, old, next } = await scene();
    const body = { publicKey: next.publicKey, proof: await proof(manager, old, next) };
    await ask(manager, await token(manager, old, old), body);
    manager.revoke(old.delegateId);
    expect((await ask(manager, await token(manager, old, old), body)).status).to.equal(403);
    expect(await connect(manager, old, old)).to.equal(403);
    expect(await connect(manager, old, next)).to.equal(403);
  });
});
