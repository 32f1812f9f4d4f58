import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, type JWK } from 'jose';
import type { Lookup } from '../../src/http/sockets.ts';
import { systemClock } from '../../src/kit/time.ts';
import { Authority } from '../support/authority.ts';
import { FakeVault } from '../support/fake-vault.ts';
import { fastClock } from '../support/fast-clock.ts';
import { CANARIES } from './canaries.ts';
import { honestServiceNow, RecordingServer } from './servers.ts';
import { Victim, type Output } from './victim.ts';

/**
 * How the operator has set a delegate up.
 *
 * - `policy`: with a policy file that names one instance and one token server
 * - `default`: without one
 * - `strict`: without one, and without the development switch that allows loopback
 * - `signed`: without one; tasks have to be signed
 * - `stores`: without one; with Vault, a command, and a name that is mapped
 * - `fresh`: as `default`; one for each attack, which starts it itself, with a clock that runs fast
 */
export type SetUp = 'policy' | 'default' | 'strict' | 'signed' | 'stores' | 'fresh';

/** The names that the enemy's certificate is for, and that its DNS knows. */
export const ENEMY_NAMES = ['attacker.example.com', 'rebinding.example.com'] as const;

/** How fast the time of a `fresh` delegate runs: back-off after a lost connection grows to a minute. */
const FRESH_TIME_FACTOR = 10;

/** Of the set-up `signed`. */
const SIGNING_KEY_ID = 'signing-1';

interface Parts {
  readonly home: string;
  readonly vault: FakeVault;
  readonly servers: readonly [RecordingServer, RecordingServer, RecordingServer, RecordingServer];
  readonly signing: { readonly privateKey: KeyObject; readonly jwk: JWK };
}

/** The customer's network with an enemy for a manager: servers that are allowed, servers that are the enemy's, delegates. */
export class HostileWorld implements AsyncDisposable {
  /** The customer's ServiceNow, allowed by the policy; it may have been broken into. */
  readonly serviceNow: RecordingServer;
  readonly tokenServer: RecordingServer;
  /** The enemy's. */
  readonly attacker: RecordingServer;
  /** The same with a certificate that the delegate trusts. */
  readonly attackerTls: RecordingServer;
  readonly vault: FakeVault;
  readonly signingKey: KeyObject;
  readonly signingKeyId = SIGNING_KEY_ID;
  /** The public half. */
  readonly signingJwk: JWK;
  /** What DNS answers, by host name: one after the other, and the last one for ever. */
  readonly names = new Map<string, string[]>();
  readonly #home: string;
  readonly #victims = new Map<SetUp, Promise<Victim>>();
  /** Whether they got as far as a session or not. */
  readonly #made: Promise<Victim>[] = [];
  #fresh = 0;

  private constructor({ home, vault, servers, signing }: Parts) {
    [this.serviceNow, this.tokenServer, this.attacker, this.attackerTls] = servers;
    this.vault = vault;
    this.#home = home;
    this.signingKey = signing.privateKey;
    this.signingJwk = signing.jwk;
    this.reset();
  }

  static async start(): Promise<HostileWorld> {
    const home = await mkdtemp(join(tmpdir(), 'delegate-hostile-'));
    const authority = await Authority.create('Hostile tests');
    const servers = [
      await RecordingServer.start(),
      await RecordingServer.start(),
      await RecordingServer.start(),
      await RecordingServer.start(authority.issue({ names: ['127.0.0.1', ...ENEMY_NAMES] })),
    ] as const;
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const jwk = { ...(await exportJWK(publicKey)), kid: SIGNING_KEY_ID };
    await writeFile(join(home, 'ca.pem'), authority.cert);
    await layOutSecrets(home);
    const vault = await FakeVault.start({ clock: systemClock });
    vault.issue(CANARIES.VAULT_TOKEN);
    vault.mount('kv', 2);
    vault.put('kv', 'snow', { password: CANARIES.VAULT });
    vault.put('kv', 'others/snow', { password: CANARIES.VAULT_OTHER });
    vault.denied.add('kv/data/others/snow');
    return new HostileWorld({ home, vault, servers, signing: { privateKey, jwk } });
  }

