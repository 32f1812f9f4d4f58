import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import {
  ADFS_CLIENT,
  CERTIFICATE_FILE,
  DEV_ENVIRONMENT_SECRETS,
  PRIVATE_KEY_FILE,
} from '../../src/dev/connectors.ts';
import { createDevelopmentCertificate } from '../../src/dev/fake-identity/index.ts';
import { PASSWORDS, SEED } from '../../src/dev/fake-servicenow/index.ts';
import { startWorld, type World } from '../../src/dev/world.ts';
import { findLeaks, formsOf } from '../support/canaries.ts';
import { CLI } from '../support/cli.ts';

const MANAGER_TASK = z.looseObject({
  state: z.string(),
  outcome: z.string().nullable(),
  output: z.looseObject({ status: z.string().optional() }).optional(),
  error: z.looseObject({ code: z.string() }).optional(),
});

const serviceNowJournal = z.array(
  z.looseObject({ path: z.string(), headers: z.record(z.string(), z.unknown()), body: z.string() }),
);
const adfsJournal = z.array(z.looseObject({ form: z.record(z.string(), z.string()) }));

/** More secrets than the development world has: ones that must fail, and one that ServiceNow mirrors. */
const MORE_SECRETS = {
  IST_PASSWORD: PASSWORDS.svc_deploy_ist,
  UNKNOWN_CLIENT_ID: 'canary-unknown-client-7d1f',
  UNKNOWN_RESOURCE: 'urn:canary:unknown-resource-93ab',
  WRONG_CLIENT_SECRET: 'canary wrong client secret/+=?&é',
  WRONG_REFRESH_TOKEN: 'canary-wrong-refresh-token-55e0',
  EMPTY: '',
} as const;

/** A value typed where a reference belongs: the manager has it then, and the delegate must not repeat it. */
const PASTED = 'canary: a password pasted as its own reference';

/**
 * Every success and failure path of the three authentications in real processes, with every log at its most
 * talkative, and then a search: no secret may stand in what the manager received, in what it answers, in any
 * log, or on the delegate's disk, in raw, JSON, URL, hex or base64 form.
 */
