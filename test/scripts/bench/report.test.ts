import { expect } from 'chai';
import {
  figures,
  mebibytes,
  partText,
  spread,
  target,
  targetsTable,
  tableText,
} from '../../../scripts/bench/report.ts';
import { summaryOf } from '../../../scripts/bench/statistics.ts';

describe('the report of the bench', () => {
  it('writes a table in Markdown, numbers to the right', () => {
    const table = { caption: 'Calls.', head: ['who', 'a second'], rows: [['bare loop', '32,000']] };
    expect(tableText(table).split('\n')).to.deep.equal([
      'Calls.',
      '',
      '| who | a second |',
      '| --- | --: |',
      '| bare loop | 32,000 |',
    ]);
  });

  it('says before a table what was not measured, and why', () => {
    const part = {
      title: '(a) Calls',
      caveat: 'Without BullMQ: no Redis.',
      tables: [],
      targets: [],
      observations: null,
    };
    expect(partText(part)).to.equal('## (a) Calls\n\nWithout BullMQ: no Redis.');
  });

  it('meets a bound with the bound itself, and misses it beyond', () => {
    expect(target('x', 0.5, { atLeast: 0.5 }, figures)).to.include({ wanted: '≥ 0.5', met: true });
    expect(target('x', 0.49, { atLeast: 0.5 }, figures).met).to.equal(false);
    expect(target('x', 3, { atMost: 3 }, figures)).to.include({ wanted: '≤ 3', met: true });
    expect(target('x', 3.01, { atMost: 3 }, figures).met).to.equal(false);
  });

  it('misses every bound with a number that is none', () => {
    expect(target('x', Number.NaN, { atLeast: 0.5 }, figures).met).to.equal(false);
    expect(target('x', Number.NaN, { atMost: 3 }, figures).met).to.equal(false);
  });

  it('shows a miss for what it is', () => {
    const { rows } = targetsTable([
      target('idle', 1_048_576, { atMost: 2_097_152 }, mebibytes),
      target('ready', 700, { atMost: 600 }, figures),
    ]);
    expect(rows).to.deep.equal([
      ['idle', '≤ 2.0 MiB', '1.0 MiB', 'met'],
      ['ready', '≤ 600', '700', '**missed**'],
    ]);
  });

  it('shows between which values the repetitions lie, if there are several', () => {
    expect(spread(summaryOf([3, 1, 2]), figures)).to.equal('2 (1–3)');
    expect(spread(summaryOf([12_345.6]), figures)).to.equal('12,300');
  });
});
