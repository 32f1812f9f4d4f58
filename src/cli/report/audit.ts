import { eventOf, type AuditRecord } from '../../observability/audit/chain.ts';
import type { AuditEvent } from '../../observability/audit/events.ts';
import type { AuditReport } from '../../observability/audit/verify.ts';
import { padded, printable, wrapped, type Terminal } from './layout.ts';

/** What `audit verify` says. */
export function verificationReport(report: AuditReport, { width }: Terminal): string {
  const { isWhole, records, files, first, last, tornBytes, faults, moreFaults } = report;
  const extent =
    first &&
    last &&
    `${records} records in ${files} ${files === 1 ? 'file' : 'files'}, ${first.time} to ${last.time}`;
  const say = (text: string): string[] => wrapped(text, width);
  const torn = `${tornBytes} bytes of a line that is being written, or that a crash left`;
  const lines = [
    ...say(isWhole ? 'The audit log is whole.' : 'The audit log is NOT whole.'),
    ...(extent === undefined ? [] : say(extent)),
    // To be copied, and so never broken.
    ...(last === undefined ? [] : [printable(`head ${last.seq}:${last.hash}`)]),
    ...(tornBytes === 0 ? [] : say(torn)),
    ...faults.flatMap(({ file, line, why }) =>
      say(file === undefined ? why : `${file}, line ${String(line)}: ${why}`),
    ),
    ...(moreFaults === 0 ? [] : say(`and ${moreFaults} more`)),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const EVENT_COLUMNS = 15;

/** One record for people, in one line. */
export function recordLine(record: AuditRecord): string {
  const { seq, time, event } = record;
  const known = eventOf(record);
  // Of a later version, most likely: its fields speak for themselves.
  const words = known === undefined ? JSON.stringify(record) : wordsOf(known);
  return printable(`${time} #${seq} ${padded(event, EVENT_COLUMNS)} ${words}`);
}

function wordsOf(told: AuditEvent): string {
  switch (told.event) {
    case 'started': {
      const { version, delegateName, delegateId, managerUrl, policyHash } = told;
      return `${delegateName} (${delegateId ?? 'not enrolled'}) ${version} for ${managerUrl}, policy ${policyHash ?? 'by default'}`;
    }
    case 'stopped':
      return '';
    case 'enrolled': {
      const { managerUrl, delegateId } = told;
      return `with ${managerUrl} as ${delegateId}`;
    }
    case 'connected': {
      const { managerUrl, sessionId } = told;
      return `with ${managerUrl}, session ${sessionId}`;
    }
    case 'disconnected': {
      const { sessionId, code, why } = told;
      return `session ${sessionId}, ${code} ${why}`;
    }
    case 'key-rotated': {
      const { oldKey, newKey } = told;
      return `from ${oldKey ?? 'none'} to ${newKey}`;
    }
    case 'revoked':
      return `by ${told.managerUrl}`;
    case 'task': {
      const { taskId, attempt, name, signedBy, allowedBy } = told;
      return `${taskId}/${attempt} ${name}, ${signedBy === null ? 'not signed' : `signed by ${signedBy}`}, allowed by ${orNobody(allowedBy)}`;
    }
    case 'refused': {
      const { taskId, attempt, name, code, rule, why } = told;
      return `${taskId}/${attempt} ${name}, ${code}${ofRule(rule)}: ${why}`;
    }
    case 'task-ended': {
      const { taskId, attempt, name, outcome, code, secrets, durationMs } = told;
      return [
        `${taskId}/${attempt} ${name}, ${outcome}${code === null ? '' : ` (${code})`}`,
        ...(durationMs === null ? [] : [`after ${durationMs} ms`]),
        ...secrets.map(
          (secret) => `${secret.name} for ${secret.hosts.join(' and ') || 'this machine alone'}`,
        ),
      ].join(', ');
    }
    case 'policy-denied': {
      const { code, rule, subject, why } = told;
      return `${subject === null ? '' : `${subject}, `}${code}${ofRule(rule)}: ${why}`;
    }
    case 'secret-replaced':
      return told.name;
    case 'segment': {
      const { file, keptFromSeq } = told;
      return `${file}, kept from #${keptFromSeq} on`;
    }
    case 'repeated': {
      const { of, code, rule, count, from, to } = told;
      return `${count} more of ${of} ${code ?? ''}${ofRule(rule)} from ${from} to ${to}`;
    }
    case 'repaired': {
      const { file, cutBytes } = told;
      return `${file}, ${cutBytes} bytes of an unfinished line cut off`;
    }
    case 'damaged': {
      const { file, line, why } = told;
      return `${file}, line ${line}: ${why}`;
    }
    case 'missing':
      return `record #${told.lastSeq} had been the last one, and was not there`;
    case 'lost':
      return `${told.count} records that the disk did not take`;
  }
}

function ofRule(rule: string | null): string {
  return rule === null ? '' : ` by ${rule}`;
}

function orNobody(rules: readonly string[]): string {
  return rules.length === 0 ? 'no rule' : rules.join(' and ');
}
