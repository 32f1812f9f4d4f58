import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { request, type IncomingMessage } from 'node:http';
import { deferred } from '../../src/kit/flow.ts';
import { ReplayCache } from '../../src/manager/connect-token.ts';
import { createMemoryStore } from '../../src/manager/manager.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { managersUnderTest } from './support/manager-under-test.ts';
import {
  connectToken,
  createIdentity,
  enrol,
  upgradeStatus,
  type TokenChanges,
} from './support/scripted-delegate.ts';

describe('connecting to the manager', () => {
  const start = managersUnderTest();
  const nowS = (): number => Math.floor(Date.now() / 1000);

  leavesNothingOpen();

  it('works with a token signed by the enrolled key', async () => {
    const { manager } = await start();
    const who = await enrol(manager);
    expect(await upgradeStatus(manager, await connectToken(manager, who))).to.equal(101);
  });

  const accepted: readonly (readonly [string, () => TokenChanges])[] = [
    ['a clock that is 50 s behind', () => ({ iatS: nowS() - 110 })],
    ['a clock that is 50 s ahead', () => ({ iatS: nowS() + 50 })],
  ];
  for (const [what, changes] of accepted) {
    it(`works with ${what}`, async () => {
      const { manager } = await start();
      const who = await enrol(manager);
      expect(await upgradeStatus(manager, await connectToken(manager, who, changes()))).to.equal(101);
    });
  }

  const refused: readonly (readonly [string, () => TokenChanges])[] = [
    ['has expired', () => ({ iatS: nowS() - 125 })],
    ['was issued in the future', () => ({ iatS: nowS() + 65 })],
    ['lives longer than a minute', () => ({ lifeS: 61 })],
    ['is for another manager', () => ({ aud: 'https://elsewhere.example' })],
    ['is of another type', () => ({ typ: 'JWT' })],
    ['is issued by another delegate', () => ({ iss: 'dlg-other' })],
    ['is about another delegate', () => ({ sub: 'dlg-other' })],
    ['names a key that is not enrolled', () => ({ kid: 'unknown' })],
  ];
  for (const [what, changes] of refused) {
    it(`is refused 401 when the token ${what}`, async () => {
      const { manager } = await start();
      const who = await enrol(manager);
      expect(await upgradeStatus(manager, await connectToken(manager, who, changes()))).to.equal(401);
    });
  }

  it('is refused 401 when the signature is by another key', async () => {
    const { manager } = await start();
    const who = await enrol(manager);
    const { privateKey } = await createIdentity();
    expect(await upgradeStatus(manager, await connectToken(manager, who, { key: privateKey }))).to.equal(401);
  });

  it('is refused 401 without a token, and with something that is none', async () => {
    const { manager } = await start();
    expect(await upgradeStatus(manager, undefined)).to.equal(401);
    expect(await upgradeStatus(manager, 'not.a.token')).to.equal(401);
    expect(await upgradeStatus(manager, 'x'.repeat(9_000))).to.equal(401);
  });

  it('is refused 401 when the token was used before', async () => {
    const { manager } = await start();
    const who = await enrol(manager);
    const token = await connectToken(manager, who, { jti: randomUUID() });
    expect(await upgradeStatus(manager, token)).to.equal(101);
    expect(await upgradeStatus(manager, token)).to.equal(401);
  });

  it('is refused 401 when the token was used before a restart on the same store', async () => {
    const publicUrl = 'https://manager.example.com';
    const store = createMemoryStore();
    const { manager: before } = await start({ store, publicUrl });
    const who = await enrol(before);
    const token = await connectToken(before, who);
    expect(await upgradeStatus(before, token)).to.equal(101);
    await before.close();
    const { manager: after } = await start({ store, publicUrl });
    expect(await upgradeStatus(after, token)).to.equal(401);
    expect(await upgradeStatus(after, await connectToken(after, who))).to.equal(101);
  });

  it('is refused 403 once the delegate was revoked, but only to the holder of its key', async () => {
    const { manager } = await start();
    const who = await enrol(manager);
    manager.revoke(who.delegateId);
    expect(await upgradeStatus(manager, await connectToken(manager, who))).to.equal(403);
    const { privateKey } = await createIdentity();
    expect(await upgradeStatus(manager, await connectToken(manager, who, { key: privateKey }))).to.equal(401);
  });

  it('is refused 426 without the sub-protocol of this version', async () => {
    const { manager } = await start();
    const who = await enrol(manager);
    expect(await upgradeStatus(manager, await connectToken(manager, who), [])).to.equal(426);
    expect(await upgradeStatus(manager, await connectToken(manager, who), ['delegate.v2'])).to.equal(426);
    const plain = await fetch(`${manager.url}/delegate/v1/connect`);
    await plain.arrayBuffer();
    expect(plain.status).to.equal(426);
  });

  it('is refused 426 with the version to speak, for another version of WebSocket', async () => {
    const { manager } = await start();
    const { hostname, port } = new URL(manager.url);
    const answer = deferred<IncomingMessage>();
    const upgrade = request({
      hostname,
      port,
      path: '/delegate/v1/connect',
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '12',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-protocol': 'delegate.v1',
      },
    });
    upgrade.on('response', (response) => answer.resolve(response));
    upgrade.on('error', (error) => answer.reject(error));
    upgrade.end();
    const response = await answer.promise;
    response.resume();
    expect(response.statusCode).to.equal(426);
    expect(response.headers['sec-websocket-version']).to.equal('13');
  });

  it('takes each loopback spelling of its own port as audience, when it has no public address', async () => {
    const { manager } = await start();
    const who = await enrol(manager);
    const { port } = new URL(manager.url);
    for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
      const token = await connectToken(manager, who, { aud: `http://${host}:${port}` });
      expect(await upgradeStatus(manager, token), host).to.equal(101);
    }
  });

  it('takes its public address alone, when it has one, base path included', async () => {
    const { manager } = await start({ publicUrl: 'https://manager.example.com/base/' });
    expect(manager.publicUrl).to.equal('https://manager.example.com/base');
    const who = await enrol(manager);
    expect(await upgradeStatus(manager, await connectToken(manager, who))).to.equal(101);
    expect(await upgradeStatus(manager, await connectToken(manager, who, { aud: manager.url }))).to.equal(
      401,
    );
    const living = await fetch(`${manager.url}/base/livez`);
    await living.arrayBuffer();
    expect(living.status).to.equal(200);
  });

  for (const publicUrl of [
    'http://LOCALHOST:8081/',
    'https://manager.example.com:443',
    'https://a.example/b//',
  ]) {
    it(`takes its public address as it was given, and as a URL parser writes it: ${publicUrl}`, async () => {
      const { manager } = await start({ publicUrl });
      const who = await enrol(manager);
      for (const aud of [publicUrl.replace(/\/+$/, ''), manager.publicUrl]) {
        expect(await upgradeStatus(manager, await connectToken(manager, who, { aud })), aud).to.equal(101);
      }
    });
  }
});

describe('the memory of used tokens', () => {
  leavesNothingOpen();

  it('forgets what has expired, and refuses rather than forget what has not', () => {
    const { seenTokens } = createMemoryStore();
    const seen = new ReplayCache(seenTokens, 2);
    expect(seen.remember('a', 100, 0)).to.equal('new');
    expect(seen.remember('b', 200, 0)).to.equal('new');
    expect(seen.remember('c', 200, 50)).to.equal('full');
    expect(seen.remember('a', 200, 99)).to.equal('seen');
    expect(seen.remember('c', 200, 100)).to.equal('new');
    expect(seen.size).to.equal(2);
    expect([...seenTokens.values()].map(({ id }) => id)).to.deep.equal(['b', 'c']);
  });

  it('takes an id again once it has expired, and counts it once', () => {
    const seen = new ReplayCache(createMemoryStore().seenTokens, 1);
    expect(seen.remember('a', 100, 0)).to.equal('new');
    expect(seen.remember('a', 200, 100)).to.equal('new');
    expect(seen.size).to.equal(1);
    expect(seen.remember('a', 200, 199)).to.equal('seen');
  });
});