describe('secrets on their way out', function () {
  this.timeout(180_000);
  let world: World;
  const lines: { where: string; text: string }[] = [];
  const outcomes: string[] = [];

  before(async () => {
    world = await startWorld({
      cli: [CLI],
      environment: process.env,
      logLevel: 'debug',
      secrets: MORE_SECRETS,
      // Where everybody may be called there are more paths.
      policy: 'default',
      onLine: (name, text) => lines.push({ where: `log of ${name}`, text }),
    });
  });

  after(() => world.stop());

  const basic = (passwordRef: string, extra: object = {}) => ({
    type: 'UsernamePassword',
    spec: { username: 'svc_deploy', passwordRef, ...extra },
  });
  const adfs = (change: object = {}) => ({
    type: 'AdfsClientCredentialsWithCertificate',
    spec: { ...world.connectors.adfs.spec.auth.spec, ...change },
  });
  const oidc = (change: object = {}) => ({
    type: 'RefreshTokenGrantType',
    spec: { ...world.connectors.refreshToken.spec.auth.spec, ...change },
  });

  async function validate(
    name: string,
    auth: unknown,
    serviceNowUrl = world.addresses.serviceNow,
  ): Promise<void> {
    const connector = {
      name,
      identifier: `c${outcomes.length}`,
      type: 'ServiceNow',
      spec: { serviceNowUrl, auth },
    };
    await submit(name, 'servicenow.connector.validate', { connector });
  }

  async function check(name: string, auth: unknown, expected: string): Promise<void> {
    const spec = { serviceNowUrl: world.addresses.serviceNow, auth };
    await submit(name, 'servicenow.approval.check', {
      connector: { name, identifier: `c${outcomes.length}`, type: 'ServiceNow', spec },
      ticket: { type: 'change_request', number: SEED.changes.implement },
      approvalCriteria: {
        type: 'KeyValues',
        spec: { conditions: [{ key: 'short_description', operator: 'equals', value: expected }] },
      },
    });
  }

  async function submit(name: string, task: string, input: unknown): Promise<void> {
    const body = { name: task, input, selectors: ['eu'], timeoutMs: 30_000 };
    const ended = await world.manager.post('/api/v1/tasks?wait=40000', body, MANAGER_TASK);
    expect(ended.state, name).to.equal('ended');
    outcomes.push(`${name}: ${ended.output?.status ?? ended.error?.code ?? ended.outcome ?? ''}`);
  }

  const serviceNowFault = async (fault: object): Promise<void> => {
    await world.serviceNowAdmin.post('/__sim/faults/clear', {}, z.unknown());
    await world.serviceNowAdmin.post('/__sim/faults/add', { times: 1, ...fault }, z.unknown());
  };
  const adfsFault = (fault: object): Promise<unknown> =>
    world.adfsAdmin.post('/__sim/faults', { times: 1, ...fault }, z.unknown());

  it('are found nowhere, on any path', async () => {
    // A ticket that mirrors a secret back must not carry it to the manager.
    const mirrored = MORE_SECRETS.IST_PASSWORD;
    await world.serviceNowAdmin.post(
      '/__sim/tickets/patch',
      {
        table: 'change_request',
        key: SEED.changes.implement,
        changes: { short_description: `pw ${mirrored}` },
      },
      z.unknown(),
    );

    // --- user name and password
    await validate('password', basic('env:SNOW_PASSWORD'));
    await validate('password by bare name', basic('account.snow_password'));
    await check(
      'mirrored password',
      basic('env:IST_PASSWORD', { username: 'svc_deploy_ist' }),
      'something else',
    );
    await validate('wrong password', basic('env:WRONG_PASSWORD'));
    await validate('user from a secret', {
      type: 'UsernamePassword',
      spec: { usernameRef: 'env:UNKNOWN_CLIENT_ID', passwordRef: 'env:WRONG_PASSWORD' },
    });
    await validate('password missing', basic('env:NOT_THERE'));
    await validate('password empty', basic('env:EMPTY'));
    await validate('password pasted as reference', basic(PASTED));
    await validate('reference of no provider', basic('vault:secret/snow'));
    await validate('instance gone', basic('env:SNOW_PASSWORD'), 'http://127.0.0.1:9');
    await validate('other server', basic('env:SNOW_PASSWORD'), world.addresses.adfs);
    for (const fault of [
      'hibernate-html',
      'hibernate-redirect',
      'sso-redirect',
      'login-html',
      'forbidden-acl',
      'server-error',
      'wrong-content-type',
    ]) {
      await serviceNowFault({ fault, match: { route: 'table' } });
      await validate(`password, ${fault}`, basic('env:SNOW_PASSWORD'));
    }

    // --- AD FS client credentials with certificate
    await validate('AD FS', adfs());
    await check('AD FS approval', adfs(), 'something else');
    await validate('AD FS, unknown client', adfs({ clientIdRef: 'env:UNKNOWN_CLIENT_ID' }));
    await validate('AD FS, unknown resource', adfs({ resourceIdRef: 'env:UNKNOWN_RESOURCE' }));
    await validate(
      'AD FS, certificate in place of the key',
      adfs({ privateKeyRef: `file:${CERTIFICATE_FILE}` }),
    );
    await validate(
      'AD FS, key in place of the certificate',
      adfs({ certificateRef: `file:${PRIVATE_KEY_FILE}` }),
    );
    await validate('AD FS, key that is no key', adfs({ privateKeyRef: 'env:WRONG_CLIENT_SECRET' }));
    for (const fault of [
      'unavailable-html',
      'html-as-success',
      'server-error',
      'redirect',
      'missing-access-token',
    ]) {
      await adfsFault({ name: fault });
      await validate(`AD FS, ${fault}`, adfs());
    }
    await reregisterWithAnotherCertificate();
    await validate('AD FS, certificate of another client', adfs());

    // --- OIDC refresh token
    await validate('OIDC', oidc());
    await check('OIDC approval', oidc(), 'something else');
    await validate('OIDC, wrong client secret', oidc({ clientSecretRef: 'env:WRONG_CLIENT_SECRET' }));
    await validate('OIDC, wrong refresh token', oidc({ refreshTokenRef: 'env:WRONG_REFRESH_TOKEN' }));
    await validate('OIDC, token server gone', oidc({ tokenUrl: 'http://127.0.0.1:9/token' }));
    await validate('OIDC, login page', oidc({ tokenUrl: `${world.addresses.serviceNow}/login.do` }));
    await world.serviceNowAdmin.post('/__sim/tokens/revoke-access-tokens', {}, z.unknown());
    await validate('OIDC, token revoked meanwhile', oidc());

    const canaries = await collectCanaries();
    const outputs = [
      ...lines,
      ...(await answersOfTheManager()),
      ...(await filesOfTheDelegates()),
      ...(await pagesOfTheDelegate()),
    ];
    expect(findLeaks(canaries, outputs)).to.deep.equal([]);
    const fromTheDelegate = outputs.filter(({ text }) => !text.includes('"direction":"sent"'));
    expect(findLeaks(new Map([['pasted', PASTED]]), fromTheDelegate)).to.deep.equal([]);

    // The search itself: it must have had something to search, and the wire must really have carried secrets.
    const frames = lines.filter(
      ({ where, text }) => where === 'log of manager' && text.includes('"direction":"received"'),
    );
    expect(frames.length).to.be.greaterThan(outcomes.length);
    expect(canaries.size).to.be.greaterThan(20);
    const succeeded = outcomes.filter((line) => line.endsWith('SUCCESS') || line.endsWith('succeeded'));
    expect(succeeded.length, outcomes.join('\n')).to.be.greaterThan(7);
    expect(outcomes.length - succeeded.length, outcomes.join('\n')).to.be.greaterThan(24);
  });

  it('would be found if they were there', () => {
    const canaries = new Map([['password', 'p:ässwörd/+ 1']]);
    for (const form of formsOf('p:ässwörd/+ 1')) {
      expect(findLeaks(canaries, [{ where: 'a line', text: `before ${form} after` }])).to.not.equal([]);
    }
  });

  /** AD FS learns another certificate for the client, so that the delegate's is no longer the right one. */
  async function reregisterWithAnotherCertificate(): Promise<void> {
    const { certificatePem } = await createDevelopmentCertificate({ commonName: 'somebody else' });
    const { clientId } = ADFS_CLIENT;
    await world.adfsAdmin.post('/__sim/clients', { clientId, certificatePem, permissions: [] }, z.unknown());
  }

  /** What was configured, and what was made of it on the way: headers, tokens, assertions. */
  async function collectCanaries(): Promise<Map<string, string>> {
    const canaries = new Map<string, string>();
    const add = (name: string, value: string): void => {
      if (value.length >= 8) canaries.set(name, value);
    };
    for (const [name, value] of Object.entries({ ...DEV_ENVIRONMENT_SECRETS, ...MORE_SECRETS }))
      add(name, value);
    add('enrolment token', world.enrolmentToken);
    for (const file of [PRIVATE_KEY_FILE, CERTIFICATE_FILE]) {
      const pem = await readFile(join(world.folder, 'secrets', file), 'utf8');
      for (const [index, line] of pem.split('\n').entries())
        if (line.length >= 40) add(`${file}:${index + 1}`, line);
    }
    for (const name of ['eu-1', 'old-1']) {
      const identity = z
        .object({ key: z.object({ d: z.string() }) })
        .parse(JSON.parse(await readFile(join(world.folder, name, 'identity.json'), 'utf8')));
      add(`identity key of ${name}`, identity.key.d);
    }
    const requests = await world.serviceNowAdmin.post('/__sim/journal/read', {}, serviceNowJournal);
    for (const [index, { headers }] of requests.entries()) {
      const { authorization } = headers;
      if (typeof authorization === 'string') add(`Authorization ${index}`, authorization.split(' ')[1] ?? '');
    }
    const exchanges = await world.adfsAdmin.get('/__sim/journal', adfsJournal);
    for (const [index, { form }] of exchanges.entries())
      add(`assertion ${index}`, form['client_assertion'] ?? '');
    return canaries;
  }

  async function answersOfTheManager(): Promise<{ where: string; text: string }[]> {
    return await Promise.all(
      ['tasks', 'connectors', 'delegates', 'approvals'].map(async (list) => ({
        where: `GET /api/v1/${list}`,
        text: JSON.stringify(await world.manager.get(`/api/v1/${list}`, z.unknown())),
      })),
    );
  }

  async function pagesOfTheDelegate(): Promise<{ where: string; text: string }[]> {
    const { DELEGATE_HTTP_PORT: port = '' } = world.settings;
    return await Promise.all(
      ['/livez', '/readyz', '/metrics', '/status.json'].map(async (path) => {
        const response = await fetch(`http://127.0.0.1:${port}${path}`, {
          headers: { connection: 'close' },
        });
        expect(response.status, path).to.equal(200);
        return { where: path, text: await response.text() };
      }),
    );
  }

  /** All but the identity and its backup, whose purpose is to keep the key. */
  async function filesOfTheDelegates(): Promise<{ where: string; text: string }[]> {
    const found: { where: string; text: string }[] = [];
    for (const name of ['eu-1', 'old-1']) {
      const entries = await readdir(join(world.folder, name), { recursive: true, withFileTypes: true });
      for (const entry of entries.filter((one) => one.isFile())) {
        if (/^identity\.(backup\.)?json$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        found.push({ where: path, text: await readFile(path, 'latin1') });
      }
    }
    return found;
  }
});
