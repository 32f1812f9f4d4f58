import { expect } from 'chai';
import { complaintText } from '../../src/cli/complaint.ts';
import { explanationReport } from '../../src/cli/policy-explain.ts';
import { doctorReport } from '../../src/cli/doctor/report.ts';
import { policyReport } from '../../src/cli/policy-check.ts';
import { approvalReport } from '../../src/cli/report/approval.ts';
import { recordLine, verificationReport } from '../../src/cli/report/audit.ts';
import { failureReport } from '../../src/cli/report/failure.ts';
import { harmlessJson, jsonText, terminalOf, widthOf, type Terminal } from '../../src/cli/report/layout.ts';
import { secretsReport } from '../../src/cli/report/secrets.ts';
import { statusReport } from '../../src/cli/report/status.ts';
import { validationReport } from '../../src/cli/report/validation.ts';
import { terminalWishes } from '../../src/config/terminal.ts';
import { FAILURE, LOOK, SUCCESS, THROTTLED } from './reports.ts';
import { STATUS } from './status-sample.ts';
import { colourTerminal, plainTerminal, withoutColours } from './support.ts';

/** Clears the screen, colours it by both kinds of CSI, turns the reading direction, rings, goes back, and is wide. */
const HOSTILE = 'x\u001B[2J\u009B31m\u202E\r\n\u0007\b\u2028東京🚀 ';

/** What a stranger may have written: every text but those that are words of a closed list, or are looked up. */
const CLOSED = new Set([
  'status',
  'decision',
  'outcome',
  'type',
  'is',
  'source',
  'name',
  'subject',
  'at',
  'since',
  'url',
]);

function poisoned<T>(value: T, key?: string): T;
function poisoned(value: unknown, key = ''): unknown {
  if (typeof value === 'string') return CLOSED.has(key) || key.endsWith('At') ? value : HOSTILE + value;
  if (Array.isArray(value)) return value.map((one) => poisoned<unknown>(one, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, poisoned<unknown>(one, name)]));
}

const HASH = `sha256:${'5f70bf18'.repeat(8)}`;
const FINE = { allowed: true, origins: ['https://acme.service-now.com'], because: 'secrets[0]' };

/** Every report, with what it is made of as bad as it can be. */
const REPORTS: Readonly<Record<string, (terminal: Terminal) => string>> = {
  'validate, of a connector that works': (terminal) => validationReport(poisoned(SUCCESS), terminal),
  'validate, of one that does not': (terminal) => validationReport(poisoned(FAILURE), terminal),
  check: (terminal) => approvalReport(poisoned(LOOK), terminal),
  'a task that failed': (terminal) => failureReport('There is no decision', poisoned(THROTTLED), terminal),
  doctor: (terminal) =>
    doctorReport(
      [
        { id: 'config', status: 'PASS', summary: HOSTILE, durationMs: 1 },
        {
          id: `connector.${HOSTILE}`,
          status: 'FAIL',
          summary: HOSTILE,
          action: HOSTILE,
          code: 'c',
          durationMs: 1,
        },
        {
          id: 'a\u001B[2J',
          status: 'WARN',
          summary: HOSTILE,
          action: HOSTILE,
          details: [HOSTILE],
          durationMs: 1,
        },
      ],
      terminal,
    ),
  'a mistake in what was typed': (terminal) =>
    complaintText(
      { message: `The command line is not valid:\n  - ${HOSTILE}: there is none`, hint: HOSTILE },
      terminal,
    ),
  'secrets check': (terminal) =>
    secretsReport(
      poisoned([
        {
          reference: 'env:A',
          place: 'DELEGATE_SECRET_A',
          resolves: true,
          length: '8 to 15',
          warnings: ['w'],
          mayGoTo: [FINE],
        },
        {
          reference: 'account.snow_password',
          resolves: false,
          warnings: [],
          mayGoTo: [{ ...FINE, allowed: false, field: 'auth.spec.passwordRef' }],
          error: {
            code: 'secret-missing',
            message: 'There is none.',
            hint: 'Set it.',
            category: 'secret' as const,
            retryable: false,
          },
        },
      ]),
      terminal,
    ),
  'policy check': (terminal) =>
    policyReport(
      {
        operand: `${HOSTILE}policy.yaml`,
        hash: HASH,
        remarks: [{ path: `${HOSTILE}instances[0]`, message: HOSTILE }],
        document: {
          version: 1,
          instances: [],
          tokenServers: [],
          secrets: [{ reference: `env:${HOSTILE}`, hosts: [HOSTILE] }],
          limits: { maxRows: 100, maxAnswerBytes: 1_048_576 },
          signedTasks: 'required',
          network: { deniedAddresses: ['10.0.0.0/8'] },
        },
      },
      terminal,
    ),
  'policy explain': (terminal) =>
    explanationReport(
      {
        task: 'servicenow.connector.validate',
        allowed: false,
        judgements: [
          {
            subject: 'instance',
            asked: `https://${HOSTILE}`,
            allowed: false,
            because: HOSTILE,
            code: 'c',
            hint: HOSTILE,
          },
          { subject: 'token server', asked: HOSTILE, allowed: true, because: HOSTILE },
        ],
      },
      terminal,
    ),
  'audit verify': (terminal) =>
    verificationReport(
      {
        isWhole: false,
        records: 2,
        files: 1,
        first: { seq: 1, time: '2026-11-23T13:10:00.000Z', hash: '5f70bf18'.repeat(8) },
        last: { seq: 2, time: '2026-11-23T13:10:00.000Z', hash: '5f70bf18'.repeat(8) },
        tornBytes: 3,
        faults: [{ kind: 'unfinished', file: `${HOSTILE}.jsonl`, line: 2, why: HOSTILE }],
        moreFaults: 4,
      },
      terminal,
    ),
  status: (terminal) => statusReport(poisoned(STATUS), terminal),
  'status, of a delegate that is ready': (terminal) =>
    statusReport({ ...STATUS, readiness: { ready: true, reason: null, checks: [] } }, terminal),
};

