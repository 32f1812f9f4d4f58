import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  changeWindowSchema,
  judgeWindow,
  type WindowJudgement,
} from '../../../../src/connectors/servicenow/approval/change-window.ts';
import { formatUtc, parseUtc } from '../../../../src/connectors/servicenow/approval/utc.ts';
import { errorOf, ticket } from './support.ts';

const START = '2026-03-01 10:00:00';
const END = '2026-03-01 12:00:00';

function at(text: string): number {
  return Date.parse(`${text.replace(' ', 'T')}Z`);
}

function judge(
  start: string,
  end: string,
  now: string,
  policy: { onMissing?: string; onPast?: string } = {},
): WindowJudgement {
  const window = changeWindowSchema.parse({ startField: 'start_date', endField: 'end_date', ...policy });
  // The display values contradict the values: whoever reads them fails here.
  const fields = ticket({ start_date: [start, '01/01/2020 00:00'], end_date: [end, '02/01/2020 00:00'] });
  return judgeWindow(window, fields, at(now));
}

describe('ServiceNow’s UTC dates', () => {
  it('every instant of four-digit years is read back as it was written', () => {
    const range = {
      min: new Date('0100-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    };
    fc.assert(
      fc.property(fc.date(range), (date) => {
        const epochMs = Math.floor(date.getTime() / 1_000) * 1_000;
        expect(parseUtc(formatUtc(epochMs))).to.deep.equal({ epochMs, precision: 'second' });
      }),
    );
  });

  for (const text of [
    '2026-02-30',
    '2025-02-29 00:00:00',
    '2026-13-01',
    '2026-00-10',
    '2026-03-01 24:00:00',
    '2026-03-01 10:60:00',
    '2026-03-01T10:00:00',
    '2026-03-01 10:00',
    '2026-3-1',
    '01/03/2026 11:00:00',
    ' 2026-03-01',
    '2026-03-01 10:00:00Z',
    '',
  ]) {
    it(`${JSON.stringify(text)} is none`, () => {
      expect(parseUtc(text)).to.equal(undefined);
    });
  }

  it('29 February exists in leap years', () => {
    expect(parseUtc('2028-02-29')).to.deep.equal({ epochMs: Date.UTC(2028, 1, 29), precision: 'day' });
  });
});

describe('the change window', () => {
  describe('inside is strictly between the two ends, to the second', () => {
    for (const [now, phase] of [
      ['2026-03-01 09:59:59', 'before'],
      ['2026-03-01 10:00:00', 'before'],
      ['2026-03-01 10:00:01', 'inside'],
      ['2026-03-01 11:59:59', 'inside'],
      ['2026-03-01 12:00:00', 'past'],
      ['2026-03-01 12:00:01', 'past'],
    ] as const) {
      it(`${now} is ${phase}`, () => {
        const judgement = judge(START, END, now, { onPast: 'reject' });
        expect(judgement.phase).to.equal(phase);
        expect(judgement.report).to.deep.equal({
          start: '2026-03-01T10:00:00.000Z',
          end: '2026-03-01T12:00:00.000Z',
          now: new Date(at(now)).toISOString(),
          inside: phase === 'inside',
        });
      });
    }
  });

  describe('a day alone is included whole', () => {
    for (const [now, phase] of [
      ['2026-03-01 00:00:00', 'before'],
      ['2026-03-01 00:00:01', 'inside'],
      ['2026-03-01 23:59:59', 'inside'],
      ['2026-03-02 00:00:00', 'past'],
    ] as const) {
      it(`${now} is ${phase} on 2026-03-01`, () => {
        expect(judge('2026-03-01', '2026-03-01', now, { onPast: 'reject' }).phase).to.equal(phase);
      });
    }

    it('the last day that can be written still has an end that can be written', () => {
      expect(judge('2026-03-01', '9999-12-31', '2026-03-05 00:00:00').report.end).to.equal(
        '9999-12-31T23:59:59.000Z',
      );
    });
  });

  describe('a window that can not be one fails with both values in the text', () => {
    for (const [name, start, end, problem] of [
      ['an end before the start', END, START, 'ends before it begins'],
      ['an end at the start', START, START, 'ends before it begins'],
      ['an end on the day before', '2026-03-01', '2026-02-28', 'ends before it begins'],
      [
        'an impossible start',
        '2026-02-30',
        END,
        'has no UTC date of the form yyyy-MM-dd HH:mm:ss as its start:',
      ],
      [
        'a display value as the end',
        START,
        '01/03/2026 13:00',
        'has no UTC date of the form yyyy-MM-dd HH:mm:ss as its end:',
      ],
      ['a blank start', '', END, 'is incomplete: start_date is blank'],
      ['a blank end', START, '', 'is incomplete: end_date is blank'],
      ['no dates at all', '', '', 'is incomplete: start_date is blank'],
    ] as const) {
      it(name, () => {
        const error = errorOf('servicenow.change-window-invalid', () =>
          judge(start, end, '2026-03-01 11:00:00'),
        );
        expect(error.message).to.match(new RegExp(`^The change window ${problem}`));
        expect(error.message).to.contain(`start_date is ${JSON.stringify(start)}`);
        expect(error.message).to.contain(`end_date is ${JSON.stringify(end)}`);
        expect(error.details).to.deep.equal({ startField: 'start_date', start, endField: 'end_date', end });
        expect(error.hint).to.contain('"onMissing"');
      });
    }

    it('however long what stands there instead of a date', () => {
      const error = errorOf('servicenow.change-window-invalid', () => judge('x'.repeat(9_000), END, START));
      expect(error.message).to.have.length.below(400);
      expect(error.details?.['start']).to.have.length.below(200);
    });

    it('and no policy makes it one', () => {
      for (const onMissing of ['pending', 'ignore']) {
        const policy = { onMissing, onPast: 'reject' };
        errorOf('servicenow.change-window-invalid', () => judge('soon', '', START, policy));
        errorOf('servicenow.change-window-invalid', () => judge(END, START, START, policy));
      }
    });
  });

  it('a window that is over fails, with both values and the time', () => {
    const error = errorOf('servicenow.change-window-past', () => judge(START, END, '2026-03-02 00:00:00'));
    expect(error.message).to.equal(
      `The change window is over: start_date is "${START}", end_date is "${END}", and it is 2026-03-02 00:00:00 UTC.`,
    );
    expect(error.details).to.deep.equal({
      startField: 'start_date',
      start: START,
      endField: 'end_date',
      end: END,
    });
    expect(error.hint).to.contain('"onPast: reject"');
  });

  describe('every pair of ends under every policy, at any time', () => {
    /** Before the start, at it, between the two, at the end, and after it. */
    const TIMES = ['2026-03-01 09:00:00', START, '2026-03-01 11:00:00', END, '2026-03-01 13:00:00'];
    const DATED = 'before before inside past past';
    const UNDATED = 'undated undated undated undated undated';
    const OPEN_ENDED = 'before before inside inside inside';
    const STARTED = 'inside inside inside past past';
    const ALWAYS = 'inside inside inside inside inside';
    const INVALID = 'invalid invalid invalid invalid invalid';

    const ROWS: [start: string, end: string, outcomes: Record<'fail' | 'pending' | 'ignore', string>][] = [
      [START, END, { fail: DATED, pending: DATED, ignore: DATED }],
      ['', END, { fail: INVALID, pending: UNDATED, ignore: STARTED }],
      [START, '', { fail: INVALID, pending: UNDATED, ignore: OPEN_ENDED }],
      ['', ' ', { fail: INVALID, pending: UNDATED, ignore: ALWAYS }],
    ];
    const BROKEN = [
      [END, START],
      [START, START],
      ['soon', END],
      [START, 'soon'],
      ['soon', ''],
      ['', 'soon'],
      ['soon', 'later'],
      ['01/03/2026 11:00', '01/03/2026 13:00'],
    ] as const;
    for (const [start, end] of BROKEN) {
      ROWS.push([start, end, { fail: INVALID, pending: INVALID, ignore: INVALID }]);
    }

    for (const [start, end, outcomes] of ROWS) {
      for (const onMissing of ['fail', 'pending', 'ignore'] as const) {
        it(`"${start}" to "${end}", onMissing ${onMissing}: ${outcomes[onMissing]}`, () => {
          for (const [index, outcome] of outcomes[onMissing].split(' ').entries()) {
            const now = TIMES[index] ?? '';
            for (const onPast of ['fail', 'reject'] as const) {
              const look = (): WindowJudgement => judge(start, end, now, { onMissing, onPast });
              if (outcome === 'invalid') errorOf('servicenow.change-window-invalid', look);
              else if (outcome === 'past' && onPast === 'fail')
                errorOf('servicenow.change-window-past', look);
              else {
                const { phase, report } = look();
                expect(phase, `${now}, onPast ${onPast}`).to.equal(outcome);
                expect(report).to.deep.equal({
                  start: start.trim() === '' ? null : new Date(at(start)).toISOString(),
                  end: end.trim() === '' ? null : new Date(at(end)).toISOString(),
                  now: new Date(at(now)).toISOString(),
                  inside: outcome === 'inside',
                });
              }
            }
          }
        });
      }
    }

    it('blank ends and a window that is over fail unless the criteria say otherwise', () => {
      const window = changeWindowSchema.parse({ startField: 'start_date', endField: 'end_date' });
      expect(window).to.include({ onMissing: 'fail', onPast: 'fail' });
    });
  });

  describe('the phrase says what a release manager should know', () => {
    const ignore = { onMissing: 'ignore', onPast: 'reject' };
    const pending = { onMissing: 'pending' };
    for (const [start, end, now, policy, phrase] of [
      [START, END, '2026-03-01 09:00:00', ignore, 'opens at 2026-03-01 10:00:00 UTC'],
      [START, END, '2026-03-01 11:00:00', ignore, 'is open until 2026-03-01 12:00:00 UTC'],
      [START, END, '2026-03-01 13:00:00', ignore, 'ended at 2026-03-01 12:00:00 UTC'],
      [START, '', '2026-03-01 13:00:00', ignore, 'is open'],
      ['', END, '2026-03-01 09:00:00', pending, 'has no start yet (start_date is blank)'],
      [START, '', '2026-03-01 09:00:00', pending, 'has no end yet (end_date is blank)'],
      ['', '', '2026-03-01 09:00:00', pending, 'has no start yet (start_date is blank)'],
    ] as const) {
      it(phrase, () => {
        expect(judge(start, end, now, policy).phrase).to.equal(phrase);
      });
    }
  });

  it('a field that was not answered is missing, not blank, under every policy', () => {
    for (const onMissing of ['fail', 'pending', 'ignore']) {
      const window = changeWindowSchema.parse({ startField: 'start_date', endField: 'end_date', onMissing });
      const error = errorOf('servicenow.field-missing', () =>
        judgeWindow(window, ticket({ start_date: START }), 0),
      );
      expect(error.details).to.have.property('field', 'end_date');
    }
  });

  it('an unknown policy and a name that is none are refused', () => {
    const parsed = changeWindowSchema.safeParse({ startField: 'x^y', endField: 'end_date', onPast: 'wait' });
    expect(parsed.error?.issues.map(({ path }) => path.join('.'))).to.deep.equal(['startField', 'onPast']);
  });
});
