import { createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { checkIdle } from '../../../src/cli/doctor/checks/manager.ts';
import { Patient } from '../../../src/cli/doctor/patient.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { defaultPolicy } from '../../../src/policy/policy.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { Listener } from '../../http/support.ts';
import { silent } from './examined.ts';

/** For a server that waits for the request. */
const SHORT_MS = 100;
/** For one that ends the connection before; none of it is waited for. */
const LONG_MS = 60_000;

describe('a connection at rest', function () {
  this.timeout(20_000);
  leavesNothingOpen();

  async function held(holdMs: number, onSocket: (socket: Socket) => void) {
    await using server = await Listener.on(createServer(onSocket));
    const loaded = loadConfiguration({
      args: [],
      environment: { DELEGATE_MANAGER_URL: server.url().origin, DELEGATE_HTTP_PORT: '0' },
    });
    const signal = AbortSignal.timeout(15_000);
    const patient = new Patient({
      ...loaded,
      policy: defaultPolicy({ allowLoopback: true }),
      environment: {},
      version: '26.11.90100',
      redactor: new Redactor(),
      clock: systemClock,
      log: silent,
      signal,
      reachWithinMs: 10_000,
    });
    return await checkIdle(patient, signal, holdMs);
  }

  it('that still carries an answer passes', async () => {
    const requests: string[] = [];
    const finding = await held(SHORT_MS, (socket) => {
      socket.on('data', (bytes: Buffer) => {
        requests.push(bytes.toString('latin1'));
        socket.end('HTTP/1.1 426 Upgrade Required\r\n\r\n');
      });
    });
    expect(finding.status).to.equal('PASS');
    expect(requests[0])
      .to.match(/^GET \/delegate\/v1\/connect HTTP\/1\.1\r\nHost: 127/)
      .and.not.match(/auth/i);
  });

  it('that the server itself ends with a word has carried it, and passes', async () => {
    const finding = await held(LONG_MS, (socket) => void socket.end('HTTP/1.1 408 Request Timeout\r\n\r\n'));
    expect(finding.status).to.equal('PASS');
  });

  it('that is closed without a word is warned of', async () => {
    const finding = await held(LONG_MS, (socket) => void socket.end());
    expect(finding).to.include({ status: 'WARN' });
    expect(finding.action).to.contain('idle timeouts');
  });

  it('that was forgotten on the way fails at the next byte', async () => {
    const finding = await held(
      SHORT_MS,
      (socket) => void socket.once('data', () => socket.resetAndDestroy()),
    );
    expect(finding).to.include({ status: 'FAIL' });
    expect(finding.summary).to.match(/was dead after/);
  });
});
