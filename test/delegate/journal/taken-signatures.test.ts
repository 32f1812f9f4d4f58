import { expect } from 'chai';
import { MAX_TAKEN_SIGNATURES, TakenSignatures } from '../../../src/delegate/journal/taken-signatures.ts';

const NOW_S = 1_795_000_000;
const TERM_S = 300;

function refOf(n: number, attempt = 1) {
  return { taskId: `t-${n}`, attempt };
}

const mark = (takenAtS = NOW_S, lastsS = TERM_S) => ({ untilS: takenAtS + lastsS, takenAtS });

describe('the signatures that were taken', () => {
  it('are refused a second time, and so is an attempt before them; a later one is not', () => {
    const taken = new TakenSignatures();
    taken.take(refOf(1, 2), mark());
    expect(taken.faultOf(refOf(1, 2), NOW_S)).to.match(/used before/);
    expect(taken.faultOf(refOf(1, 1), NOW_S)).to.match(/used before/);
    expect(taken.faultOf(refOf(1, 3), NOW_S)).to.equal(undefined);
    expect(taken.faultOf(refOf(2), NOW_S)).to.equal(undefined);
  });

  it('are remembered to the end of the longest of one task', () => {
    const taken = new TakenSignatures();
    taken.take(refOf(1, 1), mark(NOW_S, 86_400));
    taken.take(refOf(1, 2), mark(NOW_S, 300));
    taken.take(refOf(2), mark(NOW_S + 301));
    expect(taken.marks().taken.map(({ ref }) => ref)).to.deep.equal([refOf(1, 2), refOf(2)]);
  });

  it('make no room before they expire: then no other is taken', () => {
    const taken = new TakenSignatures();
    for (let n = 0; n < MAX_TAKEN_SIGNATURES; n += 1) taken.take(refOf(n), mark());
    expect(taken.faultOf(refOf(-1), NOW_S)).to.match(/no room/);
    expect(taken.faultOf(refOf(0), NOW_S)).to.match(/used before/);
    // A later attempt of one that is remembered needs no room.
    expect(taken.faultOf(refOf(0, 2), NOW_S)).to.equal(undefined);
    taken.take(refOf(0, 2), mark(NOW_S + TERM_S + 1));
    expect(taken.faultOf(refOf(-1), NOW_S)).to.equal(undefined);
    expect(taken.marks().taken).to.have.length(1);
  });

  it('hold the time up when the clock falls back, also after a restart', () => {
    const taken = new TakenSignatures();
    taken.take(refOf(1), mark());
    const later = TakenSignatures.from(taken.marks());
    expect(later.judgedAtS(NOW_S - 86_400)).to.equal(NOW_S);
    expect(later.judgedAtS(NOW_S + 1)).to.equal(NOW_S + 1);
  });

  it('are not forgotten for what a clock says that no signature has vouched for', () => {
    const taken = new TakenSignatures();
    taken.take(refOf(1), mark());
    expect(taken.judgedAtS(NOW_S * 2)).to.equal(NOW_S * 2);
    expect(TakenSignatures.from(taken.marks()).faultOf(refOf(1), NOW_S)).to.match(/used before/);
  });

  it('are held for used if they were made before the journal was damaged', () => {
    const taken = new TakenSignatures();
    taken.doubt(NOW_S);
    const later = TakenSignatures.from(taken.marks());
    expect(later.faultOf(refOf(1), NOW_S)).to.match(/loss of the journal/);
    expect(later.faultOf(refOf(1), NOW_S + 61)).to.equal(undefined);
  });
});
