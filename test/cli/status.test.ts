import { createServer, type Server } from 'node:http';
import { expect } from 'chai';
import { bytesText, counted, durationText } from '../../src/cli/report/amounts.ts';
import { statusReport } from '../../src/cli/report/status.ts';
import { statusSchema, type Status } from '../../src/observability/status.ts';
import { runCli } from '../support/cli.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { STATUS } from './status-sample.ts';
import { namedColours, colourTerminal, plainTerminal } from './support.ts';

const READY: Status = {
  ...STATUS,
  phase: { is: 'ready', since: '2026-11-23T14:48:00.000Z' },
  readiness: { ready: true, reason: null, checks: [{ name: 'connected', ok: true }] },
  manager: {
    ...STATUS.manager,
    session: {
      id: 's-1',
      openedAt: '2026-11-23T14:48:00.000Z',
      ageMs: 11_520_000,
      heartbeatRttMs: 12,
      paused: false,
    },
    nextAttemptAt: null,
    lastFailure: null,
  },
  outbox: { ...STATUS.outbox, results: 0, bytes: 0, oldestFinishedAt: null },
};

describe('the report of status', () => {
  it('is of the shape that the delegate answers with', () => {
    expect(statusSchema.safeParse(STATUS).error).to.equal(undefined);
    expect(statusSchema.safeParse(READY).error).to.equal(undefined);
  });

  it('says first what keeps the delegate from being ready, and last what failed and what to do', () => {
    expect(statusReport(STATUS, plainTerminal(100))).to
      .equal(`✗ eu-1 is not ready: no session with the manager

  connection  none with https://manager.example.com: connecting for 1 min 30 s, next attempt in 7 s
  tasks       2 of 16 running; 123 ended since the start, 3 of them not well
              servicenow.approval.check t-1/1, for 12 s
              servicenow.connector.validate t-2/2, for 800 ms
  results     3 results (4.3 kB) not acknowledged by the manager, the oldest for 1 min
  machine     71.3 MB of memory, event loop late by 4 ms (p99), 12.3 GB free for the state folder
  policy      of a file, sha256:5f70bf18; signed tasks alone
  version     26.11.90100 on Node v24.1.0, process 4711, up for 3 d 3 h

✗ journal: the journal takes no record
! credit: every slot is taken

Last failure, 12 s ago: manager.example.com:443 refuses the connection.
  → Is the manager up, and does a firewall stand between?
    network.refused
`);
  });

  it('is short where all is well', () => {
    const text = statusReport(READY, plainTerminal(100));
    expect(text).to.match(/^✓ eu-1 is ready\n/);
    expect(text).to.contain('with https://manager.example.com for 3 h 12 min, heartbeat 12 ms');
    expect(text).to.contain('none waits for the manager');
    expect(text).to.not.contain('Last failure');
  });

  it('has its verdict in colour', () => {
    expect(namedColours(statusReport(READY, colourTerminal(100)))).to.match(/^<good>✓ eu-1 is ready<\/>\n/);
    expect(namedColours(statusReport(STATUS, colourTerminal(100)))).to.match(/^<bad>✗ eu-1 is not ready/);
  });

  it('never counts backwards where a clock was set', () => {
    const phase = { is: 'connecting', since: '2026-11-23T19:00:00.000Z' } as const;
    expect(statusReport({ ...STATUS, phase }, plainTerminal(100))).to.contain('connecting for 0 ms');
  });
});

