import { CommandLineError } from '../config/errors.ts';
import { readFlags } from '../config/flags.ts';
import { TASK_NAMES } from '../connectors/index.ts';
import type { PolicyDocument } from '../policy/document.ts';
import { IMPLIED_TABLES } from '../policy/file-policy.ts';
import { complaintText, readPolicyFile } from '../policy/read-policy.ts';
import { remarksOn, type Remark } from '../policy/review.ts';
import { CHECKING } from './pages/checking.ts';
import { flagKinds, hintOf } from './pages/page.ts';
import { hanging, jsonText, marked, printable, terminalOf, type Terminal } from './report/layout.ts';

const VALID = 0;
const NOT_VALID = 1;

const MIB = 1_048_576;

/** 0 the file is valid, whatever there is to remark · 1 it is not. Rejects for a wrong command line. */
export function policyCheck(args: readonly string[]): Promise<number> {
  const complaints: string[] = [];
  const flags = readFlags(args, complaints, {
    flags: flagKinds(CHECKING.policy, 'check'),
    operand: 'FILE',
  });
  const { operand } = flags;
  if (flags.settings.length > 0)
    complaints.push('policy check takes no settings: it looks at one file alone');
  if (complaints.length > 0 || operand === undefined) {
    throw new CommandLineError(complaints, hintOf('policy'));
  }
  const asJson = flags.own.has('json');
  const reading = readPolicyFile(operand);
  if (!reading.ok) {
    const { complaints: mistakes } = reading;
    process.stdout.write(
      asJson
        ? jsonText({ valid: false, complaints: mistakes })
        : mistakes.map((mistake) => `${printable(`${operand}: ${complaintText(mistake)}`)}\n`).join(''),
    );
    return Promise.resolve(NOT_VALID);
  }
  const { document, hash } = reading.file;
  const remarks = remarksOn(document, TASK_NAMES);
  process.stdout.write(
    asJson
      ? jsonText({ valid: true, hash, policy: document, remarks })
      : policyReport({ operand, document, hash, remarks }, terminalOf(process.stdout)),
  );
  return Promise.resolve(VALID);
}

interface Checked {
  readonly operand: string;
  readonly document: PolicyDocument;
  readonly hash: string;
  readonly remarks: readonly Remark[];
}

/** What the file allows, and what is worth a second look, for a person. */
export function policyReport({ operand, document, hash, remarks }: Checked, terminal: Terminal): string {
  const { paint, width } = terminal;
  const lines = [
    ...marked(paint('good', '✓'), `${operand} is valid: ${hash}`, width),
    '',
    paint('strong', 'Allowed, and nothing else'),
    ...allowed(document).flatMap(([first, text]) => hanging(first, text, width)),
    ...(remarks.length === 0 ? [] : ['', paint('strong', 'Worth a look')]),
    ...remarks.flatMap(({ path, message }) => marked(paint('warning', '!'), `${path}: ${message}`, width)),
    '',
  ];
  return lines.join('\n');
}

function allowed({
  instances,
  tokenServers,
  secrets,
  limits,
  signedTasks,
  network,
}: PolicyDocument): [first: string, text: string][] {
  const { maxRows, maxAnswerBytes } = limits;
  return [
    ...instances.flatMap((instance): [string, string][] => [
      ['  ', instance.url],
      ['    tasks         ', listed(instance.tasks)],
      ['    tables        ', listed(instance.tables)],
      ...instance.tasks.flatMap((task): [string, string][] => {
        const implied = IMPLIED_TABLES[task];
        return implied === undefined ? [] : [['                  ', `for ${task} also ${listed(implied)}`]];
      }),
      ['    tokens from   ', listed(instance.tokenServers)],
      ...proxyLine(instance.proxy),
    ]),
    ...tokenServers.flatMap(({ url, proxy }): [string, string][] =>
      proxy === undefined ? [] : [['  ', url], ...proxyLine(proxy)],
    ),
    ...secrets.map(({ reference, hosts }): [string, string] => [
      '  ',
      `${reference} → ${hosts.length === 0 ? 'stays on this machine' : hosts.join(', ')}`,
    ]),
    ['  ', `${maxRows} rows and ${(maxAnswerBytes / MIB).toFixed(1)} MiB in one answer`],
    ['  ', signedTasks === 'required' ? 'signed tasks alone' : 'tasks with and without a signature'],
    ...(network.deniedAddresses.length === 0
      ? []
      : [['  ', `no address in ${network.deniedAddresses.join(', ')}`] satisfies [string, string]]),
  ];
}

function proxyLine(proxy: string | undefined): [string, string][] {
  return proxy === undefined ? [] : [['    proxy         ', proxy]];
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}
