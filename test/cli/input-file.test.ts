import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import {
  readApprovalFile,
  readConnectorFile,
  withTicket,
  type InputSource,
} from '../../src/cli/local/input-file.ts';
import { failureOf, rejectionOf } from '../support/failure.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const ALIASES = 'has aliases (*name) that lead nowhere, or unfold to far too much';

const CONNECTOR = { name: 'n', spec: { serviceNowUrl: 'https://example.service-now.com' } };

describe('the file of a local command', () => {
  const tempDir = tempDirs();

  leavesNothingOpen();

  function source(path: string, more: Partial<InputSource> = {}): InputSource {
    return { path, standardInput: Readable.from([]), signal: new AbortController().signal, ...more };
  }

  async function written(name: string, contents: string | Uint8Array): Promise<string> {
    const path = join(await tempDir(), name);
    await writeFile(path, contents);
    return path;
  }

  const said = (text: string): Partial<InputSource> => ({
    standardInput: Readable.from([Buffer.from(text)]),
  });

  for (const [what, contents] of [
    ['a connector alone', JSON.stringify(CONNECTOR)],
    ['a connector below its key', JSON.stringify({ connector: CONNECTOR })],
    ['an approval', JSON.stringify({ ticket: {}, connector: CONNECTOR })],
    [
      'YAML with a byte order mark',
      '\uFEFFname: n\nspec: { serviceNowUrl: https://example.service-now.com }\n',
    ],
  ] as const) {
    it(`gives validate its connector from ${what}`, async () => {
      const path = await written('c.yaml', contents);
      expect(await readConnectorFile(source(path))).to.deep.equal({ connector: CONNECTOR });
    });
  }

  it('may come by standard input', async () => {
    const read = await readConnectorFile(source('-', said('connector: { name: n }')));
    expect(read).to.deep.equal({ connector: { name: 'n' } });
  });

  it('may name the file of its connector, seen from its own folder', async () => {
    const path = await written('approval.yaml', 'connector: ./c.yaml\nticket: { number: CHG1 }\n');
    await writeFile(join(path, '..', 'c.yaml'), JSON.stringify({ connector: CONNECTOR }));
    const approval = { connector: CONNECTOR, ticket: { number: 'CHG1' } };
    expect(await readApprovalFile(source(path))).to.deep.equal(approval);
    expect(await readConnectorFile(source(path))).to.deep.equal({ connector: CONNECTOR });
  });

  it('leaves it to the task to say which field is missing', async () => {
    const path = await written('approval.yaml', 'ticket: 7\n');
    expect(await readApprovalFile(source(path))).to.deep.equal({ connector: undefined, ticket: 7 });
  });

  it('must not have a key that would be ignored', async () => {
    const path = await written('approval.yaml', 'connector: {}\nrejectionCritera: {}\n');
    const { code, message } = await failureOf(readApprovalFile(source(path)));
    expect(code).to.equal('input-file-unusable');
    expect(message).to.equal(
      `${path}: "rejectionCritera" is none of connector, ticket, approvalCriteria, rejectionCriteria, changeWindow.`,
    );
  });

  const refused: readonly [what: string, contents: string | Uint8Array, why: string][] = [
    ['not YAML', 'a: 1\n- secret: hunter2', 'is not valid YAML or JSON, at line 2, column 1.'],
    [
      'badly indented',
      'a:\n  b: 1\n secret: hunter2',
      'has lines whose indentation does not fit together, at line 3, column 1.',
    ],
    [
      'indented with a tab',
      'a:\n\tsecret: hunter2',
      'is indented with a tab, where YAML takes nothing but spaces, at line 2, column 1.',
    ],
    ['one with a key twice', 'a: 1\na: hunter2', 'has the same key twice, at line 2, column 1.'],
    ['one with an open quote', 'a: "hunter2', 'lacks a quote or a bracket, at line 1, column 12.'],
    [
      'one with a colon in a bare value',
      'a: hunter2: b',
      'has a value that needs quotes because of the colon in it, at line 1, column 4.',
    ],
    [
      'one with a bare value that begins like something else',
      'a: @hunter2',
      'has a value that needs quotes because of its first character, at line 1, column 4.',
    ],
    ['one with an alias of nothing', 'a: *hunter2', `${ALIASES}.`],
    ['a list', '- a', 'must be a mapping, such as a file of the folder examples holds.'],
    ['empty', '', 'must be a mapping, such as a file of the folder examples holds.'],
    ['binary', Uint8Array.of(0xff, 0xfe, 0x00), 'is not text in UTF-8.'],
    ['too large', `a: ${'x'.repeat(1_048_576)}`, 'has more than 1048576 bytes.'],
    ['one that swells', bomb(), `${ALIASES}.`],
    ['several documents', 'a: 1\n---\nb: 2', 'holds more than one document, at line 2, column 1.'],
  ];
  for (const [what, contents, why] of refused) {
    it(`is refused when it is ${what}, without a word of what is in it`, async () => {
      const path = await written('c.yaml', contents);
      const { code, message } = await failureOf(readConnectorFile(source(path)));
      expect({ code, message }).to.deep.equal({ code: 'input-file-unusable', message: `${path}: ${why}` });
    });
  }

  it('is refused when it is not there, or is none', async () => {
    const folder = await tempDir();
    const missing = join(folder, 'gone.yaml');
    expect((await failureOf(readConnectorFile(source(missing)))).message).to.equal(
      `${missing}: there is no such file.`,
    );
    expect((await failureOf(readConnectorFile(source(folder)))).message).to.equal(`${folder}: is a folder.`);
  });

  it('names the file that its connector was looked for in', async () => {
    const path = await written('approval.yaml', 'connector: gone.yaml\n');
    const { message } = await failureOf(readApprovalFile(source(path)));
    expect(message).to.equal(`${join(path, '..', 'gone.yaml')}: there is no such file.`);
  });

  it('cannot take its connector from standard input, which it may be itself', async () => {
    const { message } = await failureOf(readApprovalFile(source('-', said('connector: "-"'))));
    expect(message).to.equal('Standard input: connector must be the path of a file.');
  });

  it('is no longer waited for after a signal', async () => {
    const stop = new AbortController();
    const never = new Readable({ read: () => {} });
    const reading = rejectionOf(
      readConnectorFile(source('-', { standardInput: never, signal: stop.signal })),
    );
    stop.abort(new Error('stopped'));
    await reading;
    expect(never.destroyed).to.equal(true);
  });
});

describe('the ticket of the command line', () => {
  it('takes the place of the one in the file, by whatever that was named', () => {
    const approval = { connector: 1, ticket: { type: 'change_request', sysId: 'a', number: 'CHG1' } };
    expect(withTicket(approval, 'CHG2')).to.deep.equal({
      connector: 1,
      ticket: { type: 'change_request', number: 'CHG2' },
    });
  });

  it('does not invent a type', () => {
    expect(withTicket({}, 'CHG2')).to.deep.equal({ ticket: { number: 'CHG2' } });
  });
});

/** Few bytes that aliases make many. */
function bomb(): string {
  const levels = Array.from({ length: 9 }, (_none, level) =>
    level === 0
      ? 'a0: &a0 [x, x, x, x, x, x, x, x, x]'
      : `a${level}: &a${level} [${Array.from({ length: 9 }, () => `*a${level - 1}`).join(', ')}]`,
  );
  return levels.join('\n');
}
