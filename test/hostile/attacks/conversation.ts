import { attack, basic, CHECK, connectorTo, question, type Attack, type AttackGroup } from '../attack.ts';
import { CANARIES } from '../canaries.ts';
import { ScriptedManager, type HttpAnswer } from '../../support/scripted-manager.ts';
import { until } from '../../support/until.ts';
import type { Came, Victim } from '../victim.ts';
import type { HostileWorld } from '../world.ts';

const HONEST_ENROLMENT: HttpAnswer = { status: 201, body: { delegateId: 'dlg-1' } };
const LOGGED = 'no session';

/** What the log says of the first opening that failed. */
async function firstFailure(victim: Victim): Promise<Came> {
  await until('a failure in the log', () => victim.lastLogged(LOGGED) !== undefined);
  const failed = victim.lastLogged(LOGGED);
  if (failed === undefined) throw new Error('it was there');
  return failed;
}

/** An answer to the enrolment; the manager turns honest afterwards. */
const enrolled = (name: string, comesTo: string, answer: (world: HostileWorld) => HttpAnswer): Attack =>
  attack(name, { on: 'fresh', comesTo }, async (world, victim) => {
    victim.manager.script.enrolment = answer(world);
    await victim.launch();
    const came = await firstFailure(victim);
    victim.manager.script.enrolment = HONEST_ENROLMENT;
    await victim.connected();
    return came;
  });

/** A welcome that is none; the manager turns honest afterwards. */
const welcomed = (name: string, comesTo: string, frame: string): Attack =>
  attack(name, { on: 'fresh', comesTo }, async (_world, victim) => {
    victim.manager.script.welcome = 'never';
    await victim.launch();
    const connection = await victim.manager.nextConnection();
    await connection.next('hello');
    connection.sendRaw(frame);
    const { code, reason } = await connection.closed();
    victim.manager.script.welcome = {};
    await victim.connected();
    return { code: String(code), text: reason };
  });

const welcome = (fields: string): string =>
  `{"type":"welcome","sessionId":"s","managerTime":"2026-11-23T10:00:00Z","heartbeatMs":10000,"leaseMs":30000,"maxFrameBytes":65536,"lost":[]${fields}}`;

const ask = async (world: HostileWorld, victim: Victim): Promise<Came> =>
  await victim.ask(CHECK, question(connectorTo(world.serviceNow.url, basic())));

