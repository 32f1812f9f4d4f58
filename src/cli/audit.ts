import { readEnvironment } from '../config/environment.ts';
import { ConfigurationError } from '../config/load.ts';
import { loadLocalConfiguration } from '../config/local.ts';
import type { FlagKind } from '../config/flags.ts';
import { reasonOf } from '../kit/errors.ts';
import type { AuditRecord, Head } from '../observability/audit/chain.ts';
import { auditError } from '../observability/audit/errors.ts';
import { auditFolder, auditFolderOf, type AuditFolder } from '../observability/audit/folder.ts';
import { recordsIn } from '../observability/audit/records.ts';
import { listSegments } from '../observability/audit/segments.ts';
import { verifyAuditLog } from '../observability/audit/verify.ts';
import { recordLine, verificationReport } from './report/audit.ts';

const HINT = 'servicenow-delegate audit --help shows what it takes, with examples.';

const WHOLE = 0;
const NOT_WHOLE = 1;

interface Subcommand {
  readonly flags: Readonly<Record<string, FlagKind>>;
  run(folder: AuditFolder, flags: ReadonlyMap<string, string>): Promise<number>;
}

const subcommands: Readonly<Record<string, Subcommand>> = {
  verify: { flags: { json: 'switch', head: 'text' }, run: verify },
  show: { flags: { json: 'switch', since: 'text', task: 'text' }, run: show },
};

/** `servicenow-delegate audit verify` and `audit show`, beside a delegate that runs or while it is stopped. */
export async function audit(args: readonly string[]): Promise<number> {
  const [name = ''] = args;
  const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (subcommand === undefined) throw new ConfigurationError(['audit: say verify or show'], HINT);
  const command = { flags: subcommand.flags, operand: 'verify or show' };
  const loaded = loadLocalConfiguration({ args, environment: readEnvironment() }, command, HINT);
  for (const warning of loaded.warnings) process.stderr.write(`${warning}\n`);
  const path = auditFolderOf(loaded.configuration.stateDir);
  const folder = auditFolder(path);
  try {
    const isThere = (await listSegments(folder)).length > 0;
    if (!isThere) process.stderr.write(`There is no audit log in ${path}.\n`);
    const code = await subcommand.run(folder, loaded.flags);
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
    flags.has('json') ? `${JSON.stringify(report, null, 2)}\n` : verificationReport(report),
  );
  return report.isWhole ? WHOLE : NOT_WHOLE;
}

function headOf(text: string): Head {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash };
  throw new ConfigurationError(
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
  throw new ConfigurationError(
    ['--since: must be a date or a time such as 2026-11-23 or 2026-11-23T13:10:00Z'],
    HINT,
  );
}
