import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { PASSWORDS, startFakeServiceNow } from '../../../src/dev/fake-servicenow/index.ts';
import { jsonSchema, type Json } from '../../../src/protocol/messages.ts';
import { findLeaks } from '../../support/canaries.ts';
import { ForwardProxy } from '../../support/forward-proxy.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { ScriptedManager } from '../../support/scripted-manager.ts';
import { connectorTo, QUESTION } from '../../support/servicenow.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { TraceCollector, treeOf } from '../../support/trace-collector.ts';
import { delegateProcesses } from '../../system/one-delegate.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const KEY = 'hunter2-of-the-collector';
const WITHOUT_PACKAGES = new URL('../../support/without-optional.mjs', import.meta.url).href;

/** Basic authentication, with a secret of the environment. */
function inputTo(url: string, passwordRef: string, question: object = {}): { input: Json } {
  const auth = { type: 'UsernamePassword', spec: { username: 'svc_deploy', passwordRef } };
  return { input: jsonSchema.parse({ connector: connectorTo(url, auth), ...question }) };
}

const NO_SECRET = inputTo('http://127.0.0.1:1', 'env:NONE');

describe('a delegate in service', function () {
  this.timeout(30_000);
  const directory = tempDirs();
  const start = delegateProcesses();
  leavesNothingOpen();

  it("takes a task's trace from the manager to ServiceNow, and tells the collector before it ends", async () => {
    await using manager = await ScriptedManager.start();
    await using collector = await TraceCollector.start();
    await using proxy = await ForwardProxy.start();
    const instance = await startFakeServiceNow();
    const folder = await directory();
    const headersFile = join(folder, 'headers');
    await writeFile(headersFile, `x-api-key: ${KEY}\n`);
    const delegate = start({
      managerUrl: manager.url,
      stateDir: join(folder, 'state'),
      env: {
        DELEGATE_TRACES_ENDPOINT: collector.url,
        DELEGATE_TRACES_HEADERS_FILE: headersFile,
        DELEGATE_TRACES_ATTRIBUTES: 'deployment.environment.name=test,team=change',
        DELEGATE_SECRET_SNOW_PASSWORD: PASSWORDS.svc_deploy,
      },
    });
    const connection = await manager.nextSession();
    connection.assign({ taskId: 'task-1', attempt: 1 }, 'servicenow.approval.check', {
      ...inputTo(instance.url, 'env:SNOW_PASSWORD', QUESTION),
      traceparent: `00-${TRACE}-${PARENT}-01`,
    });
    const { outcome } = await connection.next('task.result');
    connection.assign({ taskId: 'task-2', attempt: 1 }, 'servicenow.approval.check', {
      ...inputTo(instance.url, 'env:SNOW_PASSWORD', {
        ...QUESTION,
        ticket: { type: 'change_request', number: 'CHG9999999' },
      }),
    });
    await connection.next('task.result');
    const [asked] = instance.journal();
    delegate.kill('SIGTERM');
    const ending = await delegate.end();
    await instance.close();

    expect([outcome, ending]).to.deep.equal(['succeeded', 0]);
    expect(treeOf(collector.spans)).to.have.members([
      'task servicenow.approval.check succeeded',
      '  secret.resolve',
      '  servicenow.request 200',
      'task servicenow.approval.check failed servicenow.ticket-not-found',
      '  secret.resolve',
      '  servicenow.request 200',
    ]);
    const request = collector.spans.find(
      ({ name, traceId }) => name === 'servicenow.request' && traceId === TRACE,
    );
    expect(asked?.headers['traceparent']).to.equal(`00-${TRACE}-${request?.spanId}-01`);
    const root = collector.spans.find(({ parentSpanId }) => parentSpanId === PARENT);
    expect(root?.spanId).to.equal(request?.parentSpanId);
    expect(collector.requests[0]?.headers['x-api-key']).to.equal(KEY);
    expect(collector.resources[0]).to.include({
      'service.name': 'servicenow-delegate',
      'service.instance.id': 'eu-1',
      team: 'change',
    });
    const canaries = new Map([
      ['password', PASSWORDS.svc_deploy],
      ['key of the collector', KEY],
    ]);
    const outputs = [
      { where: 'log', text: delegate.text },
      ...collector.requests.map(({ body }) => ({ where: 'spans', text: body })),
    ];
    expect(findLeaks(canaries, outputs)).to.deep.equal([]);
    expect(proxy.seen).to.deep.equal([]);
  });

  it('reaches a collector beyond this machine through the proxy, like everything else', async () => {
    await using manager = await ScriptedManager.start();
    await using collector = await TraceCollector.start();
    await using proxy = await ForwardProxy.start();
    const target = `collector.test:${new URL(collector.url).port}`;
    const delegate = start({
      managerUrl: manager.url,
      stateDir: await directory(),
      env: { DELEGATE_TRACES_ENDPOINT: `http://${target}`, DELEGATE_PROXY_URL: proxy.url().href },
    });
    const connection = await manager.nextSession();
    connection.assign({ taskId: 'task-1', attempt: 1 }, 'servicenow.connector.validate', NO_SECRET);
    await connection.next('task.result');
    delegate.kill('SIGTERM');
    await delegate.end();
    expect(treeOf(collector.spans)).to.deep.equal([
      'task servicenow.connector.validate succeeded',
      '  secret.resolve secret-not-found',
    ]);
    expect(proxy.seen.map((seen) => seen.target)).to.deep.equal([target]);
  });

  it('starts without the optional packages, unless traces are wanted: then it names what is missing', async () => {
    await using manager = await ScriptedManager.start();
    const env = { NODE_OPTIONS: `--import ${WITHOUT_PACKAGES}` };
    const delegate = start({ managerUrl: manager.url, stateDir: await directory(), env });
    await manager.nextSession();
    delegate.kill('SIGTERM');
    expect(await delegate.end()).to.equal(0);

    const traced = start({
      managerUrl: manager.url,
      stateDir: await directory(),
      env: { ...env, DELEGATE_TRACES_ENDPOINT: 'http://127.0.0.1:4318' },
    });
    expect(await traced.end()).to.equal(2);
    expect(traced.text)
      .to.contain('DELEGATE_TRACES_ENDPOINT')
      .and.to.contain('npm install @opentelemetry/api');
  });

  it('ends in time though the collector takes its time', async () => {
    await using manager = await ScriptedManager.start();
    await using collector = await TraceCollector.start();
    collector.answer = 'never';
    const delegate = start({
      managerUrl: manager.url,
      stateDir: await directory(),
      env: { DELEGATE_TRACES_ENDPOINT: collector.url },
    });
    const connection = await manager.nextSession();
    connection.assign({ taskId: 'task-1', attempt: 1 }, 'servicenow.connector.validate', NO_SECRET);
    await connection.next('task.result');
    delegate.kill('SIGTERM');
    expect(await delegate.end()).to.equal(0);
    expect(delegate.lines.at(-1)).to.include({ msg: 'spans were lost', lostSpans: 2 });
  });
});
