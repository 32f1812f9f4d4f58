import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { compose } from '../../src/compose.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { connectors } from '../../src/connectors/index.ts';
import { OAUTH, startFakeServiceNow } from '../../src/dev/fake-servicenow/index.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { startManager } from '../../src/manager/manager.ts';
import { Authority } from '../support/authority.ts';
import { FakeVault } from '../support/fake-vault.ts';
import { ForwardProxy } from '../support/forward-proxy.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { TlsFront } from '../support/tls-front.ts';

const PROXY_PASSWORD = 'delegate:hunter2-proxy';
const VAULT_TOKEN = 'hvs.hunter2-vault-token';

/**
 * A customer's network as it may be: nothing gets out but through a proxy that wants a password, every certificate is of
 * the company's own authority, and every server asks for one of the delegate. No name here resolves but at the proxy.
 */
describe('a delegate behind a proxy, with certificates of the company alone', function () {
  this.timeout(20_000);
  const directory = tempDirs();
  let company: Authority;

  before(async () => {
    company = await Authority.create('company');
  });

  leavesNothingOpen();

  it('enrols, connects, reads Vault, fetches a token and asks ServiceNow, each through the proxy', async () => {
    const folder = await directory();
    const write = async (name: string, text: string): Promise<string> => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    };
    const front = (name: string, behind: () => number) =>
      TlsFront.before(behind, { shows: company.issue({ names: [name] }), wants: company.cert });

    await using proxy = await ForwardProxy.start({ wants: PROXY_PASSWORD });
    await using vault = await FakeVault.start({ clock: systemClock });
    vault.mount('kv', 2);
    const { clientId, clientSecret, refreshToken } = OAUTH;
    vault.put('kv', 'servicenow', { clientId, clientSecret, refreshToken });
    vault.issue(VAULT_TOKEN, 3_600);
    await using instance = await startFakeServiceNow();
    let managerPort = 0;
    await using managerFront = await front('manager.test', () => managerPort);
    await using manager = await startManager({ publicUrl: `https://manager.test:${managerFront.port}` });
    managerPort = Number(new URL(manager.url).port);
    await using vaultFront = await front('vault.test', () => Number(new URL(vault.address).port));
    await using acmeFront = await front('acme.test', () => Number(new URL(instance.url).port));
    await using loginFront = await front('login.test', () => Number(new URL(instance.url).port));

    const own = company.issue({ commonName: 'delegate' });
    const [certificateFile, privateKeyFile] = [
      await write('tls.crt', own.cert),
      await write('tls.key', own.key),
    ];
    const origins = {
      vault: `https://vault.test:${vaultFront.port}`,
      acme: `https://acme.test:${acmeFront.port}`,
      login: `https://login.test:${loginFront.port}`,
    };
    const clientCertificates = Object.values(origins).map((origin) => ({
      origin,
      certificateFile,
      privateKeyFile,
    }));
    const environment = {
      DELEGATE_CONFIG: await write('delegate.yaml', JSON.stringify({ clientCertificates })),
      DELEGATE_MANAGER_URL: manager.publicUrl,
      DELEGATE_MANAGER_CERTIFICATE_FILE: certificateFile,
      DELEGATE_MANAGER_PRIVATE_KEY_FILE: privateKeyFile,
      DELEGATE_ENROLMENT_TOKEN: manager.createEnrolmentToken().value.reveal(),
      DELEGATE_STATE_DIR: join(folder, 'state'),
      DELEGATE_HTTP_PORT: '0',
      DELEGATE_CA_FILE: await write('ca.pem', company.cert),
      HTTPS_PROXY: proxy.url().href,
      DELEGATE_PROXY_CREDENTIALS_FILE: await write('proxy', PROXY_PASSWORD),
      DELEGATE_VAULT_ADDRESS: origins.vault,
      DELEGATE_VAULT_AUTH: 'token',
      DELEGATE_VAULT_TOKEN_FILE: await write('vault-token', VAULT_TOKEN),
    };
    const { configuration, enrolmentToken, stateKey } = loadConfiguration({ args: [], environment });
    const redactor = new Redactor();
    const lines: string[] = [];
    await using composed = await compose({
      errorCodes: new Set(),
      logLinesLost: () => 0,
      configuration,
      enrolmentToken,
      stateKey,
      connectors,
      environment: {},
      version: '26.11.90100',
      log: pino({ level: 'debug' }, { write: (line) => void lines.push(line) }),
      redactor,
      clock: systemClock,
    });
    const running = composed.delegate.run();
    const { taskId } = manager.submit({
      name: 'servicenow.connector.validate',
      version: 1,
      input: {
        connector: {
          name: 'ServiceNow test',
          identifier: 'servicenow_test',
          type: 'ServiceNow',
          spec: {
            serviceNowUrl: origins.acme,
            auth: {
              type: 'RefreshTokenGrantType',
              spec: {
                clientIdRef: 'vault:kv/servicenow#clientId',
                clientSecretRef: 'vault:kv/servicenow#clientSecret',
                refreshTokenRef: 'vault:kv/servicenow#refreshToken',
                tokenUrl: `${origins.login}/oauth_token.do`,
              },
            },
          },
        },
      },
      selectors: [],
      timeoutMs: 15_000,
    });
    const task = await manager.whenEnded(taskId, AbortSignal.timeout(15_000));
    await composed.delegate.stop('the test is over');
    await composed.endTasks();
    await running;

    expect(JSON.stringify(task), lines.join('')).to.contain('"SUCCESS"');
    const hosts = [manager.publicUrl, ...Object.values(origins)].map((origin) => new URL(origin).host);
    expect(new Set(proxy.seen.map(({ target }) => target))).to.deep.equal(new Set(hosts));
    for (const { clients } of [managerFront, vaultFront, acmeFront, loginFront]) {
      expect(new Set(clients)).to.deep.equal(new Set(['delegate']));
    }
    const secrets = [PROXY_PASSWORD, 'hunter2', VAULT_TOKEN, clientSecret, refreshToken, 'PRIVATE KEY'];
    for (const secret of secrets) {
      expect(lines.join('') + JSON.stringify(task)).to.not.contain(secret);
      expect(Buffer.concat(proxy.carried).toString('latin1')).to.not.contain(secret);
    }
  });
});
