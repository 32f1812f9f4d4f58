import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { composeConnectors, type WiredConnectors } from '../src/compose/connectors.ts';
import type { ConnectorDeps } from '../src/connectors/connector.ts';
import { defaultPolicy } from '../src/policy/policy.ts';
import { Redactor, Secret } from '../src/kit/secret.ts';
import { systemClock, type Clock } from '../src/kit/time.ts';
import { ManualClock } from './support/manual-clock.ts';
import { NO_STORES } from './support/no-stores.ts';
import { listen } from './support/servicenow.ts';
import { leavesNothingOpen } from './support/open-handles.ts';
import { tempDirs } from './support/temp-dir.ts';

const NAME = 'c'.repeat(64);
const NEW = new Secret('a-new-refresh-token');

describe('the wiring of connectors', () => {
  const directory = tempDirs();
  let home: string;
  let deps: ConnectorDeps[];

  leavesNothingOpen();

  beforeEach(async () => {
    home = await directory();
    deps = [];
    await mkdir(join(home, 'secrets'));
    await writeFile(join(home, 'secrets', 'rt'), 'old');
  });

  const wire = (end?: () => Promise<void>, clock: Clock = systemClock): WiredConnectors =>
    composeConnectors({
      configuration: {
        name: 'test',
        stateDir: join(home, 'state'),
        secretsDir: join(home, 'secrets'),
        ownPlaces: [],
        secretNames: { 'snow.rt': 'file:rt' },
        writableSecrets: ['file:rt'],
        secretStores: NO_STORES,
        logLevel: 'info',
        logFormat: 'json',
        allowLoopback: true,
        policyFile: undefined,
        network: {
          authorityFiles: [],
          clientCertificates: [],
          httpsProxy: undefined,
          httpProxy: undefined,
          proxyBypass: '',
          proxyCredentialsFile: undefined,
        },
      },
      policy: defaultPolicy({ allowLoopback: true }),
      connectors: [
        (given) => {
          deps.push(given);
          return {
            capabilities: [],
            tasks: [],
            ...(end === undefined ? {} : { [Symbol.asyncDispose]: end }),
          };
        },
      ],
      environment: {},
      version: '1.2.3',
      redactor: new Redactor(),
      clock,
      log: pino({ level: 'silent' }),
      keptSecretsKey: () => Promise.resolve(Buffer.alloc(32, 1)),
      delegateId: () => 'delegate-1',
    });

  it('ends connectors before the connections that they end over', async () => {
    await using server = await listen((_request, response) => response.end('late'));
    const answers: string[] = [];
    const wired = wire(async () => {
      const url = new URL('/api/now/table/task?sysparm_limit=1', server.url);
      const signal = new AbortController().signal;
      const answer = await deps[0]?.http.send({ method: 'GET', url, headers: {}, signal });
      answers.push(answer?.body ?? 'none');
    });
    await wired[Symbol.asyncDispose]();
    expect(answers).to.deep.equal(['late']);
  });

  it('ends connectors once, however often it is told to', async () => {
    let times = 0;
    const wired = wire(() => Promise.resolve(void (times += 1)));
    await Promise.all([wired[Symbol.asyncDispose](), wired[Symbol.asyncDispose]()]);
    await wired[Symbol.asyncDispose]();
    expect(times).to.equal(1);
  });

  it('waits 70 s for a connector that does not end, and not for ever', async () => {
    const clock = new ManualClock();
    const wired = wire(() => new Promise(() => {}), clock);
    let isOver = false;
    const over = Promise.resolve(wired[Symbol.asyncDispose]()).then(() => (isOver = true));
    await clock.advance(69_999);
    expect(isOver).to.equal(false);
    await clock.advance(1);
    await over;
  });

  it('keeps secrets in the state folder, and makes it only then', async () => {
    await using _wired = wire();
    expect(await readdir(home)).to.deep.equal(['secrets']);
    await deps[0]?.kept.keep(NAME, NEW);
    expect(await readdir(join(home, 'state', 'kept'))).to.deep.equal([NAME]);
  });

  it('lets a connector replace what the operator has listed', async () => {
    await using _wired = wire();
    const use = { signal: new AbortController().signal, origins: [] };
    expect(await deps[0]?.secrets.replace('snow.rt', NEW)).to.equal(true);
    expect((await deps[0]?.secrets.resolve('file:rt', use))?.reveal()).to.equal(NEW.reveal());
  });
});
