import { expect } from 'chai';
import { approvalReport } from '../../src/cli/report/approval.ts';
import { failureReport } from '../../src/cli/report/failure.ts';
import { LOOK, THROTTLED } from './reports.ts';
import { colourTerminal, namedColours, plainTerminal } from './support.ts';

/** By the width of the terminal; the first line is empty. */
const LOOK_AT: Readonly<Record<number, string>> = {
  40: `
change_request CHG0030004, changed
2026-11-23T17:22:46Z
https://example.service-now.com/nav_to.do?uri=change_request.do%3Fsys_id%3D57b3429d5c20

Approval criteria are not met
✗ state equals Implement: it is -2
  (Scheduled)
✓ assignment_group in Network, 東京: it
  is d625dccec0a8016700a222a0f7900d06
  (東京)

Rejection criteria are not met
✗ close_code not equals blank: it is
  blank

Outside the change window from
2026-11-23T20:00:00.000Z; it is
2026-11-23T18:00:00.000Z

… waiting: state is Scheduled, not
  Implement
Checked 2026-11-23T18:00:00.000Z
`,
  80: `
change_request CHG0030004, changed 2026-11-23T17:22:46Z
https://example.service-now.com/nav_to.do?uri=change_request.do%3Fsys_id%3D57b3429d5c20

Approval criteria are not met
✗ state equals Implement: it is -2 (Scheduled)
✓ assignment_group in Network, 東京: it is d625dccec0a8016700a222a0f7900d06
  (東京)

Rejection criteria are not met
  field       operator    expected  value
✗ close_code  not equals  blank     blank

Outside the change window from 2026-11-23T20:00:00.000Z; it is
2026-11-23T18:00:00.000Z

… waiting: state is Scheduled, not Implement
Checked 2026-11-23T18:00:00.000Z
`,
  120: `
change_request CHG0030004, changed 2026-11-23T17:22:46Z
https://example.service-now.com/nav_to.do?uri=change_request.do%3Fsys_id%3D57b3429d5c20

Approval criteria are not met
  field             operator  expected       value
✗ state             equals    Implement      -2 (Scheduled)
✓ assignment_group  in        Network, 東京  d625dccec0a8016700a222a0f7900d06 (東京)

Rejection criteria are not met
  field       operator    expected  value
✗ close_code  not equals  blank     blank

Outside the change window from 2026-11-23T20:00:00.000Z; it is 2026-11-23T18:00:00.000Z

… waiting: state is Scheduled, not Implement
Checked 2026-11-23T18:00:00.000Z
`,
};

describe('the report of a look at a ticket', () => {
  for (const [width, expected] of Object.entries(LOOK_AT)) {
    it(`is this, ${width} columns wide`, () => {
      expect(`\n${approvalReport(LOOK, plainTerminal(Number(width)))}`).to.equal(expected);
    });
  }

  it('says by colour what the marks say', () => {
    const shown = namedColours(approvalReport(LOOK, colourTerminal(80)));
    expect(shown).to.contain('<bad>✗</> state').and.contain('<good>✓</> assignment_group');
    expect(shown).to.contain('<warning>… waiting: state is Scheduled, not Implement</>');
    expect(shown.replaceAll(/<[^>]*>/g, '')).to.equal(LOOK_AT[80]?.slice(1));
  });

  for (const [decision, line] of [
    ['approved', '<good>✓ because</>'],
    ['rejected', '<bad>✗ because</>'],
    ['pending', '<warning>… because</>'],
  ] as const) {
    it(`marks it ${decision}`, () => {
      const look = { ...LOOK, decision, reason: 'because' };
      expect(namedColours(approvalReport(look, colourTerminal(80)))).to.contain(line);
    });
  }

  it('leaves away what was not asked for', () => {
    const shown = approvalReport({ ...LOOK, rejection: null, window: null }, plainTerminal(80));
    expect(shown).to.not.match(/rejection|window/i);
  });

  it('names both ends of a window', () => {
    const window = { start: null, end: 'E', now: 'N', inside: true };
    expect(approvalReport({ ...LOOK, window }, plainTerminal(80))).to.contain(
      'Inside the change window until E; it is N',
    );
  });

  it('is not rearranged by what stands in a ticket', () => {
    const condition = { key: 'k', operator: 'equals', expected: 'a\u001B[2J', value: 'b\nc', met: false };
    const approval = {
      met: false,
      conditions: [{ ...condition, displayValue: 'd\u202Ee', compared: 'either' as const }],
    };
    const shown = approvalReport({ ...LOOK, approval }, plainTerminal(80));
    expect(shown).to.contain('✗ k      equals    a [2J     b c (d e)\n');
  });
});

describe('the report of a task without an answer', () => {
  it('says why, what to do, and whether a script may try it again', () => {
    expect(failureReport('There is no decision', THROTTLED, plainTerminal(80)).split('\n')).to.deep.equal([
      '✗ There is no decision',
      '',
      'Error: example.service-now.com has had enough requests for now.',
      '  → Wait, or ask for a higher limit.',
      '    servicenow.throttled, HTTP 429',
      '',
      'The same command may succeed later, with nothing changed.',
      '',
    ]);
    expect(failureReport('x', { ...THROTTLED, retryable: false }, plainTerminal(80))).to.contain(
      'The same command will fail again, until something is changed.',
    );
  });

  it('is red only where it has to be', () => {
    const { hint: _none, status: _neither, ...bare } = THROTTLED;
    expect(namedColours(failureReport('x', bare, colourTerminal(80))).split('\n')).to.deep.equal([
      '<bad>✗ x</>',
      '',
      '<bad>Error:</> example.service-now.com has had enough requests for now.',
      '<faint>    servicenow.throttled</>',
      '',
      'The same command may succeed later, with nothing changed.',
      '',
    ]);
  });
});
