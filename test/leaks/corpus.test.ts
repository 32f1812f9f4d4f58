import { expect } from 'chai';
import { Redactor } from '../../src/kit/secret.ts';
import { piecesIn } from './finder.ts';
import { OUTPUTS } from './outputs.ts';
import { ENCODINGS, KINDS } from './shapes.ts';

/** Shapes × outputs: every kind of secret in every encoding, through every way out. */
const SHAPES = Object.entries(KINDS).flatMap(([kindName, kind]) =>
  Object.entries(ENCODINGS).map(([encodingName, encode]) => ({
    name: `${kindName}, ${encodingName}`,
    kind,
    text: encode(kind.value),
  })),
);

describe('a secret that gets into a text', function () {
  this.timeout(120_000);

  it('is tried in more than 200 shapes', () => {
    expect(new Set(SHAPES.map(({ name }) => name)).size)
      .to.equal(SHAPES.length)
      .and.to.be.greaterThan(200);
  });

  for (const { name, kind, text } of SHAPES) {
    it(`is in nothing that leaves: ${name}`, async () => {
      // The search itself: it sees what there is to be seen.
      expect(piecesIn(text, kind.pieces), 'what the finder sees in the text')
        .to.not.equal([])
        .and.not.have.length(0);
      const redactor = new Redactor();
      redactor.register(kind.value);
      for (const [output, emit] of Object.entries(OUTPUTS)) {
        expect(piecesIn(await emit(text, redactor), kind.pieces), output).to.deep.equal([]);
      }
    });
  }

  for (const [output, emit] of Object.entries(OUTPUTS)) {
    it(`would be found in ${output}, if nobody scrubbed it`, async function () {
      // The one way out that has no text of a stranger at all.
      const isMute = output === 'an error that nobody foresaw';
      const kind = KINDS['a token'];
      for (const shape of SHAPES.filter((one) => one.kind === kind)) {
        const found = piecesIn(await emit(shape.text, new Redactor()), shape.kind.pieces);
        expect(found.length > 0, shape.name).to.equal(!isMute);
      }
    });
  }
});
