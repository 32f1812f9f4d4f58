import { expect } from 'chai';
import { ATTACKS } from './attacks/index.ts';
import { faultsOf, tryOut } from './trial.ts';
import { HostileWorld } from './world.ts';

describe('a hostile manager', () => {
  let world: HostileWorld;

  before(async () => {
    world = await HostileWorld.start();
  });

  after(() => world[Symbol.asyncDispose]());

  for (const { title, attacks } of ATTACKS) {
    describe(title, () => {
      for (const attack of attacks) {
        it(attack.name, async () => {
          expect(faultsOf(attack, await tryOut(attack, world)).join('\n')).to.equal('');
        });
      }
    });
  }
});
