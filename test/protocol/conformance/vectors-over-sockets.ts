import { expect } from 'chai';
import { CloseCode } from '../../../src/protocol/close-codes.ts';
import { vectors, type Vector } from '../vectors.ts';
import type { Fate, Line, Side } from './line.ts';
import { isHurriedWelcome } from './oracle.ts';

type Phase = 'opening' | 'session';

/** The line was cut, as a delegate does that misses acks (RFC 6455, section 7.4.1). */
const ABNORMAL_CLOSURE = 1006;

const CLOSES: Partial<Record<Vector['verdict'], Fate>> = {
  malformed: 4400,
  'too-large': 1009,
  ignored: 'open',
};

/** Of a vector alone, without the codec: this is a second reading, not the first one again. */
function fateOf(vector: Vector, phase: Phase): Fate {
  const closes = CLOSES[vector.verdict];
  if (closes !== undefined) return closes;
  if (vector.legal !== phase) return CloseCode.MalformedFrame;
  switch (typeOf(vector)) {
    case 'hello':
      // No vector knows the id that this manager has given.
      return CloseCode.NotAuthenticated;
    case 'drain':
      return CloseCode.Goodbye;
    default:
      return 'open';
  }
}

/** Of a valid vector. */
function typeOf({ bytes }: Vector): unknown {
  const message: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return typeof message === 'object' && message !== null && 'type' in message ? message.type : undefined;
}

/** Puts every vector of the side's direction on a socket, before and after the opening. */
export function describeVectors(direction: Side['direction'], side: () => Side): void {
  for (const phase of ['opening', 'session'] satisfies Phase[]) {
    describe(phase === 'opening' ? 'as the first frame' : 'in an open session', () => {
      let line: Line | undefined;

      /** A delegate that is asked to move closes the old connection when the new one is open. */
      const fateAfter = async (used: Line, expected: Fate): Promise<Fate> => {
        if (expected === 'open') return await used.fate();
        if (expected === CloseCode.Goodbye) {
          line = await side().connect();
          line.open();
        }
        return await used.closed();
      };

      afterEach(async () => {
        // A grant is never lower than the one before, and every vector's is meant to be the first.
        if (line?.isOpen === true && phase === 'opening') await line.end();
      });
      after(async () => {
        if (line?.isOpen === true) await line.end();
      });

      for (const vector of vectors.filter((one) => one.direction === direction)) {
        const expected = fateOf(vector, phase);
        it(`${expected === 'open' ? 'leaves open' : `closes ${expected}`}: ${vector.name}`, async () => {
          const opensItself = phase === 'opening' && vector.verdict === 'valid';
          const isCredit = vector.verdict === 'valid' && typeOf(vector) === 'credit';
          if (line?.isOpen !== true || isCredit) {
            if (line?.isOpen === true) await line.end();
            line = await side().connect();
            if (phase === 'session') line.open();
          }
          line.send(vector);
          if (opensItself) line.markOpened();
          const fate = await fateAfter(line, expected);
          const mayBeCut = opensItself && isHurriedWelcome(vector);
          expect(mayBeCut && fate === ABNORMAL_CLOSURE ? 'open' : fate).to.equal(expected);
        });
      }
    });
  }
}
