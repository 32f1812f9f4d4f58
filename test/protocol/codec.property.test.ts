import { expect } from 'chai';
import * as fc from 'fast-check';
import { CloseCode } from '../../src/protocol/close-codes.ts';
import {
  decodeToDelegate,
  decodeToManager,
  encodeToDelegate,
  encodeToManager,
  ProtocolViolation,
} from '../../src/protocol/codec.ts';
import { json, toDelegateMessage, toManagerMessage } from './arbitraries.ts';

const decoders = [decodeToDelegate, decodeToManager];

/** Both directions either read the bytes or name a violation; nothing else may come out. */
function expectVerdict(bytes: Uint8Array, binary = false): void {
  for (const decode of decoders) {
    try {
      decode({ bytes, binary });
    } catch (error) {
      expect(error).to.be.instanceOf(ProtocolViolation);
    }
  }
}

describe('the codec, whatever the message', () => {
  it('reads on the manager what the delegate wrote', () => {
    fc.assert(
      fc.property(toManagerMessage, (message) => {
        const bytes = Buffer.from(encodeToManager(message));
        expect(decodeToManager({ bytes, binary: false })).to.deep.equal({ known: true, message });
      }),
    );
  });

  it('reads on the delegate what the manager wrote', () => {
    fc.assert(
      fc.property(toDelegateMessage, (message) => {
        const bytes = Buffer.from(encodeToDelegate(message));
        expect(decodeToDelegate({ bytes, binary: false })).to.deep.equal({ known: true, message });
      }),
    );
  });

  it('is read alike with members that a later version may add', () => {
    fc.assert(
      fc.property(toManagerMessage, json, (message, later) => {
        const bytes = Buffer.from(JSON.stringify({ ...message, 'x-later': later }));
        expect(decodeToManager({ bytes, binary: false })).to.deep.equal({ known: true, message });
      }),
    );
  });

  it('is written exactly when it fits, counted in bytes', () => {
    fc.assert(
      fc.property(toManagerMessage, fc.integer({ min: -3, max: 3 }), (message, slack) => {
        const bytes = Buffer.byteLength(encodeToManager(message));
        const write = (): string => encodeToManager(message, bytes + slack);
        if (slack >= 0) expect(Buffer.byteLength(write())).to.equal(bytes);
        else expect(write).to.throw(ProtocolViolation).with.property('closeCode', CloseCode.FrameTooLarge);
      }),
    );
  });
});

describe('the codec, whatever arrives', () => {
  it('throws nothing but ProtocolViolation for bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), expectVerdict));
  });

  it('throws nothing but ProtocolViolation for JSON', () => {
    fc.assert(fc.property(fc.json(), (text) => expectVerdict(Buffer.from(text))));
  });

  it('throws nothing but ProtocolViolation for a message with one member replaced', () => {
    const spoilt = fc
      .tuple(fc.oneof(toManagerMessage, toDelegateMessage), fc.nat(), json)
      .map(([message, at, value]) => {
        const keys = Object.keys(message);
        return { ...message, [keys[at % keys.length] ?? 'type']: value };
      });
    fc.assert(fc.property(spoilt, (frame) => expectVerdict(Buffer.from(JSON.stringify(frame)))));
  });

  it('throws nothing but ProtocolViolation for a message cut short or with one byte changed', () => {
    const damaged = fc
      .tuple(
        toManagerMessage.map((message) => Buffer.from(encodeToManager(message))),
        fc.nat(),
        fc.nat(255),
      )
      .chain(([bytes, at, value]) => {
        const changed = Uint8Array.from(bytes);
        changed[at % bytes.length] = value;
        return fc.constantFrom(bytes.subarray(0, at % bytes.length), changed);
      });
    fc.assert(fc.property(damaged, (bytes) => expectVerdict(bytes)));
  });
});
