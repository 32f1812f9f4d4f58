import { expect } from 'chai';
import * as fc from 'fast-check';
import { LogOutput } from '../../src/observability/log-output.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';

const ONE_MIB = 1_048_576;

/** A disk or a pipe with so much room. */
class Output {
  text = '';
  attempts = 0;
  /** When its reader goes on. */
  roomAfterAttempts = Infinity;
  roomBytes: number;
  /** What it answers without room. */
  code: string;

  constructor(roomBytes = Infinity, code = 'ENOSPC') {
    this.roomBytes = roomBytes;
    this.code = code;
  }

  write(bytes: Uint8Array): number {
    this.attempts += 1;
    if (this.attempts > this.roomAfterAttempts) this.roomBytes = Infinity;
    if (this.roomBytes === 0) throw Object.assign(new Error('no room'), { code: this.code });
    const written = Math.min(bytes.length, this.roomBytes);
    this.roomBytes -= written;
    this.text += Buffer.from(bytes.subarray(0, written)).toString('latin1');
    return written;
  }

  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }
}

/** A quarter of what may wait, named in its first characters. */
function longLine(name: string): string {
  return `${name}${'.'.repeat(ONE_MIB / 4 - name.length - 1)}\n`;
}

describe('the output of the log', () => {
  const used: { log: LogOutput; output: Output }[] = [];
  const logTo = (output: Output): LogOutput => {
    const log = new LogOutput({
      write: (bytes) => output.write(bytes),
      onLost: (lines) => log.write(`lost ${lines}\n`),
    });
    used.push({ log, output });
    return log;
  };
  it('tells of each line at the moment that it is lost, also when no reader comes back', () => {
    const output = new Output(0);
    let lost = 0;
    const log = new LogOutput({
      write: (bytes) => output.write(bytes),
      onLost: () => {},
      onLostLine: () => (lost += 1),
    });
    used.push({ log, output });
    for (const name of ['a', 'b', 'c', 'd']) log.write(longLine(name));
    expect(lost).to.equal(0);
    log.write('one too many\n');
    log.write('another\n');
    expect(lost).to.equal(2);
    output.code = 'EPIPE';
    log.write('into a broken pipe\n');
    log.write('and after it\n');
    expect(lost).to.equal(8);
  });

  // Until it is out, a line that waits is tried again and again.
  afterEach(() => {
    for (const { log, output } of used.splice(0)) {
      output.roomBytes = Infinity;
      log.flushSync();
    }
  });
  leavesNothingOpen();

  it('has a line before the call returns', () => {
    const output = new Output();
    logTo(output).write('one\n');
    expect(output.text).to.equal('one\n');
  });

  for (const code of ['ENOSPC', 'EDQUOT', 'EIO', 'EAGAIN']) {
    it(`without room (${code}) ends nothing: lines wait, and come in order, the torn one whole`, () => {
      const output = new Output(6, code);
      const log = logTo(output);
      for (const line of ['one\n', 'two\n', 'three\n']) log.write(line);
      expect(output.text).to.equal('one\ntw');
      output.roomBytes = Infinity;
      log.write('four\n');
      expect(output.lines).to.deep.equal(['one', 'two', 'three', 'four']);
    });
  }

  it('that has room again is written to, though nothing more is said', async () => {
    const output = new Output(0);
    logTo(output).write('one\n');
    output.roomBytes = Infinity;
    await until('the line is out', () => output.text === 'one\n');
  });

  it('that stays without room is told, once it has some, how many lines were lost, and where', () => {
    const output = new Output(0);
    const log = logTo(output);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) log.write(longLine(name));
    // Would still have fitted, but not in its place.
    log.write('g\n');
    output.roomBytes = Infinity;
    log.write('h\n');
    log.write('i\n');
    expect(output.lines.map((line) => line.replaceAll('.', ''))).to.deep.equal([
      'a',
      'b',
      'c',
      'd',
      'lost 3',
      'h',
      'i',
    ]);
  });

  it('that takes a little now and then loses no line untold, and puts none before another', () => {
    const step = fc.oneof(
      fc.record({ lineBytes: fc.integer({ min: 20, max: 600_000 }) }),
      fc.record({ roomBytes: fc.integer({ min: 1, max: 900_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const output = new Output(0);
        const log = logTo(output);
        let said = 0;
        for (const now of steps) {
          if ('lineBytes' in now) log.write(`${(said += 1)} `.padEnd(now.lineBytes, '.') + '\n');
          else output.roomBytes += now.roomBytes;
        }
        output.roomBytes = Infinity;
        log.flushSync();
        let expected = 1;
        for (const line of output.lines) {
          const [first = '', lost] = line.split(' ');
          if (first === 'lost') expected += Number(lost);
          else expect(Number(first)).to.equal(expected++);
        }
        expect(expected).to.equal(said + 1);
      }),
      { numRuns: 50 },
    );
  });

  it('whose reader is gone for good is left alone', () => {
    const output = new Output(0, 'EPIPE');
    const log = logTo(output);
    log.write('one\n');
    output.roomBytes = Infinity;
    log.write('two\n');
    log.flushSync();
    expect(output).to.include({ text: '', attempts: 1 });
  });

  describe('at the end of the process', () => {
    it('waits for a reader that is behind', () => {
      const output = new Output(0, 'EAGAIN');
      // One more than are made before the first pause: how many pauses fit into its time is the machine's affair.
      output.roomAfterAttempts = 2;
      const log = logTo(output);
      log.write('last words\n');
      log.flushSync();
      expect(output).to.include({ text: 'last words\n', attempts: 3 });
    });

    it('does not wait for ever for one that reads no more', () => {
      const output = new Output(0, 'EAGAIN');
      const log = logTo(output);
      log.write('last words\n');
      log.flushSync();
      expect(output.attempts).to.be.above(2);
      expect(output.text).to.equal('');
    });

    it('tries a full disk once more, and does not wait for it', () => {
      const output = new Output(0);
      const log = logTo(output);
      log.write('last words\n');
      log.flushSync();
      expect(output.attempts).to.equal(2);
    });
  });
});
