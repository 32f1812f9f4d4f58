import { settingsReference } from '../config/leaves.ts';
import { CONFIG_FILE_FLAG, CONFIG_FILE_VARIABLE } from '../config/schema.ts';
import { CHAPTERS, PAGES } from './pages/index.ts';
import type { FlagPage, Page } from './pages/page.ts';
import { hanging, padded, widthOf, type Terminal } from './report/layout.ts';

const PROGRAM = 'servicenow-delegate';
const INDENT = '  ';
/** Of a term that stands beside its explanation; a longer one has it below. */
const MAX_TERM_COLUMNS = 22;
/** Below it, explanations are always below. */
const MIN_WIDTH_OF_COLUMNS = 60;

const FIRST_STEPS: readonly (readonly [what: string, line: string])[] = [
  ['See it work, with nothing to set up:', `${PROGRAM} demo`],
  [
    'Test a connector before any manager knows of it:',
    `DELEGATE_SECRET_SNOW_PASSWORD=… ${PROGRAM} validate connector.yaml`,
  ],
  [
    'Start the delegate with two settings:',
    `DELEGATE_MANAGER_URL=https://manager.example.com DELEGATE_ENROLMENT_TOKEN_FILE=/run/secrets/token ${PROGRAM} run`,
  ],
];

/** Every command in a line, and the first steps. */
export function generalHelp(terminal: Terminal): string {
  const { width, paint } = terminal;
  return text([
    ...hanging(
      '',
      `${PROGRAM}: runs in your network, takes tasks from a manager, calls your ServiceNow`,
      width,
    ),
    ...CHAPTERS.flatMap(({ title, pages }) => [
      '',
      paint('strong', title),
      ...explained(
        Object.entries(pages).map(([name, { summary }]) => [name, summary]),
        terminal,
      ),
    ]),
    '',
    ...hanging('', `Each command explains itself: ${PROGRAM} validate --help. Also: --version.`, width),
    // What is to be copied is never broken.
    ...FIRST_STEPS.flatMap(([what, line]) => ['', ...hanging('', what, width), `${INDENT}${line}`]),
  ]);
}

/** What one command does, takes and answers, with examples; undefined of a command that is for nobody to type. */
export function helpOf(name: string, terminal: Terminal): string | undefined {
  const page = PAGES.get(name);
  return page === undefined ? undefined : pageText(page, terminal);
}

function pageText(page: Page, terminal: Terminal): string {
  const { width, paint } = terminal;
  const { usage, about, flags = {}, settings, exitCodes = [], examples, readOn } = page;
  const chapter = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', paint('strong', title), ...lines];
  return text([
    ...usage.flatMap((way) => hanging('', `${PROGRAM} ${way}`, width)),
    ...about.flatMap((paragraph) => ['', ...hanging('', paragraph, width)]),
    ...chapter(
      'Flags',
      explained(
        Object.entries(flags).map(([flag, shown]) => [flagText(flag, shown), docOf(shown)]),
        terminal,
      ),
    ),
    ...(settings === 'local' ? ['', ...hanging('', LOCAL_SETTINGS, width)] : []),
    ...(settings === 'all' ? ['', ...hanging('', SETTINGS, width)] : []),
    ...chapter(
      'Exit codes',
      exitCodes.flatMap(([code, means]) => hanging(`${INDENT}${padded(String(code), 2)}  `, means, width)),
    ),
    ...chapter(
      'Examples',
      examples.map((line) => `${INDENT}${line}`),
    ),
    ...(readOn.length === 0 ? [] : ['', ...hanging('', `More: ${readOn.join(', ')}`, width)]),
    ...(settings === 'explained' ? chapter('Settings', settingsLines(terminal)) : []),
  ]);
}

const SETTINGS = `Settings are those that "run" would have, from flags, environment and file (${PROGRAM} config --help).`;

const LOCAL_SETTINGS = `Settings are the delegate's own, from flags, environment and file (${PROGRAM} config --help); those that only a delegate in service needs, such as the manager's address, are not looked at. The log goes to standard error, from level warn on (--log-level).`;

function flagText(flag: string, { value }: FlagPage): string {
  return value === undefined ? `--${flag}` : `--${flag} ${value}`;
}

function docOf({ doc, for: takers }: FlagPage): string {
  return takers === undefined ? doc : `for ${takers.join(' and ')}: ${doc}`;
}

/** Each setting with its variable, its flag and its key in the file. */
function settingsLines({ width, paint }: Terminal): string[] {
  const block = (names: readonly string[], doc: string): string[] => [
    ...hanging(INDENT, names.filter((name) => name !== '').join('  '), width).map((line) =>
      paint('strong', line),
    ),
    ...hanging(INDENT + INDENT, doc, width),
  ];
  return [
    ...settingsReference().flatMap(({ key, env, flag, fallback, doc }) =>
      block([env, flag, `file: ${key}`], `${doc}${fallback === '' ? '' : ` Default: ${fallback}`}`),
    ),
    ...block(
      [CONFIG_FILE_VARIABLE, `--${CONFIG_FILE_FLAG}`],
      'YAML or JSON file with settings by their file keys.',
    ),
  ];
}

/** Terms with what they mean beside them, or below where that is too narrow. */
function explained(
  terms: readonly (readonly [term: string, means: string])[],
  { width }: Terminal,
): string[] {
  const columns = Math.min(MAX_TERM_COLUMNS, Math.max(0, ...terms.map(([term]) => widthOf(term))));
  return terms.flatMap(([term, means]) =>
    width < MIN_WIDTH_OF_COLUMNS || widthOf(term) > columns
      ? [...hanging(INDENT, term, width), ...hanging(INDENT.repeat(3), means, width)]
      : hanging(`${INDENT}${padded(term, columns)}  `, means, width),
  );
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
