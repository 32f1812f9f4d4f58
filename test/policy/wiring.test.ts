import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { composeConnectors, type WiredConnectors } from '../../src/compose/connectors.ts';
import { policyOf } from '../../src/compose/policy.ts';
import { ConfigurationError, type TaskConfiguration } from '../../src/config/load.ts';
import { loadLocalConfiguration } from '../../src/config/local.ts';
import type { ConnectorDeps } from '../../src/connectors/connector.ts';
import { Redactor, type Secret } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { PinFile, PINS_FILE } from '../../src/policy/pins.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { denialIn, INSTANCE, POLICY, rejectionOf, requestFor } from './support.ts';

const EVIL = 'https://evil.example';
const VALUE = 'hunter2-canary-value';

describe('the policy as it is wired', () => {
  const directory = tempDirs();
  let home: string;
  let logged: string[];
  let deps: ConnectorDeps;
  let wired: WiredConnectors | undefined;

  beforeEach(async () => {
    home = await directory();
    logged = [];
    wired = undefined;
    await mkdir(join(home, 'secrets'));
    await writeFile(join(home, 'policy.yaml'), POLICY);
  });
  afterEach(async () => await wired?.[Symbol.asyncDispose]());

  leavesNothingOpen();

  const configured = (...args: readonly string[]): TaskConfiguration =>
    loadLocalConfiguration(
      { args: ['x', `--state-dir=${join(home, 'state')}`, ...args], environment: {} },
      { flags: {}, operand: 'X' },
      '',
    ).configuration;

  const wire = (...args: readonly string[]): void => {
    const configuration = configured(...args);
    wired = composeConnectors({
      configuration,
      policy: policyOf(configuration, new PinFile({ stateDir: configuration.stateDir, clock: systemClock })),
      connectors: [
        (given) => {
          deps = given;
          return { capabilities: [], tasks: [] };
        },
      ],
      environment: { DELEGATE_SECRET_SN_PASSWORD: VALUE, DELEGATE_SECRET_OTHER: VALUE },
      version: '1.2.3',
      redactor: new Redactor(),
      clock: systemClock,
      log: pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) }),
      keptSecretsKey: () => Promise.resolve(Buffer.alloc(32, 1)),
      delegateId: () => 'd',
    });
  };
  const resolve = (reference: string, origins: readonly string[]): Promise<Secret> =>
    deps.secrets.resolve(reference, { signal: new AbortController().signal, origins });

  it('pins a secret in the state folder before anybody gets it', async () => {
    wire();
    await resolve('env:SN_PASSWORD', [INSTANCE]);
    expect(await readFile(join(home, 'state', PINS_FILE), 'utf8'))
      .to.contain('env:SN_PASSWORD')
      .and.contain(INSTANCE)
      .and.not.contain(VALUE);
    expect((await rejectionOf(resolve('env:SN_PASSWORD', [EVIL])))?.code).to.equal('policy.secret-pinned');
    await resolve('env:SN_PASSWORD', [INSTANCE]);
  });

  it('pins nothing that is not there: who guesses names decides nothing', async () => {
    wire();
    expect((await rejectionOf(resolve('env:LATER', [EVIL])))?.code).to.equal('secret-not-found');
    expect(await new PinFile({ stateDir: join(home, 'state'), clock: systemClock }).list()).to.deep.equal([]);
  });

  it('hands out no secret that can not be pinned', async () => {
    await writeFile(join(home, 'state'), 'a file in its place');
    wire();
    const denial = await rejectionOf(resolve('env:SN_PASSWORD', [INSTANCE]));
    expect(denial?.category).to.equal('policy');
  });

  it('hands out what the file allows, and pins nothing', async () => {
    wire(`--policy-file=${join(home, 'policy.yaml')}`);
    expect((await resolve('env:SN_PASSWORD', [INSTANCE])).reveal()).to.equal(VALUE);
    for (const [reference, origin] of [
      ['env:SN_PASSWORD', EVIL],
      ['env:OTHER', INSTANCE],
    ] as const) {
      expect((await rejectionOf(resolve(reference, [origin])))?.code).to.equal('policy.secret-not-allowed');
    }
    expect((await rejectionOf(readFile(join(home, 'state', PINS_FILE))))?.code).to.equal('internal');
  });

  it('logs each denial once, with its rule and without a value', async () => {
    wire(`--policy-file=${join(home, 'policy.yaml')}`);
    await rejectionOf(resolve('env:SN_PASSWORD', [EVIL]));
    await rejectionOf(deps.http.send(requestFor(`${EVIL}/api/now/table/task?sysparm_limit=1`)));
    await rejectionOf(deps.http.send(requestFor(`${INSTANCE}/api/now/table/sys_user?sysparm_limit=1`)));
    expect(logged.map((line) => JSON.parse(line) as unknown)).to.have.length(3);
    for (const [index, code] of [
      'policy.secret-not-allowed',
      'policy.destination-not-allowed',
      'policy.request-not-allowed',
    ].entries()) {
      expect(logged[index])
        .to.contain(`"code":"${code}"`)
        .and.contain('"rule":"')
        .and.contain('denied by the policy');
    }
    expect(logged.join('')).to.not.contain(VALUE);
  });

  it('starts nothing on a file with mistakes, and tells them all', async () => {
    await writeFile(join(home, 'policy.yaml'), 'version: 1\nallow: all\n');
    const error = denialIn(() => policyOf(configured(`--policy-file=${join(home, 'policy.yaml')}`)));
    expect(error).to.be.instanceOf(ConfigurationError);
    expect(error instanceof ConfigurationError && error.complaints).to.deep.equal([
      'policyFile (DELEGATE_POLICY_FILE): 1:1 instances: is missing',
      'policyFile (DELEGATE_POLICY_FILE): 1:1 secrets: is missing',
      'policyFile (DELEGATE_POLICY_FILE): 1:1 signedTasks: is missing',
      'policyFile (DELEGATE_POLICY_FILE): 2:1 there is no "allow" here',
    ]);
  });

  it('starts nothing without the file that is named', () => {
    const error = denialIn(() => policyOf(configured('--policy-file=/nowhere/policy.yaml')));
    expect(error?.message).to.contain('policyFile (DELEGATE_POLICY_FILE): there is no such file');
  });
});
