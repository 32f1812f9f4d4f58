import { expect } from 'chai';
import { CloseCode } from '../../src/protocol/close-codes.ts';
import {
  decodeToDelegate,
  decodeToManager,
  encodeToDelegate,
  encodeToManager,
  ProtocolViolation,
} from '../../src/protocol/codec.ts';
import { MAX_FRAME_BYTES, MAX_JSON_DEPTH } from '../../src/protocol/limits.ts';
import {
  toDelegateSchemas,
  toManagerSchemas,
  type Json,
  type ToManager,
} from '../../src/protocol/messages.ts';
import { vectors, type Direction, type Vector, type Verdict } from './vectors.ts';

const decoders = { 'to-delegate': decodeToDelegate, 'to-manager': decodeToManager } as const;

function verdictOf(vector: Vector): Verdict {
  try {
    return decoders[vector.direction](vector).known ? 'valid' : 'ignored';
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
    return error.closeCode === CloseCode.FrameTooLarge ? 'too-large' : 'malformed';
  }
}

const progress = { type: 'task.progress', taskId: 't', attempt: 1, seq: 1, message: '' } as const;

const result = {
  type: 'task.result',
  taskId: 't',
  attempt: 1,
  outcome: 'succeeded',
  output: null,
  delegate: {
    id: 'd',
    name: 'n',
    instanceId: '5d2f5c9e-3b1a-4c8e-9f60-7a1b2c3d4e5f',
    version: '26.11.90100',
  },
  timing: {
    receivedAt: '2026-11-23T13:10:35Z',
    startedAt: '2026-11-23T13:10:35Z',
    finishedAt: '2026-11-23T13:10:35Z',
    queueMs: 0,
    runMs: 0,
  },
} as const satisfies ToManager;

describe('the codec and the vectors', () => {
  for (const direction of ['to-delegate', 'to-manager'] satisfies Direction[]) {
    describe(direction, () => {
      for (const vector of vectors.filter((one) => one.direction === direction)) {
        it(`${vector.verdict}: ${vector.name} (${vector.why})`, () => {
          expect(verdictOf(vector)).to.equal(vector.verdict);
        });
      }
    });
  }

  it('have a valid frame of every type', () => {
    const read = vectors
      .filter(({ verdict }) => verdict === 'valid')
      .map((vector) => decoders[vector.direction](vector))
      .map((decoded) => (decoded.known ? decoded.message.type : decoded.type));
    expect([...new Set(read)]).to.have.members([
      ...Object.keys(toDelegateSchemas),
      ...Object.keys(toManagerSchemas),
    ]);
  });

  it('have no name twice', () => {
    const names = vectors.map(({ name, direction }) => `${direction} ${name}`);
    expect(new Set(names).size).to.equal(names.length);
  });

  it('leave no trace on Object.prototype', () => {
    vectors.forEach(verdictOf);
    expect(Object.hasOwn(Object.prototype, 'polluted')).to.equal(false);
    expect(Reflect.get({}, 'polluted')).to.equal(undefined);
  });
});

describe('reading a frame', () => {
  it('gives __proto__ inside an input as data', () => {
    const decoded = decodeToDelegate({
      bytes: Buffer.from(
        '{"type":"task.assign","taskId":"t","attempt":1,"name":"a","version":1,"timeoutMs":1,"input":{"__proto__":{"x":1}}}',
      ),
      binary: false,
    });
    expect(JSON.stringify(decoded)).to.contain('"input":{"__proto__":{"x":1}}');
  });

  it('takes unknown members away', () => {
    const decoded = decodeToDelegate({ bytes: Buffer.from('{"type":"resume","later":1}'), binary: false });
    expect(decoded).to.deep.equal({ known: true, message: { type: 'resume' } });
  });

  it('names an unknown type, so that it can be counted', () => {
    const decoded = decodeToManager({ bytes: Buffer.from('{"type":"task.offer"}'), binary: false });
    expect(decoded).to.deep.equal({ known: false, type: 'task.offer' });
  });

  it('names the field of a violation and never its value', () => {
    const bytes = Buffer.from('{"type":"task.accept","taskId":"hunter2 hunter2","attempt":1}');
    expect(() => decodeToManager({ bytes, binary: false }))
      .to.throw(ProtocolViolation, 'taskId')
      .with.property('message')
      .that.does.not.contain('hunter2');
  });
});

describe('writing a frame', () => {
  it('refuses what its reader would refuse', () => {
    expect(() => encodeToManager({ type: 'credit', granted: -1 })).to.throw(ProtocolViolation, 'granted');
    expect(() => encodeToDelegate({ type: 'drain', reason: '', reconnectAfterMs: -1 }))
      .to.throw(ProtocolViolation, 'reconnectAfterMs')
      .with.property('closeCode', CloseCode.MalformedFrame);
  });

  it('leaves out what the schema does not know', () => {
    const wide = { type: 'credit' as const, granted: 1, note: 'for nobody' };
    expect(encodeToManager(wide)).to.equal('{"type":"credit","granted":1}');
  });

  it('counts the limit in bytes', () => {
    const message: ToManager = { ...progress, message: 'é'.repeat(100) };
    const bytes = Buffer.byteLength(JSON.stringify(message));
    expect(encodeToManager(message, bytes)).to.have.length.below(bytes);
    expect(() => encodeToManager(message, bytes - 1))
      .to.throw(ProtocolViolation)
      .with.property('closeCode', CloseCode.FrameTooLarge);
  });

  it('keeps to the frame limit when nothing lower was agreed', () => {
    const empty = Buffer.byteLength(encodeToManager({ ...progress, data: '' }));
    const fits = { ...progress, data: 'x'.repeat(MAX_FRAME_BYTES - empty) };
    expect(Buffer.byteLength(encodeToManager(fits))).to.equal(MAX_FRAME_BYTES);
    expect(() => encodeToManager({ ...progress, data: `${fits.data}x` }))
      .to.throw(ProtocolViolation)
      .with.property('closeCode', CloseCode.FrameTooLarge);
  });

  it('refuses nesting that its reader would refuse, and no less', () => {
    const nested = (depth: number): ToManager => {
      let data: Json = [];
      for (let level = 2; level < depth; level += 1) data = [data];
      return { ...progress, data };
    };
    expect(encodeToManager(nested(MAX_JSON_DEPTH))).to.contain('[[[');
    expect(() => encodeToManager(nested(MAX_JSON_DEPTH + 1))).to.throw(ProtocolViolation, 'nested');
    expect(() => encodeToManager(nested(100_000))).to.throw(ProtocolViolation, 'no JSON form');
  });

  it('refuses as missing what JSON would leave out of a required field', () => {
    for (const output of [() => 1, Symbol('x'), 10n, undefined]) {
      const forged: ToManager = Object.assign({ ...result }, { output });
      expect(() => encodeToManager(forged)).to.throw(ProtocolViolation, 'output: is missing');
    }
  });

  it('refuses a cycle', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    const forged: ToManager = Object.assign({ ...result }, { output: cycle });
    expect(() => encodeToManager(forged)).to.throw(ProtocolViolation, 'no JSON form');
  });
});
