import type { Json } from '../../src/protocol/messages.ts';
import type { Got, Reply } from './servers.ts';
import type { Came, Victim } from './victim.ts';
import type { HostileWorld, SetUp } from './world.ts';

/** One thing that a manager tries, and what must come of it. */
export interface Attack {
  readonly name: string;
  readonly on: SetUp;
  /** The code of the refusal; `succeeded` where the task is honest and what comes back is not. */
  readonly comesTo: string;
  /** What the manager reads, among others: which of the reasons for this code it was. */
  readonly says?: string;
  /** Whether the enemy's servers may be called at all, without anything worth having; no, unless said. */
  readonly mayCall?: boolean;
  /** What an honest task comes to afterwards; that it succeeds, unless said. */
  readonly afterwards?: string;
  readonly run: (world: HostileWorld, victim: Victim) => Promise<Came>;
}

export interface AttackGroup {
  readonly title: string;
  readonly attacks: readonly Attack[];
}

export const VALIDATE = 'servicenow.connector.validate';
export const CHECK = 'servicenow.approval.check';

type Fields = Readonly<Record<string, Json>>;

export interface Auth {
  readonly type: string;
  readonly spec: Fields;
}

export const basic = (passwordRef = 'env:PASSWORD', username = 'svc_deploy'): Auth => ({
  type: 'UsernamePassword',
  spec: { username, passwordRef },
});

export const oidc = (tokenUrl: string, more: Fields = {}): Auth => ({
  type: 'RefreshTokenGrantType',
  spec: {
    tokenUrl,
    clientIdRef: 'env:CLIENT_ID',
    clientSecretRef: 'env:CLIENT_SECRET',
    refreshTokenRef: 'env:REFRESH_TOKEN',
    ...more,
  },
});

export const adfs = (adfsUrl: string, more: Fields = {}): Auth => ({
  type: 'AdfsClientCredentialsWithCertificate',
  spec: {
    adfsUrl,
    clientIdRef: 'env:CLIENT_ID',
    resourceIdRef: 'env:CLIENT_ID',
    certificateRef: 'file:password',
    privateKeyRef: 'file:password',
    ...more,
  },
});

export const connectorTo = (url: string, auth: Auth, more: Fields = {}): Json => ({
  name: 'ServiceNow',
  identifier: 'servicenow',
  type: 'ServiceNow',
  spec: { serviceNowUrl: url, auth: { ...auth } },
  ...more,
});

const CRITERIA: Json = {
  type: 'KeyValues',
  spec: { conditions: [{ key: 'state', operator: 'equals', value: '-1' }] },
};

/** Whether the change of the honest ServiceNow is approved. */
export const question = (connector: Json, more: Fields = {}): Json => ({
  connector,
  ticket: { type: 'change_request', number: 'CHG0030001' },
  approvalCriteria: CRITERIA,
  ...more,
});

/** What a row says beside its name: where, what comes of it, and why. */
export type Expected = Pick<Attack, 'on' | 'comesTo' | 'says' | 'mayCall' | 'afterwards'>;

export function attack(name: string, expected: Expected, run: Attack['run']): Attack {
  return { name, ...expected, run };
}

/** A test of a connector, whose settings the attack writes. */
export function validating(
  name: string,
  expected: Expected,
  connector: (world: HostileWorld) => Json,
): Attack {
  return attack(
    name,
    expected,
    async (world, victim) => await victim.ask(VALIDATE, { connector: connector(world) }),
  );
}

/** A test of a connector at this address, with the password of the honest one. */
export function validatingAt(name: string, expected: Expected, url: (world: HostileWorld) => string): Attack {
  return validating(name, expected, (world) => connectorTo(url(world), basic()));
}

/** The honest instance, asked with something else in the question. */
export function asking(name: string, expected: Expected, more: (world: HostileWorld) => Fields): Attack {
  return attack(
    name,
    expected,
    async (world, victim) =>
      await victim.ask(CHECK, question(connectorTo(world.serviceNow.url, basic()), more(world))),
  );
}

/** Some of the answers never come, or never end. */
const ANSWERED_WITHIN_MS = 1_000;

/** The honest question, to a ServiceNow that answers as the enemy wants. */
export function answered(
  name: string,
  expected: Expected,
  reply: (world: HostileWorld, sent: Got) => Reply | 'never' | 'drip',
): Attack {
  return attack(name, expected, async (world, victim) => {
    world.serviceNow.reply = (sent) => reply(world, sent);
    // Credentials that were refused are not sent again for a while, and the next attack has the same password.
    const user = victim.newTaskId();
    const connector = connectorTo(world.serviceNow.url, basic('env:PASSWORD', user));
    return await victim.ask(CHECK, question(connector), { timeoutMs: ANSWERED_WITHIN_MS });
  });
}

/** A test of the honest connector by refresh token, with a token server that answers as the enemy wants. */
export function tokenAnswered(
  name: string,
  expected: Expected,
  reply: (sent: string, world: HostileWorld) => Reply,
): Attack {
  return attack(name, expected, async (world, victim) => {
    world.tokenServer.reply = ({ body }) => reply(body, world);
    const identifier = victim.newTaskId().replace('-', '_');
    const connector = connectorTo(world.serviceNow.url, oidc(world.tokenUrl), { identifier });
    return await victim.ask(VALIDATE, { connector });
  });
}
