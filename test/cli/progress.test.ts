import { expect } from 'chai';
import { guardOutputs } from '../../src/cli/outputs.ts';
import { ProgressLine } from '../../src/cli/report/progress.ts';
import { widthOf } from '../../src/cli/report/layout.ts';
import { Redactor } from '../../src/kit/secret.ts';

const ERASE = '\r\u001B[K';

function screen(
  isTTY: boolean,
  columns = 40,
): { written: string[]; isTTY: boolean; columns: number; write: (text: string) => void } {
  const written: string[] = [];
  return { written, isTTY, columns, write: (text) => void written.push(text) };
}

const ABLE = { isDumb: false };

describe('the progress of long work', () => {
  it('is one line of a terminal, rewritten, and gone at the end', () => {
    const stream = screen(true);
    {
      using line = new ProgressLine(stream, ABLE);
      line.show('reading secrets: 0 of 2');
      line.show('reading secrets: 1 of 2');
    }
    expect(stream.written).to.deep.equal([
      `${ERASE}… reading secrets: 0 of 2`,
      `${ERASE}… reading secrets: 1 of 2`,
      ERASE,
    ]);
  });

  it('makes room for what somebody else has to say, once', () => {
    const stream = screen(true);
    using line = new ProgressLine(stream, ABLE);
    line.clear();
    expect(stream.written).to.deep.equal([]);
    line.show('a');
    line.clear();
    line.clear();
    expect(stream.written.slice(1)).to.deep.equal([ERASE]);
  });

  it('is not there in a pipe, nor on a terminal that cannot rewrite', () => {
    for (const [stream, wishes] of [
      [screen(false), ABLE],
      [screen(true), { isDumb: true }],
    ] as const) {
      using line = new ProgressLine(stream, wishes);
      line.show('a');
      expect(stream.written).to.deep.equal([]);
    }
  });

  it('never takes a second line, and obeys no stranger', () => {
    const stream = screen(true, 40);
    using line = new ProgressLine(stream, ABLE);
    for (const text of ['long '.repeat(40), '東京'.repeat(40), 'a\r\n\u001B[2Jb\u009B31m']) {
      line.show(text);
      const shown = (stream.written.at(-1) ?? '').slice(ERASE.length);
      expect(widthOf(shown)).to.be.lessThan(40);
      expect(shown).to.not.match(/\p{C}/u);
    }
    expect(stream.written.at(-1)).to.equal(`${ERASE}… a [2Jb 31m`);
  });

  it('goes past what guards the stream later on', () => {
    const stream = screen(true);
    using line = new ProgressLine(stream, ABLE);
    stream.write = () => expect.fail('the guard was asked');
    line.show('a');
    expect(stream.written).to.have.length(1);
  });

  it('has room made for it by the guard of the outputs', () => {
    const written: string[] = [];
    const { stderr } = process;
    const write = stderr.write.bind(stderr);
    stderr.write = (chunk: string | Uint8Array): boolean => written.push(String(chunk)) > 0;
    try {
      using _guard = guardOutputs(new Redactor(), () => written.push('<room>'));
      stderr.write('a line of the log\n');
    } finally {
      stderr.write = write;
    }
    expect(written).to.deep.equal(['<room>', 'a line of the log\n']);
  });
});
