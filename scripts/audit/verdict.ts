import { z } from 'zod';

/** What `npm audit --json` says (npm's audit report, version 2), or npm's own failure. */
const reportSchema = z.object({
  vulnerabilities: z.record(
    z.string(),
    z.object({ severity: z.string(), via: z.array(z.union([z.string(), z.object({ title: z.string() })])) }),
  ),
});
const failureSchema = z.object({ message: z.string().optional(), statusCode: z.number().optional() });

export interface AuditVerdict {
  /** `unknown`: the registry did not answer, so that nothing can be said. */
  readonly is: 'clean' | 'vulnerable' | 'unknown';
  readonly text: string;
}

/**
 * A registry that has no audit endpoint, as mirrors often have none, must not look like a package without
 * vulnerabilities, nor like one with some.
 */
export function verdictOf(output: string): AuditVerdict {
  const answer = parsed(output);
  const report = reportSchema.safeParse(answer);
  if (!report.success) {
    const { message, statusCode } = failureSchema.safeParse(answer).data ?? {};
    const why = statusCode === undefined ? (message ?? 'no answer') : `HTTP ${statusCode}`;
    return { is: 'unknown', text: `Not audited: the registry gives no audit (${why}).` };
  }
  const found = Object.entries(report.data.vulnerabilities);
  if (found.length === 0) return { is: 'clean', text: 'No known vulnerability in what is shipped.' };
  const lines = found.map(([name, { severity, via }]) => {
    const titles = via.map((cause) => (typeof cause === 'string' ? `by way of ${cause}` : cause.title));
    return `${name} (${severity}): ${titles.join('; ')}`;
  });
  return { is: 'vulnerable', text: lines.join('\n') };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
