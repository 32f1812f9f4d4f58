import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Connector, ConnectorDeps } from '../../../../src/connectors/connector.ts';
import { servicenow } from '../../../../src/connectors/servicenow/index.ts';
import type { HttpResponse } from '../../../../src/kit/http-exchange.ts';
import { systemClock } from '../../../../src/kit/time.ts';
import { createKeptSecrets } from '../../../../src/secrets/kept-secrets.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { startOidcProvider, type OidcProvider } from '../../../support/oidc-provider.ts';
import {
  ALONE,
  connectorTo,
  joinOidcProvider,
  openBench,
  QUESTION,
  taskContext,
  type AuthInput,
  type Bench,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { tempDirs } from '../../../support/temp-dir.ts';
import { until } from '../../../support/until.ts';

const TASKS = 200;
/** Connectors that hold the same refresh token; each needs access tokens of its own. */
const CONNECTORS = 150;
const ROUNDS = 7;
const RESTART_EVERY = 3;
const KEY = randomBytes(32);
const TOKEN_LIFE_MS = 3_600_000;

/** A real OpenID provider that rotates, and revokes the grant when a replaced token is sent once more. */
describe('a grant whose refresh token rotates', () => {
  const directory = tempDirs();
  let clock: ManualClock;
  let provider: OidcProvider;
  let bench: Bench;
  let connector: Connector;
  let auth: AuthInput;
  let exchanges: { refreshToken: string | null; status: number }[];

  beforeEach(async () => {
    clock = new ManualClock();
    exchanges = [];
    provider = await startOidcProvider({ rotation: true });
    const folder = join(await directory(), 'kept');
    bench = await openBench({
      clock,
      // The provider and its tokens live by real time; only the delegate's cache goes by the hands.
      instance: { clock: systemClock },
      http: (real) => ({
        async send(request): Promise<HttpResponse> {
          const response = await real.send(request);
          if (request.url.href === provider.tokenEndpoint.href) {
            const refreshToken = new URLSearchParams(request.body).get('refresh_token');
            exchanges.push({ refreshToken, status: response.status });
          }
          return response;
        },
        probe: (url, signal) => real.probe(url, signal),
      }),
      keptIn: createKeptSecrets({
        folder,
        key: () => Promise.resolve(KEY),
        protect: (value) => bench.surroundings.redactor.register(value),
        log: { info: () => {}, warn: () => {} },
      }),
    });
    auth = await joinOidcProvider(bench, provider);
    connector = servicenow(bench.surroundings.deps, { gathering: ALONE });
  });
  afterEach(async () => {
    await connector[Symbol.asyncDispose]?.();
    await bench[Symbol.asyncDispose]();
    await provider.close();
  });

  leavesNothingOpen();

  /** As a start of the delegate finds it: the same store, the same state folder, nothing in memory. */
  const restart = async (deps: ConnectorDeps = bench.surroundings.deps): Promise<void> => {
    await connector[Symbol.asyncDispose]?.();
    connector = servicenow(deps, { gathering: ALONE });
  };
  const tasks = (count: number, ends: AbortController[] = []): Promise<unknown>[] =>
    Array.from({ length: count }, async (_, index) => {
      const identifier = `connector_${index % CONNECTORS}`;
      const check = connector.tasks.find(({ name }) => name === 'servicenow.approval.check');
      const prepared = check?.prepare({
        connector: connectorTo(bench.instance.url, auth, { identifier }),
        ...QUESTION,
      });
      // Each its own: Node warns of a signal with many listeners.
      const end = new AbortController();
      ends.push(end);
      return await prepared?.run(taskContext({ clock, signal: end.signal }));
    });

  it(`lives through ${ROUNDS} rounds of ${TASKS} tasks at once, more than 1,000 tokens, and restarts`, async function () {
    this.timeout(60_000);
    for (let round = 1; round <= ROUNDS; round += 1) {
      const answers = await Promise.all(tasks(TASKS));
      for (const answer of answers) expect(answer).to.include({ decision: 'approved' });
      expect(exchanges, 'one for each connector and life').to.have.length(round * CONNECTORS);
      await clock.advance(TOKEN_LIFE_MS);
      if (round % RESTART_EVERY === 0) await restart();
    }
    expect(exchanges.length).to.be.greaterThan(1_000);
    expect(new Set(exchanges.map(({ status }) => status))).to.deep.equal(new Set([200]));
    expect(new Set(exchanges.map(({ refreshToken }) => refreshToken)).size, 'each was sent once').to.equal(
      exchanges.length,
    );
  });

  it('lives through a stop in the midst of exchanges, with nobody left to wait for them', async () => {
    for (let round = 1; round <= 5; round += 1) {
      const ends: AbortController[] = [];
      const running = Promise.allSettled(tasks(CONNECTORS, ends));
      const before = exchanges.length;
      await until('some are exchanged', () => exchanges.length >= before + round);
      for (const end of ends) end.abort(new Error('the delegate stops'));
      await restart();
      await running;
      await clock.advance(TOKEN_LIFE_MS);
    }
    const [answer] = await Promise.all(tasks(1));
    expect(answer).to.include({ decision: 'approved' });
    expect(new Set(exchanges.map(({ status }) => status))).to.deep.equal(new Set([200]));
  });
});
