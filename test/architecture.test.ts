import { readFileSync, readdirSync } from 'node:fs';
import { expect } from 'chai';
import { breachesOf, type Rule } from './support/architecture.ts';
import { blank } from './support/source-text.ts';

const SRC = new URL('../src/', import.meta.url);
const TEST = new URL('./', import.meta.url);

function sourcePaths(folder = SRC): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => path.replaceAll('\\', '/'));
}

describe('the architecture', () => {
  it('is kept by every source file', () => {
    const paths = sourcePaths();
    expect(paths).to.include('kit/errors.ts');
    const breaches = paths
      .flatMap((path) => breachesOf({ path, text: readFileSync(new URL(path, SRC), 'utf8') }))
      .map(({ path, line, rule, found }) => `src/${path}:${line} ${rule}: ${found}`);
    expect(breaches.join('\n')).to.equal('');
  });
});

describe('a test that opens something', () => {
  /** Imported for more than its type, each of these opens sockets, servers, processes or files, or hands such out. */
  const OPENERS = new Set(
    [
      'startManager managersUnderTest startManagerSide startDelegateSide ScriptedManager ScriptedDelegate delegatesUnderTest',
      'wiresUnderTest faultProxies FaultProxy startWorld startFakeServiceNow startFakeAdfs startOidcProvider openBench',
      'listen listenOnLoopback compose runDelegate HttpClient Listener createServer connect WebSocket WebSocketServer',
      'runCli Child spawn fork execFile tempDirs mkdtemp open createReadStream',
      'openChronicle runSeed delegateProcesses DelegateProcess SlowServiceNow Gateway RelayServer ProcessPools',
    ].flatMap((line) => line.split(' ')),
  );
  /** With the reason for which nothing can be said after each of their tests. */
  const EXCEPTIONS: Readonly<Record<string, string>> = {
    'protocol/conformance/delegate.test.ts':
      'one connection serves many vectors, and is made anew by the way',
    'protocol/conformance/manager.test.ts': 'one connection serves many vectors, and is made anew by the way',
    'system/canaries.test.ts':
      'one world serves every test, and connections to it are kept for the next call',
  };
  const IMPORT = /^import (?!type\b)\{([^}]*)\} from /gm;

  function openersIn(text: string): string[] {
    const imported = [...text.matchAll(IMPORT)].flatMap(([, names = '']) => names.split(','));
    const values = imported.map((name) => name.trim()).filter((name) => !name.startsWith('type '));
    return values.map((name) => name.replace(/ as .*/, '')).filter((name) => OPENERS.has(name));
  }

  const isWatched = (text: string): boolean => /^\s+leavesNothingOpen\(\);$/m.test(text);

  it('has every one of its tests watched for what it leaves open', () => {
    const paths = sourcePaths(TEST).filter((path) => path.endsWith('.test.ts'));
    expect(paths).to.include('delegate/wire-dead-link.test.ts');
    const unwatched = paths.flatMap((path) => {
      const text = readFileSync(new URL(path, TEST), 'utf8');
      const openers = openersIn(text);
      if (openers.length === 0 || isWatched(text) || path in EXCEPTIONS) return [];
      return [`test/${path} imports ${openers.join(', ')} and does not call leavesNothingOpen()`];
    });
    expect(unwatched.join('\n')).to.equal('');
  });

  it('is told by its imports, types apart', () => {
    expect(openersIn(`import { spawn as start, type Child } from 'a';`)).to.deep.equal(['spawn']);
    expect(openersIn(`import {\n  a,\n  startWorld,\n} from 'a';`)).to.deep.equal(['startWorld']);
    expect(openersIn(`import type { WebSocket } from 'ws';\n// import { spawn }`)).to.deep.equal([]);
    expect(isWatched('describe(() => {\n  leavesNothingOpen();\n')).to.equal(true);
    expect(isWatched(`import { leavesNothingOpen } from 'a';`)).to.equal(false);
  });
});