describe('what is printed', () => {
  for (const [name, report] of Object.entries(REPORTS)) {
    for (const width of [40, 80, 200]) {
      it(`${name}: keeps to ${width} columns, and is a terminal's master in neither colour nor black and white`, () => {
        for (const terminal of [plainTerminal(width), colourTerminal(width)]) {
          const text = report(terminal);
          const lines = withoutColours(text).split('\n');
          expect(lines.filter((line) => /[\p{C}\p{Zl}\p{Zp}]/u.test(line))).to.deep.equal([]);
          // An address stays whole, so that it can be clicked on; what is to be copied does, too.
          const breakable = lines.filter((line) => !/https?:|^head \d/.test(line));
          expect(breakable.filter((line) => widthOf(line) > terminal.width)).to.deep.equal([]);
        }
        expect(report(plainTerminal(width))).to.not.contain('\u001B');
        expect(withoutColours(report(colourTerminal(width)))).to.equal(report(plainTerminal(width)));
      });
    }
  }

  it('audit show: a record is one line, whatever is in it', () => {
    const line = recordLine({ seq: 1, time: HOSTILE, event: HOSTILE, why: HOSTILE, prev: '', hash: '' });
    expect(line).to.not.match(/[\p{C}\p{Zl}\p{Zp}]/u);
  });

  it('as JSON is the same value, with escapes for all that a terminal would obey', () => {
    const value = { text: `${HOSTILE}\u{E0041}`, plain: 'Zürich → 東京' };
    const text = jsonText(value);
    expect(text).to.not.match(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/u);
    expect(JSON.parse(text)).to.deep.equal(value);
    expect(text).to.contain('Zürich → 東京');
    expect(harmlessJson('{"a":1}')).to.equal('{"a":1}');
  });
});

describe('colours', () => {
  const screen = { isTTY: true, hasColors: () => true };
  const isColoured = (
    environment: Record<string, string>,
    stream: Parameters<typeof terminalOf>[0],
  ): boolean => terminalOf(stream, terminalWishes(environment)).paint('bad', 'x') !== 'x';

  for (const [wish, environment, onScreen, inPipe] of [
    ['nobody says anything', {}, true, false],
    ['NO_COLOR is set', { NO_COLOR: '1' }, false, false],
    ['NO_COLOR is empty, which is not set', { NO_COLOR: '' }, true, false],
    ['FORCE_COLOR is set', { FORCE_COLOR: '1' }, true, true],
    ['FORCE_COLOR is 0', { FORCE_COLOR: '0' }, false, false],
    ['both are, and FORCE_COLOR wins as in Node', { FORCE_COLOR: '3', NO_COLOR: '1' }, true, true],
  ] as const) {
    it(`${onScreen ? 'are' : 'are not'} on a terminal, and ${inPipe ? 'are' : 'are not'} in a pipe, if ${wish}`, () => {
      expect(isColoured(environment, screen)).to.equal(onScreen);
      expect(isColoured(environment, {})).to.equal(inPipe);
    });
  }

  it('are not on a terminal that shows none', () => {
    expect(isColoured({}, { isTTY: true, hasColors: () => false })).to.equal(false);
  });
});
