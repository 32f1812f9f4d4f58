import { readEnvironment } from '../config/environment.ts';
import { CommandLineError, ConfigurationError } from '../config/errors.ts';
import { loadLocalConfiguration } from '../config/local.ts';
import { meant } from '../config/suggestion.ts';
import { reasonOf } from '../kit/errors.ts';
import type { AuditRecord, Head } from '../observability/audit/chain.ts';
import { auditError } from '../observability/audit/errors.ts';
import { auditFolder, auditFolderOf, type AuditFolder } from '../observability/audit/folder.ts';
import { recordsIn } from '../observability/audit/records.ts';
import { listSegments } from '../observability/audit/segments.ts';
import { verifyAuditLog } from '../observability/audit/verify.ts';
import { complain } from './complaint.ts';
import { OPERATING } from './pages/operating.ts';
import { flagKinds, hintOf } from './pages/page.ts';
import { jsonText, terminalOf } from './report/layout.ts';
import { recordLine, verificationReport } from './report/audit.ts';

const HINT = hintOf('audit');

const WHOLE = 0;
const NOT_WHOLE = 1;

type Subcommand = (folder: AuditFolder, flags: ReadonlyMap<string, string>) => Promise<number>;

const subcommands: Readonly<Record<string, Subcommand>> = { verify, show };

/** `servicenow-delegate audit verify` and `audit show`, beside a delegate that runs or while it is stopped. */
export async function audit(args: readonly string[]): Promise<number> {
  const [name = '', ...others] = args;
  const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (subcommand === undefined) {
    throw new CommandLineError([`audit: say verify or show${meant(name, Object.keys(subcommands))}`], HINT);
  }
  const command = { flags: flagKinds(OPERATING.audit, name) };
  const loaded = loadLocalConfiguration({ args: others, environment: readEnvironment() }, command, HINT);
  for (const warning of loaded.warnings) complain({ message: warning });
  const path = auditFolderOf(loaded.configuration.stateDir);
  const folder = auditFolder(path);
  try {
    const isThere = (await listSegments(folder)).length > 0;
    if (!isThere) complain({ message: `There is no audit log in ${path}.` });
    const code = await subcommand(folder, loaded.flags);
    return isThere ? code : NOT_WHOLE;
  } catch (thrown) {
    if (thrown instanceof ConfigurationError) throw thrown;
    throw auditError('audit-unreadable', `The audit log in ${path} cannot be read (${reasonOf(thrown)}).`, {
      cause: thrown,
    });
  }
}

/** `audit verify [--head SEQ:HASH] [--json]`: 0 if nothing is wrong with it. */
async function verify(folder: AuditFolder, flags: ReadonlyMap<string, string>): Promise<number> {
  const head = flags.get('head');
  const report = await verifyAuditLog(folder, head === undefined ? [] : [headOf(head)]);
  process.stdout.write(
    flags.has('json') ? jsonText(report) : verificationReport(report, terminalOf(process.stdout)),
  );
  return report.isWhole ? WHOLE : NOT_WHOLE;
}

function headOf(text: string): Head {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash };
  throw new CommandLineError(
    ['--head: must be the seq and the hash of a record with a colon between them, as in 1204:5f70bf18…'],
    HINT,
  );
}

/** `audit show [--since TIME] [--task ID] [--json]`: each record in a line. */
async function show(folder: AuditFolder, flags: ReadonlyMap<string, string>): Promise<number> {
  const since = flags.get('since');
  const sinceMs = since === undefined ? -Infinity : timeOf(since);
  const taskId = flags.get('task');
  const isWanted = (record: AuditRecord): boolean =>
    (taskId === undefined || record['taskId'] === taskId) &&
    (sinceMs === -Infinity || Date.parse(record.time) >= sinceMs);
  let strange = 0;
  for await (const found of recordsIn(folder)) {
    if (found === undefined) strange += 1;
    else if (isWanted(found.record))
      process.stdout.write(`${flags.has('json') ? found.text : recordLine(found.record)}\n`);
  }
  if (strange > 0) {
    process.stderr.write(`${strange} lines are no records of the delegate: see audit verify.\n`);
  }
  return strange === 0 ? WHOLE : NOT_WHOLE;
}

function timeOf(text: string): number {
  const epochMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(epochMs)) return epochMs;
  throw new CommandLineError(
    ['--since: must be a date or a time such as 2026-11-23 or 2026-11-23T13:10:00Z'],
    HINT,
  );
}