describe('the architecture test', () => {
  function rulesOf(path: string, text: string): Rule[] {
    return breachesOf({ path, text }).map(({ rule }) => rule);
  }

  const broken: readonly [what: string, path: string, text: string, rule: Rule][] = [
    ['an import that goes up', 'protocol/codec.ts', `import { a } from '../http/client.ts';`, 'imports-up'],
    ['a type import that goes up', 'http/a.ts', `import type { A } from '../delegate/a.ts';`, 'imports-up'],
    ['a re-export that goes up', 'http/a.ts', `export * from '../connectors/index.ts';`, 'imports-up'],
    ['an import for its effects', 'policy/a.ts', `import '../manager/a.ts';`, 'imports-up'],
    ['a dynamic import', 'secrets/a.ts', `const a = await import('../dev/world.ts');`, 'imports-up'],
    ['an import type in place', 'oauth/a.ts', `let x: import('../cli/run.ts').X;`, 'imports-up'],
    [
      'an import over many lines',
      'oauth/a.ts',
      `import {\n  a,\n  b,\n} from\n  '../cli/run.ts';`,
      'imports-up',
    ],
    ['an import of the wiring', 'delegate/a.ts', `import { a } from '../compose.ts';`, 'imports-up'],
    ['an import from deeper down', 'connectors/s/t/a.ts', `import '../../../delegate/a.ts';`, 'imports-up'],
    ['the delegate on the manager', 'delegate/a.ts', `import '../manager/a.ts';`, 'imports-sideways'],
    ['the manager on the delegate', 'manager/a.ts', `import '../delegate/a.ts';`, 'imports-sideways'],
    ['one adapter on another', 'oauth/a.ts', `import '../http/client.ts';`, 'imports-sideways'],
    ['an import from outside', 'cli/a.ts', `import '../../test/support/a.ts';`, 'imports-outside'],
    ['a room without a floor', 'utils/a.ts', ``, 'unknown-room'],
    ['an import of such a room', 'cli/a.ts', `import '../utils/a.ts';`, 'unknown-room'],
    ['a package in kit', 'kit/a.ts', `import { z } from 'zod';`, 'kit-imports-node-only'],
    ['another room in kit', 'kit/a.ts', `import '../protocol/limits.ts';`, 'kit-imports-node-only'],
    ['process by import', 'http/a.ts', `import { env } from 'node:process';`, 'process-by-import'],
    ['the end of the process', 'delegate/a.ts', `process.exit(1);`, 'process-exit'],
    ['an exit code', 'compose.ts', `process.exitCode = 1;`, 'process-exit'],
    ['an exit within a template', 'dev/a.ts', 'const a = `x${process.exit()}`;', 'process-exit'],
    ['an exit taken apart', 'dev/a.ts', `const { exit } = process;`, 'process-exit'],
    ['the environment', 'secrets/env.ts', `const a = process.env['A'];`, 'process-env'],
    ['the environment in the CLI', 'cli/a.ts', `const { env } = process;`, 'process-env'],
    ['a module-level let', 'http/a.ts', `let a = 1;`, 'module-level-variable'],
    [
      'one after a function',
      'http/a.ts',
      `function f() { let a; }\nexport let b = f();`,
      'module-level-variable',
    ],
    ['a module-level var', 'cli/a.ts', `var a;`, 'module-level-variable'],
    ['a TODO', 'cli/a.ts', `// TODO: later`, 'unfinished'],
    ['a FIXME', 'cli/a.ts', `/* FIXME */`, 'unfinished'],
    ['a cast to any', 'cli/a.ts', `f(a as any);`, 'cast'],
    ['a cast through unknown', 'cli/a.ts', `f(a as unknown as B);`, 'cast'],
    ['a cast of JSON', 'cli/a.ts', `const a = JSON.parse(text) as A;`, 'cast-json'],
    ['one in brackets', 'cli/a.ts', `const a = (JSON.parse(read(b, ')')) as A).b;`, 'cast-json'],
  ];
  for (const [what, path, text, rule] of broken) {
    it(`fails on ${what} (${path})`, () => {
      expect(rulesOf(path, text)).to.include(rule);
    });
  }

  const kept: readonly [what: string, path: string, text: string][] = [
    ['an import that goes down', 'cli/run.ts', `import { a } from '../compose.ts';`],
    ['an import in its folder', 'delegate/a.ts', `import { b } from './b.ts';`],
    ['an import in its room', 'connectors/s/tasks/a.ts', `import { b } from '../auth/b.ts';`],
    ['dev on the wiring', 'dev/world.ts', `import '../compose.ts'; import '../manager/manager.ts';`],
    ['the wiring on dev', 'compose.ts', `import './dev/world.ts';`],
    ['a package above kit', 'protocol/a.ts', `import { z } from 'zod';`],
    ['Node in kit', 'kit/a.ts', `import { inspect } from 'node:util';`],
    ['an exit code in the CLI', 'cli/index.ts', `process.exitCode = 1;`],
    ['the environment in config', 'config/load.ts', `const env = process.env;`],
    ['a let in a function', 'http/a.ts', `export function f() {\n  let a = 1;\n  return a;\n}`],
    ['a let in a loop', 'http/a.ts', `for (let a = 0; a < 1; a += 1) f(a);`],
    ['a sentence about it', 'http/a.ts', `// let a: process.exit(), as any\n/* import '../cli/a.ts' */`],
    ['a string about it', 'http/a.ts', `const a = "process.env as any from '../cli/a.ts'";`],
    ['a template about it', 'http/a.ts', 'const a = `let b = ${c({ d: `${e}` })} process.exit()`;'],
    ['JSON that is parsed', 'http/a.ts', `const a: unknown = JSON.parse(text);`],
    ['const assertions', 'http/a.ts', `const a = [1] as const;`],
  ];
  for (const [what, path, text] of kept) {
    it(`is content with ${what} (${path})`, () => {
      expect(breachesOf({ path, text })).to.deep.equal([]);
    });
  }

  it('names the line', () => {
    expect(breachesOf({ path: 'http/a.ts', text: '\n\nprocess.exit();\n' })).to.deep.equal([
      { path: 'http/a.ts', line: 3, rule: 'process-exit', found: 'process.exit' },
    ]);
  });
});