  /** Honest servers, honest DNS, and nothing seen yet. */
  reset(): void {
    this.serviceNow.reply = (request) => honestServiceNow(request);
    this.tokenServer.reply = () => ({
      body: { access_token: CANARIES.ACCESS_TOKEN, token_type: 'Bearer', expires_in: 3_600 },
    });
    this.attacker.reply = () => ({ body: { result: [] } });
    this.attackerTls.reply = () => ({ body: { result: [] } });
    this.names.clear();
    for (const server of this.#servers) server.got.length = 0;
  }

  get tokenUrl(): string {
    return `${this.tokenServer.url}/token`;
  }

  /** The same server, which is an AD FS as well. */
  get adfsUrl(): string {
    return `${this.tokenServer.url}/adfs`;
  }

  get #servers(): readonly RecordingServer[] {
    return [this.serviceNow, this.tokenServer, this.attacker, this.attackerTls];
  }

  /** What the enemy's servers were sent. */
  get captured(): Output[] {
    return [this.attacker, this.attackerTls].flatMap(({ got }) =>
      got.map((request) => ({ where: 'a server of the enemy', text: JSON.stringify(request) }) as const),
    );
  }

  /** Lets the attack have the delegate of a set-up; all of them share it, but for `fresh`. */
  async withVictim<T>(setUp: SetUp, attack: (victim: Victim) => Promise<T>): Promise<T> {
    if (setUp !== 'fresh') return await attack(await this.#shared(setUp));
    this.#fresh += 1;
    await using victim = await this.#victimOf(setUp, `fresh-${this.#fresh}`);
    return await attack(victim);
  }

  #shared(setUp: SetUp): Promise<Victim> {
    const known = this.#victims.get(setUp);
    if (known !== undefined) return known;
    const made = this.#victimOf(setUp, setUp);
    this.#made.push(made);
    const started = made.then(async (victim) => {
      await victim.start();
      return victim;
    });
    this.#victims.set(setUp, started);
    return started;
  }

