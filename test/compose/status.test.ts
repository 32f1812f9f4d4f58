import { expect } from 'chai';
import { statusOf } from '../../src/compose/status.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { Redactor } from '../../src/kit/secret.ts';
import type { Route } from '../../src/observability/http.ts';
import { watchingRoutes } from '../../src/observability/pages.ts';
import {
  statusSchema,
  type Counts,
  type DelegateState,
  type Status,
} from '../../src/observability/status.ts';
import { OBSERVED } from '../observability/observed.ts';

const PASSWORD = 'canary: p4ss/word+"é';

const COUNTS: Counts = {
  sessions: 1,
  sessionEnds: [],
  connectFailures: [{ code: 'upgrade-refused', count: 2 }],
  taskResults: [],
  taskRejects: [],
  leasesLost: 0,
  policyDenials: [],
  tokenRequests: [],
  instanceThrottled: 0,
};

function statusWith({
  environment = {},
  message = 'The manager answered HTTP 502.',
}: {
  environment?: Readonly<Record<string, string>>;
  message?: string;
} = {}): Status {
  const { configuration } = loadConfiguration({
    args: [],
    environment: {
      DELEGATE_MANAGER_URL: 'https://manager.example',
      DELEGATE_ENROLMENT_TOKEN: 'enrolment-token-for-tests',
      DELEGATE_NAME: 'eu-1',
      ...environment,
    },
  });
  const { state: seen, ...observed } = OBSERVED;
  const at = '2026-11-24T09:59:00.000Z';
  const lastFailure = { at, code: 'upgrade-refused', message, hint: null };
  const state: DelegateState = {
    ...seen,
    manager: { ...seen.manager, lastFailure },
    enrolment: { delegateId: 'dlg-1', keyId: 'key-1', keySince: null },
  };
  return statusOf({
    configuration,
    policy: { hash: null, requireSignedTasks: false },
    version: '26.11.90100',
    state,
    observed,
    counts: COUNTS,
    startedAt: OBSERVED.now - 60_000,
  });
}

/** The body of `/status.json`. */
async function served(
  status: Status,
  redactor: Pick<Redactor, 'scrubJson'>,
): Promise<{ status: number; body: string }> {
  const routes: Readonly<Record<string, Route>> = watchingRoutes({
    metrics: () => Promise.resolve(''),
    status: () => Promise.resolve(status),
    redactor,
  });
  const page = await routes['/status.json']?.({ accept: '' });
  return page ?? expect.fail('there is no such route');
}

describe('the status of a delegate', () => {
  it('has the shape that is promised', () => {
    const status = statusWith();
    // With no member beyond what is promised, which the schema would leave out.
    expect(statusSchema.parse(status)).to.deep.equal(status);
    expect(status.statusVersion).to.equal(1);
    expect(statusWith().delegate).to.include({ name: 'eu-1', version: '26.11.90100', uptimeMs: 60_000 });
    expect(statusWith().policy).to.deep.equal({ source: 'default', hash: null, requireSignedTasks: false });
    expect(statusWith().counts).to.deep.equal({ ...COUNTS, logLinesLost: 7 });
  });

  it('names the stores that are set up, and neither their addresses nor what lies in them', () => {
    expect(statusWith().secrets.stores).to.deep.equal(['env']);
    const environment = { DELEGATE_SECRETS_DIR: '/var/secrets', DELEGATE_GCP_PROJECT: 'acme-prod' };
    const status = statusWith({ environment });
    expect(status.secrets).to.deep.equal({ stores: ['env', 'file', 'gcp'] });
    expect(JSON.stringify(status)).not.to.match(/var.secrets|acme-prod/);
  });

  it('names proxies without user and password', () => {
    const environment = { HTTPS_PROXY: 'http://user:secret-of-the-proxy@proxy.example:3128' };
    const { network } = statusWith({ environment });
    expect(network.httpsProxy).to.equal('http://proxy.example:3128');
    expect(network.httpProxy).to.equal(null);
  });

  it('is not told at all where a secret in it cannot be masked', async () => {
    const { status, body } = await served(statusWith(), { scrubJson: () => undefined });
    expect(status).to.equal(500);
    expect(body).not.to.contain('manager.example');
  });

  it('masks a secret that somebody else has repeated, in whatever form', async () => {
    const redactor = new Redactor();
    redactor.register(PASSWORD);
    for (const form of [PASSWORD, encodeURIComponent(PASSWORD), Buffer.from(PASSWORD).toString('base64')]) {
      const { status, body } = await served(
        statusWith({ message: `You sent ${form}, which I refuse.` }),
        redactor,
      );
      expect(status).to.equal(200);
      expect(body).not.to.contain(JSON.stringify(form).slice(1, -1));
      const { manager } = statusSchema.parse(JSON.parse(body));
      expect(manager.lastFailure?.message).to.match(/^You sent .*, which I refuse\.$/);
    }
  });
});