describe('blanking source text', () => {
  it('loses its way in no source file: brackets of the code that is left are in pairs', () => {
    for (const path of sourcePaths()) {
      const left = blank(readFileSync(new URL(path, SRC), 'utf8'), 'comment', 'literal');
      for (const [open, close] of [
        ['(', ')'],
        ['[', ']'],
        ['{', '}'],
      ] as const) {
        expect(left.split(open).length, `${path} ${open}`).to.equal(left.split(close).length);
      }
    }
  });

  const code = (source: string): string => blank(source, 'comment', 'literal').replace(/\s+/g, ' ').trim();

  for (const [what, source, expected] of [
    ['keeps code', 'a = b / c / d;', 'a = b / c / d;'],
    ['ends a string at its quote', String.raw`a('x\'//'); b("/*"); c`, 'a( ); b( ); c'],
    ['ends a line comment at the line', 'a // "\nb', 'a b'],
    ['ends a block comment at its end', 'a /* " \n // */ b', 'a b'],
    ['takes quotes in a regular expression as its text', `a = /["'\`/]/g; b('x')`, 'a = ; b( )'],
    ['tells a regular expression after return', `return /'/.test(a)`, 'return .test(a)'],
    ['tells it after two words too', `return typeof /'/ ; a`, 'return typeof ; a'],
    ['tells a division after a bracket or a name', `(a) / b / 'c'; d / e / 'f'`, '(a) / b / ; d / e /'],
    ['keeps what a template computes', 'a`x${b({ c: `y${d}` })}z` + e', 'a b({ c: d }) + e'],
    ['takes an escaped template mark as text', 'a = `\\`${b}\\${c}`; d', 'a = b ; d'],
  ] as const) {
    it(what, () => {
      expect(code(source)).to.equal(expected);
    });
  }

  it('moves nothing', () => {
    const source = `const a = 'x'; // y\nconst b = \`1\n2\`;`;
    const blanked = blank(source, 'comment', 'literal');
    expect(blanked).to.have.length(source.length);
    expect(blanked.split('\n')).to.have.length(source.split('\n').length);
  });
});
