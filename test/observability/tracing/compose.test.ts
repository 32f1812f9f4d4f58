import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { composeTracing, type TracingOptions } from '../../../src/compose/tracing.ts';
import { ConfigurationError } from '../../../src/config/load.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { noMetrics } from '../../../src/observability/metrics.ts';
import { tracingOff, type Tracer } from '../../../src/observability/tracing/tracer.ts';
import { dialerWith } from '../../support/dialer.ts';
import { failureOf } from '../../support/failure.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { TraceCollector } from '../../support/trace-collector.ts';

const KEY = 'hunter2-of-the-collector';

describe('the wiring of traces', () => {
  const directory = tempDirs();
  let collector: TraceCollector;
  let redactor: Redactor;
  let logged: string[];

  beforeEach(async () => {
    collector = await TraceCollector.start();
    redactor = new Redactor();
    logged = [];
  });
  afterEach(async () => await collector[Symbol.asyncDispose]());
  leavesNothingOpen();

  const optionsWith = (headersFile?: string): TracingOptions => ({
    traces: {
      endpoint: `${collector.url}/v1/traces`,
      headersFile,
      sampleRatio: 1,
      serviceName: 'servicenow-delegate',
      attributes: {},
    },
    name: 'eu-1',
    version: '1.2.3',
    dialer: dialerWith(),
    metrics: noMetrics,
    redactor,
    clock: systemClock,
    random: () => 0,
    log: pino({ level: 'info' }, { write: (line) => void logged.push(line) }),
  });

  const file = async (text: string): Promise<string> => {
    const path = join(await directory(), 'headers');
    await writeFile(path, text);
    return path;
  };

  const oneTask = async (tracer: Tracer): Promise<void> => {
    tracer.task({ taskId: 'task-1', attempt: 1, name: 'test.task' }).end({ outcome: 'succeeded' });
    await tracer[Symbol.asyncDispose]();
  };

  it('loads nothing and makes nothing where no collector is named', async () => {
    const load = (): never => {
      throw new Error('not to be called');
    };
    expect(await composeTracing({ ...optionsWith(), traces: undefined, load })).to.equal(tracingOff);
    await tracingOff[Symbol.asyncDispose]();
  });

  it('names the packages that are missing', async () => {
    const load = (): never => {
      throw Object.assign(new Error("Cannot find package '@opentelemetry/api'"), {
        code: 'ERR_MODULE_NOT_FOUND',
      });
    };
    const error = await failureOf(composeTracing({ ...optionsWith(), load }));
    expect(error).to.be.instanceOf(ConfigurationError);
    expect(error).to.have.property('code', 'configuration-invalid');
    expect(error).to.have.property('message').that.contains('DELEGATE_TRACES_ENDPOINT');
    expect(error)
      .to.have.property('hint')
      .that.contains('npm install @opentelemetry/api @opentelemetry/sdk-trace');
  });

  it('sends the headers of the file to the collector, and lets what they hold go nowhere else', async () => {
    const path = await file(`# of the vendor\n\nAuthorization: Bearer ${KEY}\r\nX-Tenant: acme-2\n`);
    await oneTask(await composeTracing(optionsWith(path)));
    expect(collector.requests).to.have.length(1);
    expect(collector.requests[0]?.headers).to.include({
      authorization: `Bearer ${KEY}`,
      'x-tenant': 'acme-2',
      'content-type': 'application/json',
      'user-agent': 'servicenow-delegate/1.2.3',
    });
    expect(redactor.scrub(`the key is ${KEY}`)).to.equal('the key is [secret]');
    expect(redactor.isBoundElsewhere(KEY, 'https://acme.service-now.com')).to.equal(true);
    expect(redactor.isBoundElsewhere(KEY, collector.url)).to.equal(false);
  });

  for (const [what, text] of [
    ['a line that is no header', `Bearer ${KEY}`],
    ['a header that belongs to the connection', 'Host: elsewhere.example'],
    ['a header that OTLP needs for itself', 'Content-Type: text/plain'],
    ['a header without a value', 'Authorization: '],
    ['a value with control characters', `Authorization: Bearer\u0000${KEY}`],
    ['a hundred headers', Array.from({ length: 100 }, (_, index) => `x-${index}: 1`).join('\n')],
  ] as const) {
    it(`begins with no file of headers that has ${what}, and quotes nothing of it`, async () => {
      const error = await failureOf(composeTracing(optionsWith(await file(text))));
      expect(error).to.have.property('code', 'network.file-unusable');
      expect(JSON.stringify(error.toWire()) + logged.join('')).not.to.contain(KEY);
    });
  }

  it('says once that a collector takes nothing, and ends all the same', async () => {
    collector.answer = { status: 503 };
    await oneTask(await composeTracing(optionsWith()));
    const warnings = logged.filter((line) => line.includes('"level":40'));
    expect(warnings).to.have.length(2);
    expect(warnings[0]).to.contain('"code":"http-503"').and.to.contain('the trace collector takes no spans');
    expect(warnings[1]).to.contain('"lostSpans":1').and.to.contain('spans were lost');
  });

  it('counts spans that the collector took and threw away', async () => {
    collector.answer = { status: 200, body: '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}' };
    await oneTask(await composeTracing(optionsWith()));
    expect(logged.at(-1)).to.contain('"lostSpans":1');
  });

  it('takes an empty answer for a yes', async () => {
    collector.answer = { status: 200, body: '' };
    await oneTask(await composeTracing(optionsWith()));
    expect(logged.join('')).not.to.contain('lost');
  });

  it('follows no redirect', async () => {
    collector.answer = { status: 307, headers: { location: `${collector.url}/elsewhere` } };
    await oneTask(await composeTracing(optionsWith()));
    expect(collector.requests.map(({ path }) => path)).to.deep.equal(['/v1/traces']);
    expect(logged.join('')).to.contain('"code":"http-307"');
  });

  it('does without a collector that is not there', async () => {
    const options = optionsWith();
    await collector[Symbol.asyncDispose]();
    collector = await TraceCollector.start();
    await oneTask(await composeTracing(options));
    expect(logged.join('')).to.contain('network.').and.to.contain('"lostSpans":1');
  });
});