export const CONVERSATION: AttackGroup = {
  title: 'A conversation that is not held in good faith',
  attacks: [
    enrolled('an enrolment that redirects the token to the enemy', 'enrolment-failed', ({ attacker }) => ({
      status: 307,
      headers: { location: `${attacker.url}/delegate/v1/enroll` },
    })),
    enrolled('an enrolment that mirrors the token', 'enrolment-failed', () => ({
      status: 500,
      body: `no: ${CANARIES.ENROLMENT_TOKEN}`,
    })),
    enrolled('an enrolment with keys that are none', 'enrolment-failed', () => ({
      status: 201,
      body: { delegateId: 'dlg-1', taskSigningKeys: { keys: [{ kty: 'oct', k: 'x' }] } },
    })),
    enrolled('an enrolment without an end', 'http.response-too-large', () => ({
      status: 201,
      body: 'x'.repeat(17 * 1_048_576),
    })),
    enrolled('an enrolment that is a page', 'enrolment-failed', () => ({
      status: 201,
      headers: { 'content-type': 'text/html' },
      body: '<html></html>',
    })),
    attack(
      'an enrolment that calls the delegate by two lines',
      { on: 'fresh', comesTo: 'succeeded' },
      async (world, victim) => {
        victim.manager.script.enrolment = { status: 201, body: { delegateId: 'dlg\r\nX-Evil: 1' } };
        await victim.start();
        return await ask(world, victim);
      },
    ),
    attack(
      'a connection that redirects to the enemy',
      { on: 'fresh', comesTo: 'upgrade-refused' },
      async (world, victim) => {
        victim.manager.script.upgrade = {
          status: 307,
          headers: { location: `${world.attacker.url}/delegate/v1/connect` },
        };
        await victim.launch();
        const came = await firstFailure(victim);
        victim.manager.script.upgrade = 'accept';
        await victim.connected();
        return came;
      },
    ),
    attack(
      'another manager with the token of this one',
      { on: 'fresh', comesTo: 'one token, one manager' },
      async (_world, victim) => {
        await victim.start();
        await using other = await ScriptedManager.start();
        victim.connection.send({ type: 'drain', reason: `go to ${other.url}`, reconnectAfterMs: 0 });
        victim.connection.sendRaw(
          JSON.stringify({ type: 'drain', reason: 'x', reconnectAfterMs: 0, managerUrl: other.url }),
        );
        await victim.connected();
        return { code: other.heard.length === 0 ? 'one token, one manager' : 'moved', text: '' };
      },
    ),
    attack(
      'keys for signing that no known key vouches for',
      { on: 'fresh', comesTo: 'bad-signature', says: 'is not signed', afterwards: 'bad-signature' },
      async (world, victim) => {
        const taskSigningKeys = { keys: [world.signingJwk] };
        victim.manager.script.enrolment = { status: 201, body: { delegateId: 'dlg-1', taskSigningKeys } };
        await victim.start();
        const claims = Buffer.from(JSON.stringify({ keys: [], sequence: 99 })).toString('base64url');
        victim.connection.send({ type: 'task-signing-keys', signed: `eyJhbGciOiJub25lIn0.${claims}.` });
        return await ask(world, victim);
      },
    ),
    attack(
      'refusals, so that it enrols again and loses the keys for signing',
      { on: 'fresh', comesTo: 'bad-signature', says: 'is not signed', afterwards: 'bad-signature' },
      async (world, victim) => {
        const taskSigningKeys = { keys: [world.signingJwk] };
        victim.manager.script.enrolment = { status: 201, body: { delegateId: 'dlg-1', taskSigningKeys } };
        await victim.start();
        victim.manager.script.enrolment = HONEST_ENROLMENT;
        victim.manager.script.upgrade = { status: 401 };
        victim.connection.drop();
        const { connectTokens } = victim.manager;
        const refused = connectTokens.length + 3;
        await until('it was refused', () => connectTokens.length >= refused);
        victim.manager.script.upgrade = 'accept';
        await victim.connected();
        return await ask(world, victim);
      },
    ),
    welcomed('a lease shorter than its heartbeats', '4400', welcome(',"leaseMs":0')),
    welcomed('a lease beyond all numbers', '4400', welcome(',"leaseMs":1e308')),
    welcomed('heartbeats without a pause', '4400', welcome(',"heartbeatMs":0')),
    welcomed('frames that hold nothing', '4400', welcome(',"maxFrameBytes":1')),
    welcomed('a task before the welcome', '4400', '{"type":"pause","reason":"x"}'),
    attack('a heartbeat every millisecond', { on: 'fresh', comesTo: 'succeeded' }, async (world, victim) => {
      victim.manager.script.welcome = { heartbeatMs: 1, leaseMs: 3 };
      await victim.launch();
      const connection = await victim.manager.nextConnection();
      const isBusy = (): boolean => connection.all('heartbeat').length >= 20;
      await until('heartbeats, or the end of it', () => isBusy() || !connection.isOpen);
      victim.manager.script.welcome = {};
      connection.drop();
      await victim.connected();
      return await ask(world, victim);
    }),
    attack('a hundred moves', { on: 'fresh', comesTo: 'succeeded' }, async (world, victim) => {
      await victim.start();
      for (let n = 0; n < 20; n += 1) {
        for (let m = 0; m < 5; m += 1)
          victim.connection.send({ type: 'drain', reason: 'again', reconnectAfterMs: 0 });
        await victim.connected();
      }
      return await ask(world, victim);
    }),
    attack('a pause that does not end', { on: 'fresh', comesTo: 'succeeded' }, async (world, victim) => {
      await victim.start();
      victim.connection.send({ type: 'pause', reason: 'for ever' });
      const came = await ask(world, victim);
      victim.connection.send({ type: 'resume' });
      return came;
    }),
    attack(
      'words with a secret in them, thrown back',
      { on: 'fresh', comesTo: 'succeeded' },
      async (world, victim) => {
        await victim.start();
        await ask(world, victim);
        victim.connection.close(4400, CANARIES.PASSWORD.slice(0, 60));
        await victim.connection.closed();
        await victim.connected();
        return await ask(world, victim);
      },
    ),
  ],
};