describe('amounts for a glance', () => {
  for (const [ms, text] of [
    [0, '0 ms'],
    [999.4, '999 ms'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [61_500, '1 min 1 s'],
    [3_600_000, '1 h'],
    [90_000_000, '1 d 1 h'],
  ] as const) {
    it(`are ${text} for ${ms} ms`, () => {
      expect(durationText(ms)).to.equal(text);
    });
  }

  for (const [bytes, text] of [
    [999, '999 bytes'],
    [1_500, '1.5 kB'],
    [12_345_678_901, '12.3 GB'],
    [1e16, '10000.0 TB'],
  ] as const) {
    it(`are ${text} for ${bytes} bytes`, () => {
      expect(bytesText(bytes)).to.equal(text);
    });
  }

  it('are in the singular for one', () => {
    expect([counted(1, 'result'), counted(2, 'result')]).to.deep.equal(['1 result', '2 results']);
  });
});

describe('servicenow-delegate status', function () {
  this.timeout(30_000);
  let server: Server;
  let port: number;
  let asked: (string | undefined)[];
  let answer: { status: number; body: string };

  beforeEach(async () => {
    asked = [];
    answer = { status: 200, body: JSON.stringify(STATUS) };
    server = createServer((request, response) => {
      asked.push(request.url);
      response.writeHead(answer.status).end(answer.body);
    });
    port = await listenOnLoopback(server);
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });

  leavesNothingOpen();

  async function status(
    args: readonly string[],
    env: Record<string, string> = {},
  ): ReturnType<typeof runCli> {
    return await runCli(['status', ...args], env);
  }

  it('ends with 0 for a delegate that is ready, and with 1 for one that is not', async () => {
    const settings = {
      DELEGATE_HTTP_HOST: '0.0.0.0',
      DELEGATE_HTTP_PORT: String(port),
      DELEGATE_CAPACITY: 'many',
    };
    const not = await status([], settings);
    expect(not).to.include({ code: 1, stderr: '' });
    expect(not.stdout).to.contain('eu-1 is not ready: no session with the manager');
    answer.body = JSON.stringify(READY);
    const ready = await status([`--http-port=${port}`]);
    expect(ready).to.include({ code: 0, stderr: '' });
    expect(ready.stdout).to.contain('eu-1 is ready');
    expect(asked).to.deep.equal(['/status.json', '/status.json']);
  });

  it('takes an address as people copy it, and prints with --json what is answered, harmless to a terminal', async () => {
    answer.body = JSON.stringify({ ...READY, delegate: { ...READY.delegate, name: 'eu\u009B-1' } });
    for (const path of ['', '/', '/status.json']) {
      const { code, stdout } = await status([`--url=http://127.0.0.1:${port}${path}`, '--json']);
      expect(code).to.equal(0);
      expect(stdout).to.not.contain('\u009B');
      expect(JSON.parse(stdout)).to.deep.equal(JSON.parse(answer.body));
    }
    expect(asked).to.deep.equal(['/status.json', '/status.json', '/status.json']);
  });

  it('prints what a later version answers as it stands, and still knows whether that one is ready', async () => {
    answer.body = '{"statusVersion":7,"readiness":{"ready":true}}';
    expect(await status([`--url=http://127.0.0.1:${port}`])).to.deep.include({
      code: 0,
      stdout: `${answer.body}\n`,
      stderr: '',
    });
  });

  for (const [what, given, said] of [
    [
      'something else listens there',
      { status: 200, body: '<html>' },
      'gave an answer that no delegate gives',
    ],
    ['it is refused', { status: 404, body: 'no' }, 'answered with HTTP 404'],
    ['the answer has no end', { status: 200, body: ' '.repeat(1_100_000) }, 'gave more than'],
  ] as const) {
    it(`ends with 1 and the address that was asked if ${what}`, async () => {
      answer = given;
      const { code, stdout, stderr } = await status([`--http-port=${port}`]);
      expect({ code, stdout }).to.deep.equal({ code: 1, stdout: '' });
      expect(stderr).to.contain(`http://127.0.0.1:${port}/status.json ${said}`);
    });
  }

  it('asks whether the delegate runs if nobody answers, also in JSON', async () => {
    const free = createServer();
    const taken = await listenOnLoopback(free);
    free.close();
    const shown = await status([`--http-port=${taken}`]);
    expect(shown).to.include({ code: 1, stdout: '' });
    expect(shown.stderr).to.contain('nothing listens there').and.contain('Does the delegate run?');
    const { code, stdout } = await status([`--http-port=${taken}`, '--json']);
    expect(code).to.equal(1);
    expect(JSON.parse(stdout)).to.have.nested.property('error.code', 'delegate-not-answering');
  });

  for (const [what, args] of [
    ['a flag that is none', ['--jsno']],
    ['an argument', ['now']],
    ['an address that is none', ['--url=manager']],
    ['an address with a password', ['--url=http://a:b@127.0.0.1']],
    ['a port that only the log tells', ['--http-port=0']],
    ['a port that is none', ['--http-port=http']],
  ] as const) {
    it(`ends with 2 for ${what}`, async () => {
      const { code, stderr } = await status(args);
      expect(code, stderr).to.equal(2);
      expect(stderr).to.contain('servicenow-delegate status --help');
      expect(asked).to.deep.equal([]);
    });
  }
});
