import { sign as signBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Json } from '../../../src/protocol/messages.ts';
import { inputHash } from '../../../src/protocol/task-signature.ts';
import { attack, basic, connectorTo, VALIDATE, type Attack, type AttackGroup } from '../attack.ts';
import type { Came, Victim } from '../victim.ts';
import type { HostileWorld } from '../world.ts';

type Claims = Readonly<Record<string, unknown>>;

const BAD = { on: 'signed', comesTo: 'bad-signature' } as const;
const DAY_S = 86_400;

const now = (): number => Math.floor(Date.now() / 1_000);
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const honest = (world: HostileWorld): Json => ({ connector: connectorTo(world.serviceNow.url, basic()) });

function claimsOf(taskId: string, input: Json, attempt = 1): Claims {
  const iat = now();
  const task = { taskId, attempt, name: VALIDATE, version: 1, delegateId: 'dlg-1' };
  return { ...task, inputHash: inputHash(input), iat, exp: iat + 300 };
}

/** By hand: a library would refuse to sign some of this. */
function sign(world: HostileWorld, claims: Claims, header: Claims = {}): string {
  const signed = `${encoded({ alg: 'EdDSA', kid: world.signingKeyId, ...header })}.${encoded(claims)}`;
  return `${signed}.${signBytes(null, Buffer.from(signed), world.signingKey).toString('base64url')}`;
}

/** An honest task with an honest signature; for what comes after. */
export async function signedTask(world: HostileWorld, victim: Victim): Promise<Came> {
  const input = honest(world);
  const taskId = victim.newTaskId();
  return await victim.ask(VALIDATE, input, { taskId, signature: sign(world, claimsOf(taskId, input)) });
}

/** The honest task, with a signature of the enemy's making. */
const forged = (
  name: string,
  says: string,
  make: (claims: Claims, world: HostileWorld) => string | Promise<string>,
): Attack =>
  attack(name, { ...BAD, says }, async (world, victim) => {
    const input = honest(world);
    const taskId = victim.newTaskId();
    const signature = await make(claimsOf(taskId, input), world);
    return await victim.ask(VALIDATE, input, { taskId, signature });
  });

/** A signature by the real key, of which one claim is another. */
const claiming = (name: string, says: string, changes: () => Claims): Attack =>
  forged(name, says, (claims, world) => sign(world, { ...claims, ...changes() }));

export const SIGNATURES: AttackGroup = {
  title: 'Tasks without a signature, or with that of another',
  attacks: [
    attack(
      'an honest signature, to show that there is a difference',
      { on: 'signed', comesTo: 'succeeded' },
      signedTask,
    ),
    attack(
      'no signature',
      { ...BAD, says: 'is not signed' },
      async (world, victim) => await victim.ask(VALIDATE, honest(world)),
    ),
    attack('a signature over another input', { ...BAD, says: 'of another input' }, async (world, victim) => {
      const taskId = victim.newTaskId();
      const signature = sign(world, claimsOf(taskId, honest(world)));
      const input = { connector: connectorTo(world.attacker.url, basic()) };
      return await victim.ask(VALIDATE, input, { taskId, signature });
    }),
    claiming('the signature of another task', 'of another task', () => ({ taskId: 'another' })),
    claiming('the signature of another attempt', 'of another task or attempt', () => ({ attempt: 2 })),
    claiming('the signature of another kind of task', 'of another task type', () => ({
      name: 'servicenow.approval.check',
    })),
    claiming('a signature for another delegate', 'for another delegate', () => ({ delegateId: 'dlg-2' })),
    claiming('a signature that has expired', 'has expired', () => ({ iat: now() - DAY_S, exp: now() - 600 })),
    claiming('a signature from the future', 'from the future', () => ({
      iat: now() + 3_600,
      exp: now() + 3_900,
    })),
    claiming('a signature that lasts for years', 'holds for longer', () => ({ exp: now() + 1_000 * DAY_S })),
    claiming('a signature without an end', 'lacks claims', () => ({ exp: undefined })),
    claiming('an end beyond all numbers', 'lacks claims', () => ({ exp: '1e400' })),
    forged('the algorithm none', '', (claims) => `${encoded({ alg: 'none' })}.${encoded(claims)}.`),
    forged('HMAC with the public key', '', (claims, world) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid: world.signingKeyId })
        .sign(Buffer.from(world.signingJwk.x ?? '', 'base64url')),
    ),
    forged(
      'a key that comes along',
      '',
      (claims, world) =>
        `${encoded({ alg: 'EdDSA', jwk: { kty: 'OKP', crv: 'Ed25519', x: world.signingJwk.x } })}.${encoded(claims)}.AAAA`,
    ),
    forged('an extension that nobody knows', '', (claims, world) =>
      sign(world, claims, { crit: ['http://evil.example/x'], 'http://evil.example/x': true }),
    ),
    forged(
      'a path for a key',
      '',
      (claims) => `${encoded({ alg: 'EdDSA', kid: '../../identity.json' })}.${encoded(claims)}.AAAA`,
    ),
    forged('a signature cut in half', '', (claims, world) => sign(world, claims).slice(0, -20)),
    forged('no token at all', '', () => 'x'.repeat(16_000)),
    attack(
      'the same task again, after it was done and after a restart',
      { on: 'signed', comesTo: 'stale-attempt' },
      async (world, victim) => {
        const input = honest(world);
        const taskId = victim.newTaskId();
        const signature = sign(world, claimsOf(taskId, input));
        await victim.ask(VALIDATE, input, { taskId, signature });
        await victim.restart();
        const copy = victim.connection;
        copy.assign({ taskId, attempt: 1 }, VALIDATE, { input, signature });
        const { code, message: text } = await copy.next('task.reject');
        return { code, text, taskId };
      },
    ),
    attack(
      'the signature of the last attempt for the next',
      { ...BAD, says: 'of another task or attempt' },
      async (world, victim) => {
        const input = honest(world);
        const taskId = victim.newTaskId();
        const signature = sign(world, claimsOf(taskId, input));
        await victim.ask(VALIDATE, input, { taskId, signature });
        return await victim.ask(VALIDATE, input, { taskId, attempt: 2, signature });
      },
    ),
    attack('keys for signing that nobody vouches for', { ...BAD }, async (world, victim) => {
      victim.connection.sendRaw(
        JSON.stringify({
          type: 'task-signing-keys',
          signed: `${encoded({ alg: 'none' })}.${encoded({ keys: [], sequence: 99 })}.`,
        }),
      );
      return await victim.ask(VALIDATE, honest(world));
    }),
  ],
};
