import { expect } from 'chai';
import * as fc from 'fast-check';
import { Redactor } from '../../src/kit/secret.ts';
import { encodeToManager } from '../../src/protocol/codec.ts';
import { toManagerSchemas, type ToManager } from '../../src/protocol/messages.ts';
import { Room } from '../delegate/room.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { toManagerMessage } from '../protocol/arbitraries.ts';

/** Fits every field that takes a text at all, task ids and codes among them. */
const CANARY = 'canary-5e0a91d7c3b2';

/**
 * Texts that no stranger can write: by whom each is given. A canary in one of them shows, because to mask it could make
 * the frame unreadable.
 */
const OWN_WORDS: Readonly<Record<string, string>> = {
  'delegate.id': 'the manager',
  'delegate.commit': 'the program',
  'delegate.runtime': 'the program',
  'tasks.*.name': 'the program',
  'capabilities.*': 'the program',
  policyHash: 'a hash',
  taskId: 'the manager',
  'running.*.taskId': 'the manager',
  'unacknowledged.*.taskId': 'the manager',
  'error.code': 'the program',
};

type Path = readonly string[];

function textPaths(value: unknown, path: Path = []): Path[] {
  if (typeof value === 'string') return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]: [string, unknown]) => textPaths(item, [...path, key]));
}

function planted(value: unknown, [key, ...rest]: Path): unknown {
  if (key === undefined) return CANARY;
  if (Array.isArray(value))
    return value.map((item: unknown, at) => (String(at) === key ? planted(item, rest) : item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]: [string, unknown]) => [
      name,
      name === key ? planted(item, rest) : item,
    ]),
  );
}

const nameOf = (path: Path): string => path.map((key) => (/^\d+$/.test(key) ? '*' : key)).join('.');

describe('a frame to the manager', () => {
  leavesNothingOpen();

  it('has no secret in any text that a stranger can write, whichever field it got into', async () => {
    const redactor = new Redactor();
    redactor.register(CANARY);
    const room = new Room({ redactor });
    await room.recovered;
    const { session, transport } = await room.open();
    const looked = new Set<string>();
    const shown = new Set<string>();
    fc.assert(
      fc.property(toManagerMessage, (frame) => {
        for (const path of textPaths(frame)) {
          const parsed = toManagerSchemas[frame.type].safeParse(planted(frame, path));
          if (!parsed.success) continue;
          const name = nameOf(path);
          looked.add(`${frame.type} ${name.replace(/^(output|data|error\.details)\..*/, '$1.…')}`);
          const before = transport.sent.length;
          session.send(parsed.data);
          const sent = JSON.stringify(transport.sent.slice(before));
          if (sent.includes(CANARY)) shown.add(name);
          else expect(sent, name).to.contain('[secret]');
        }
      }),
      // One draw, always the same: what it must have looked at is not left to chance.
      { numRuns: 300, seed: 5 },
    );
    await session.leave('done');
    expect([...shown].filter((name) => !(name in OWN_WORDS))).to.deep.equal([]);
    // It must have had something to look at.
    expect([...looked]).to.include.members([
      'hello delegate.name',
      'hello tags.*',
      'task.reject message',
      'task.progress message',
      'task.progress data.…',
      'task.result output.…',
      'task.result error.message',
      'task.result error.hint',
      'task.result error.details.…',
      'draining reason',
      'goodbye reason',
    ]);
  });

  it('would show it, if it were not cleaned', () => {
    const frame: ToManager = { type: 'draining', reason: `leaving ${CANARY}`, running: [] };
    expect(encodeToManager(frame)).to.contain(CANARY);
  });

  it('says what it says, though a secret is one of the words of the protocol', async () => {
    const redactor = new Redactor();
    for (const word of ['failed', 'draining', 'internal', 'goodbye', 'task.result', 'eu-1'])
      redactor.register(word);
    const room = new Room({ redactor });
    await room.recovered;
    const { session, transport } = await room.open();
    session.announceDraining('the end');
    await session.leave('done');
    expect(transport.sentOf('draining')).to.have.length(1);
    expect(transport.sentOf('goodbye')).to.have.length(1);
  });
});
