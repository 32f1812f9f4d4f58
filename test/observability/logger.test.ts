import { expect } from 'chai';
import { DelegateError } from '../../src/kit/errors.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { createLogger, type Logger } from '../../src/observability/logger.ts';

const SECRET = 'pä"ss/w0rd+hunter2';

class Lines {
  readonly written: string[] = [];

  write(line: string): void {
    this.written.push(line);
  }

  get text(): string {
    return this.written.join('');
  }
}

async function logging(format: 'json' | 'pretty', level = 'trace'): Promise<{ log: Logger; lines: Lines }> {
  const redactor = new Redactor();
  const lines = new Lines();
  const log = await createLogger({ level, format, redactor, destination: lines });
  // After the logger is made: secrets are resolved all along.
  redactor.register(SECRET);
  return { log, lines };
}

describe('the log', () => {
  const bytes = Buffer.from(SECRET);
  const places: Record<string, (log: Logger) => void> = {
    'the message': (log) => log.info(`sent ${SECRET} away`),
    'a message made of parts': (log) => log.info('sent %s away', SECRET),
    'an object deep down': (log) => log.info({ a: { b: { c: [{ d: SECRET }] } } }, 'sent'),
    'the name of a member': (log) => log.info({ [SECRET]: 1 }, 'sent'),
    'the message of an error': (log) => log.error(new Error(`refused ${SECRET}`)),
    'the message of an error beside a text': (log) => log.error({ err: new Error(SECRET) }, 'failed'),
    'the cause of an error': (log) =>
      log.error({ err: new Error('failed', { cause: new Error(`inner ${SECRET}`) }) }, 'failed'),
    'a member of an error': (log) => log.error({ err: Object.assign(new Error('x'), { answer: SECRET }) }),
    'the details of a coded error': (log) =>
      log.error({ err: new DelegateError('a', 'b', { category: 'internal', details: { seen: SECRET } }) }),
    'the bindings of a child': (log) => log.child({ task: SECRET }).info('sent'),
    base64: (log) => log.info(`Basic ${Buffer.from(`user:${SECRET}`).toString('base64')}`),
    base64url: (log) => log.info(bytes.toString('base64url')),
    hexadecimal: (log) => log.info(bytes.toString('hex')),
    'a URL': (log) => log.info(`https://acme.example/?p=${encodeURIComponent(SECRET)}`),
    'a form': (log) => log.info(new URLSearchParams({ p: SECRET }).toString()),
    'JSON within JSON': (log) => log.info({ body: JSON.stringify({ p: SECRET }) }, 'answered'),
  };
  const traces = [
    'hunter2',
    'w0rd',
    bytes.toString('hex').slice(-8),
    bytes.toString('base64').slice(4, 12),
    Buffer.from(`user:${SECRET}`).toString('base64').slice(12, 20),
  ];
  for (const format of ['json', 'pretty'] as const) {
    for (const [place, write] of Object.entries(places)) {
      it(`(${format}) has no secret in ${place}`, async () => {
        const { log, lines } = await logging(format);
        write(log);
        expect(lines.text).to.contain('[secret]');
        for (const trace of traces) expect(lines.text).to.not.contain(trace);
      });
    }
  }

  it('is a line of JSON for each event, with its time', async () => {
    const { log, lines } = await logging('json');
    log.info({ taskId: 't1' }, 'started');
    log.warn('line one\nline two');
    expect(lines.written).to.have.length(2);
    expect(lines.written.join('')).to.match(/^[^\n]+\n[^\n]+\n$/);
    const [first = ''] = lines.written;
    expect(JSON.parse(first)).to.include({ level: 'info', taskId: 't1', msg: 'started' });
    expect(JSON.parse(first))
      .to.have.property('time')
      .that.matches(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(JSON.parse(first)).to.not.have.any.keys('pid', 'hostname');
  });

  it('stays valid JSON where a secret was', async () => {
    const { log, lines } = await logging('json');
    log.info({ a: SECRET, b: `x${SECRET}y` }, 'sent');
    expect(JSON.parse(lines.text)).to.include({ a: '[secret]', b: 'x[secret]y' });
  });

  it('for people names the level and the message', async () => {
    const { log, lines } = await logging('pretty');
    log.warn({ taskId: 't1' }, 'late');
    expect(lines.text).to.match(/WARN.*late.*t1/);
  });

  it('has nothing below its level', async () => {
    const { log, lines } = await logging('json', 'warn');
    log.info('a');
    log.warn('b');
    expect(lines.written.map((line) => JSON.parse(line))).to.have.nested.property('[0].msg', 'b');
    expect(lines.written).to.have.length(1);
  });
});
