import { expect } from 'chai';
import * as fc from 'fast-check';
import { parseTraceparent, traceparentOf } from '../../../src/observability/tracing/trace-parent.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('a traceparent', () => {
  it('is read into its parts', () => {
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).to.deep.equal({
      traceId: TRACE,
      spanId: SPAN,
      flags: 1,
    });
  });

  for (const [what, text] of [
    ['none', undefined],
    ['an empty one', ''],
    ['a version to come', `01-${TRACE}-${SPAN}-01`],
    ['the version that is none', `ff-${TRACE}-${SPAN}-01`],
    ['one with more behind it', `00-${TRACE}-${SPAN}-01-what-the-manager-wants-to-say`],
    ['one with a line behind it', `00-${TRACE}-${SPAN}-01\r\nx-more: 1`],
    ['one with a space before it', ` 00-${TRACE}-${SPAN}-01`],
    ['capital letters', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['an id that is too short', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['letters that are no digits', `00-${TRACE.replace('4', 'g')}-${SPAN}-01`],
    ['no flags', `00-${TRACE}-${SPAN}`],
  ] as const) {
    it(`counts for nothing: ${what}`, () => {
      expect(parseTraceparent(text)).to.equal(undefined);
    });
  }

  it('carries no flags but those that mean something', () => {
    const parsed = parseTraceparent(`00-${TRACE}-${SPAN}-ff`);
    expect(parsed && traceparentOf(parsed)).to.equal(`00-${TRACE}-${SPAN}-03`);
  });

  it('is written as it was read', () => {
    const hex = (length: number): fc.Arbitrary<string> =>
      fc
        .string({
          unit: fc.constantFrom(...Array.from('0123456789abcdef')),
          minLength: length,
          maxLength: length,
        })
        .filter((text) => !/^0+$/.test(text));
    fc.assert(
      fc.property(hex(32), hex(16), fc.constantFrom(0, 1, 2, 3), (traceId, spanId, flags) => {
        const text = traceparentOf({ traceId, spanId, flags });
        expect(text).to.have.length(55);
        expect(parseTraceparent(text)).to.deep.equal({ traceId, spanId, flags });
      }),
    );
  });

  it('is the only thing that is ever let through', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseTraceparent(text);
        return parsed === undefined || traceparentOf(parsed).slice(0, 53) === text.slice(0, 53);
      }),
    );
  });
});
