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
    for (const [name, start, end] of [
      ['an end before the start', END, START],
      ['an end at the start', START, START],
      ['an end on the day before', '2026-03-01', '2026-02-28'],
      ['an impossible start', '2026-02-30', END],
      ['a display value in place of an end', START, '01/03/2026 13:00'],
      ['a blank start', '', END],
      ['a blank end', START, ''],
      ['no dates at all', '', ''],
    ] as const) {
      it(name, () => {
        const error = errorOf('servicenow.change-window-invalid', () =>
          judge(start, end, '2026-03-01 11:00:00'),
        );
        expect(error.message).to.contain(`start_date is ${JSON.stringify(start)}`);
        expect(error.message).to.contain(`end_date is ${JSON.stringify(end)}`);
        expect(error.details).to.include({ start, end });
        expect(error.retryable).to.equal(false);
      });
    }

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
    expect(error.message).to.contain(START).and.to.contain(END).and.to.contain('2026-03-02 00:00:00');
  });

  describe('blank ends', () => {
    for (const [start, end, blank] of [
      ['', END, 'start_date'],
      [START, '', 'end_date'],
      ['', '', 'start_date'],
    ] as const) {
      it(`are waited for if asked (${blank} of "${start}" to "${end}")`, () => {
        const judgement = judge(start, end, '2030-01-01 00:00:00', { onMissing: 'pending' });
        expect(judgement.phase).to.equal('undated');
        expect(judgement.phrase).to.contain(blank);
        expect(judgement.report.inside).to.equal(false);
      });
    }

    for (const [start, end, now, phase] of [
      ['', END, '2026-03-01 00:00:00', 'inside'],
      ['', END, END, 'past'],
      [START, '', START, 'before'],
      [START, '', '2030-01-01 00:00:00', 'inside'],
      ['', '', '2030-01-01 00:00:00', 'inside'],
    ] as const) {
      it(`leave the window open there if ignored; the other end counts ("${start}" to "${end}" at ${now})`, () => {
        const judgement = judge(start, end, now, { onMissing: 'ignore', onPast: 'reject' });
        expect(judgement.phase).to.equal(phase);
        expect(judgement.report.start === null).to.equal(start === '');
        expect(judgement.report.end === null).to.equal(end === '');
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