  async #victimOf(setUp: SetUp, name: string): Promise<Victim> {
    const stateDir = join(this.#home, `state-${name}`);
    await mkdir(stateDir);
    const timeFactor = setUp === 'fresh' ? FRESH_TIME_FACTOR : 1;
    const clock = fastClock({ factor: timeFactor, epochMs: Date.now() });
    const environment = { ...this.#environment(stateDir, name), ...(await this.#settingsOf(setUp)) };
    const args = setUp === 'stores' ? [`--config=${await this.#file('config.yaml', NAMES)}`] : [];
    return await Victim.create({
      script: {},
      stateDir,
      environment,
      args,
      lookup: this.#lookup,
      clock,
      timeFactor,
    });
  }

  #environment(stateDir: string, name: string): Record<string, string> {
    return {
      DELEGATE_ENROLMENT_TOKEN: CANARIES.ENROLMENT_TOKEN,
      DELEGATE_STATE_KEY_FILE: join(this.#home, 'secrets', 'state-key'),
      DELEGATE_STATE_DIR: stateDir,
      DELEGATE_NAME: name,
      DELEGATE_HTTP_PORT: '0',
      DELEGATE_SECRETS_DIR: join(this.#home, 'secrets'),
      DELEGATE_CA_FILE: join(this.#home, 'ca.pem'),
      DELEGATE_LOG_LEVEL: 'trace',
      DELEGATE_SECRET_PASSWORD: CANARIES.PASSWORD,
      DELEGATE_SECRET_CLIENT_ID: CANARIES.CLIENT_ID,
      DELEGATE_SECRET_CLIENT_SECRET: CANARIES.CLIENT_SECRET,
      DELEGATE_SECRET_REFRESH_TOKEN: CANARIES.REFRESH_TOKEN,
      DELEGATE_SECRET_GUESSABLE: GUESSABLE,
      OTHER_VARIABLE: CANARIES.OTHER_VARIABLE,
    };
  }

  async #settingsOf(setUp: SetUp): Promise<Readonly<Record<string, string>>> {
    if (setUp === 'strict') return {};
    const loopback = { DELEGATE_ALLOW_LOOPBACK: 'true' };
    if (setUp === 'policy') {
      const policy = policyText(this.serviceNow.url, this.tokenUrl);
      return { ...loopback, DELEGATE_POLICY_FILE: await this.#file('policy.yaml', policy) };
    }
    if (setUp === 'signed') {
      const keys = await this.#file('keys.json', JSON.stringify({ keys: [this.signingJwk] }));
      return { ...loopback, DELEGATE_TASK_SIGNING_KEYS_FILE: keys };
    }
    if (setUp === 'stores') {
      const command = JSON.stringify({ listed: { command: ['/bin/echo', CANARIES.COMMAND] } });
      return {
        ...loopback,
        DELEGATE_VAULT_ADDRESS: this.vault.address,
        DELEGATE_VAULT_TOKEN_FILE: await this.#file('vault-token', CANARIES.VAULT_TOKEN),
        DELEGATE_EXEC_SECRETS_FILE: await this.#file('commands.yaml', command),
      };
    }
    return loopback;
  }

  async #file(name: string, text: string): Promise<string> {
    const path = join(this.#home, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  }

  readonly #lookup: Lookup = (hostname, _options, callback) => {
    const answers = this.names.get(hostname);
    const address = answers !== undefined && answers.length > 1 ? answers.shift() : answers?.[0];
    if (address === undefined) callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), []);
    else callback(null, [{ address, family: address.includes(':') ? 6 : 4 }]);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    const victims = await Promise.all(this.#made);
    await Promise.all(victims.map((victim) => victim[Symbol.asyncDispose]()));
    await Promise.all(this.#servers.map((server) => server[Symbol.asyncDispose]()));
    await this.vault[Symbol.asyncDispose]();
    await rm(this.#home, { recursive: true, force: true });
  }
}

/** Short, and so easier to guess than to find. */
export const GUESSABLE = 'tiger-77';

const NAMES = 'secretNames:\n  snow.password: env:PASSWORD\n';

function policyText(instance: string, tokenUrl: string): string {
  const tokenServer = new URL(tokenUrl).origin;
  return `version: 1
signedTasks: optional
instances:
  - url: ${instance}
    tasks: [servicenow.connector.validate, servicenow.approval.check]
    tables: [change_request]
    tokenServers: ['${tokenUrl}', '${tokenServer}/adfs/oauth2/token']
tokenServers:
  - url: ${tokenUrl}
  - url: ${tokenServer}/adfs/oauth2/token
secrets:
  - { reference: 'env:PASSWORD', hosts: ['${instance}'] }
  - { reference: 'env:GUESSABLE', hosts: ['${instance}'] }
  - { reference: 'env:CLIENT_ID', hosts: ['${tokenServer}', '${instance}'] }
  - { reference: 'env:CLIENT_SECRET', hosts: ['${tokenServer}'] }
  - { reference: 'env:REFRESH_TOKEN', hosts: ['${tokenServer}'] }
`;
}

/** The folder that secrets are read from, with what somebody could have put into it, and one beside it. */
async function layOutSecrets(home: string): Promise<void> {
  const [folder, outside] = [join(home, 'secrets'), join(home, 'outside')];
  await mkdir(folder);
  await mkdir(outside);
  await writeFile(join(folder, 'password'), CANARIES.FILE);
  await writeFile(join(outside, 'secret'), CANARIES.OUTSIDE);
  await symlink(join(outside, 'secret'), join(folder, 'link'));
  await symlink(outside, join(folder, 'linked-folder'));
  await symlink('/dev/zero', join(folder, 'endless'));
  await writeFile(join(folder, 'huge'), Buffer.alloc(100_000, 'x'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  // As container platforms mount it: beside the secrets of connectors.
  await writeFile(join(folder, 'state-key'), CANARIES.STATE_KEY);
  await symlink('state-key', join(folder, 'linked-state-key'));
  await chmod(folder, 0o700);
}
