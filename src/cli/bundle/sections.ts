import { lstat, open, readdir } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { policyOf } from '../../compose/policy.ts';
import { printableSettings, type Configuration, type Sources } from '../../config/load.ts';
import type { CommandFlags } from '../../config/flags.ts';
import { reasonOf } from '../../kit/errors.ts';
import { toTimestamp, type Clock } from '../../kit/time.ts';
import { auditFolder, auditFolderOf } from '../../observability/audit/folder.ts';
import { recordsIn } from '../../observability/audit/records.ts';
import { PinFile } from '../../policy/pins.ts';
import type { CheckResult } from '../doctor/finding.ts';
import { askHealth } from '../doctor/health-client.ts';
import { doctorReport } from '../doctor/report.ts';
import { printable, terminalOf } from '../report/layout.ts';
import type { Section } from './text.ts';

/** Of a log, its end: what led to a question stands there. */
const MAX_LOG_BYTES = 131_072;
const MAX_LISTED = 300;
const MAX_FOLDER_DEPTH = 3;

export function aboutSection(version: string, clock: Clock): Section {
  const { node, openssl } = process.versions;
  return {
    title: 'Support bundle of a ServiceNow delegate',
    about:
      'Read this file before you send it. Secrets are masked; host names, paths, and names of users and connectors are not.',
    text: [
      `delegate   ${version}`,
      `made       ${toTimestamp(clock.now())}`,
      `runtime    Node.js ${node}, OpenSSL ${openssl}`,
      `system     ${process.platform} ${release()} ${process.arch}, ${cpus().length} processors, ${Math.round(totalmem() / 2 ** 20)} MiB`,
      `time zone  ${Intl.DateTimeFormat().resolvedOptions().timeZone}`,
    ].join('\n'),
  };
}

/** The settings as `config` prints them; of those that are not valid, the report of doctor has every mistake. */
export function settingsSection(sources: Sources, command: CommandFlags): Section {
  return {
    title: 'Settings',
    about:
      'As "servicenow-delegate config" prints them: what comes from flags, environment and file together.',
    text: attempt(
      () => printableSettings(sources, { command }).text,
      'They are not valid: see the report of doctor.',
    ),
  };
}

export function doctorSection(results: readonly CheckResult[]): Section {
  const terminal = terminalOf({ isTTY: true, columns: 100 }, { colours: 'never' });
  return {
    title: 'Report of doctor',
    about: 'What "servicenow-delegate doctor" says on this machine.',
    text: doctorReport(results, terminal),
  };
}

export async function statusSection(configuration: Configuration, signal: AbortSignal): Promise<Section> {
  const answer = await askHealth(configuration, '/status.json', signal);
  const isJson = answer.is === 'answered' && answer.json !== undefined;
  return {
    title: 'Status of the delegate that runs',
    about: 'What it says of itself at /status.json.',
    text: isJson
      ? JSON.stringify(answer.json, null, 2)
      : `It could not be asked: ${answer.is === 'silent' ? answer.why : `HTTP ${answer.status}`}.`,
  };
}

export function policySection(configuration: Configuration, clock: Clock): Section {
  const pins = new PinFile({ stateDir: configuration.stateDir, clock });
  return {
    title: 'Policy',
    about: 'What the log says of it at start. The file itself is not here: it names what you allow.',
    text: attempt(
      () =>
        JSON.stringify(
          { file: configuration.policyFile ?? null, ...policyOf(configuration, pins).summary },
          null,
          2,
        ),
      'It is not valid: see the report of doctor.',
    ),
  };
}

/** Names, sizes, modes and times; nothing of what is in the files. */
export async function folderSection({ stateDir }: Configuration): Promise<Section> {
  const lines: string[] = [];
  const walk = async (folder: string, prefix: string, depth: number): Promise<void> => {
    for (const name of (await readdir(folder)).toSorted()) {
      if (lines.length >= MAX_LISTED) return;
      const path = join(folder, name);
      const facts = await lstat(path);
      const mode = (facts.mode & 0o7777).toString(8).padStart(4, '0');
      const size = facts.isDirectory() ? '-' : String(facts.size);
      lines.push(
        `${mode} ${facts.uid}:${facts.gid} ${size.padStart(12)} ${toTimestamp(facts.mtimeMs)} ${prefix}${printable(name)}`,
      );
      if (facts.isDirectory() && depth > 0) await walk(path, `${prefix}${printable(name)}/`, depth - 1);
    }
  };
  try {
    await walk(stateDir, '', MAX_FOLDER_DEPTH);
  } catch (thrown) {
    lines.push(`It could not be read to its end: ${reasonOf(thrown)}.`);
  }
  return {
    title: 'State folder',
    about: 'Mode, owner, bytes, time and name of what lies in it; nothing of what is in the files.',
    text: lines.length === 0 ? 'It is empty.' : lines.join('\n'),
  };
}

/** How often each event is in the log. Its records name tickets, users and hosts, and stay where they are. */
export async function auditSection({ stateDir }: Configuration): Promise<Section> {
  const counts = new Map<string, number>();
  const times: string[] = [];
  let strange = 0;
  let failed = '';
  try {
    for await (const found of recordsIn(auditFolder(auditFolderOf(stateDir)))) {
      if (found === undefined) {
        strange += 1;
        continue;
      }
      const { event, time } = found.record;
      counts.set(event, (counts.get(event) ?? 0) + 1);
      times[times.length === 0 ? 0 : 1] = time;
    }
  } catch (thrown) {
    failed = `\nIt could not be read to its end: ${reasonOf(thrown)}.`;
  }
  const rows = [...counts].toSorted(([one], [other]) => one.localeCompare(other));
  const [first = 'none', last = first] = times;
  return {
    title: 'Audit log',
    about: 'How many records of each event; the records stay here ("servicenow-delegate audit show").',
    text:
      [
        `first record  ${first}`,
        `last record   ${last}`,
        `strange lines ${strange}`,
        ...rows.map(([event, number]) => `${String(number).padStart(12)}  ${event}`),
      ].join('\n') + failed,
  };
}

/** Names alone: a value may be anything. */
export function environmentSection(environment: Sources['environment']): Section {
  return {
    title: 'Environment',
    about: 'The names of the variables that this command was started with; no value.',
    text: Object.keys(environment).toSorted().map(printable).join('\n'),
  };
}

/** The last lines of a log. Rejects with the system's error. */
export async function logSection(path: string): Promise<Section> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const from = Math.max(0, size - MAX_LOG_BYTES);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_LOG_BYTES), 0, MAX_LOG_BYTES, from);
  const text = buffer.toString('utf8', 0, bytesRead);
  // The first line is most likely half of one.
  const lines = (from === 0 ? text : text.slice(text.indexOf('\n') + 1)).split('\n');
  return {
    title: 'Log',
    about: `The last lines of ${path}, scrubbed once more.`,
    text: lines.map(printable).join('\n'),
  };
}

function attempt(make: () => string, otherwise: string): string {
  try {
    return make();
  } catch {
    return otherwise;
  }
}
