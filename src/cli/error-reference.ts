import { CONFIGURATION_ERRORS } from '../config/errors.ts';
import { INPUT_ERRORS } from '../connectors/connector.ts';
import { APPROVAL_ERRORS } from '../connectors/servicenow/approval/errors.ts';
import { USERNAME_ERRORS } from '../connectors/servicenow/auth/username-password.ts';
import { SERVICENOW_ERRORS } from '../connectors/servicenow/error-kinds.ts';
import { SETTINGS_ERRORS } from '../connectors/servicenow/runtime.ts';
import { TICKET_ERRORS } from '../connectors/servicenow/tickets/ticket-name.ts';
import { VALIDATION_ERRORS } from '../connectors/servicenow/validation/errors.ts';
import { DELEGATE_ERRORS, MANAGER_REFUSAL_ERRORS } from '../delegate/errors.ts';
import { DEVELOPMENT_ERRORS } from '../dev/errors.ts';
import { FAKE_SERVICENOW_ERRORS } from '../dev/fake-servicenow/errors.ts';
import { HTTP_ERRORS } from '../http/errors.ts';
import type { ErrorKind, ErrorKinds } from '../kit/errors.ts';
import { FILE_ERRORS } from '../kit/durable-file.ts';
import { MANAGER_ERRORS, REFUSAL_ERRORS } from '../manager/errors.ts';
import { KEY_MATERIAL_ERRORS } from '../oauth/key-material-error.ts';
import { TOKEN_ERRORS } from '../oauth/token-errors.ts';
import { AUDIT_ERRORS } from '../observability/audit/errors.ts';
import { HEALTH_ERRORS } from '../observability/http.ts';
import { POLICY_ERRORS } from '../policy/errors.ts';
import { SIGNATURE_ERRORS } from '../protocol/task-signature.ts';
import { SECRET_ERRORS } from '../secrets/errors.ts';
import { LOCAL_ERRORS } from './local/errors.ts';

interface Chapter {
  readonly title: string;
  readonly tables: readonly ErrorKinds[];
}

/** Every table of errors, in the order in which a reader of tickets is likely to meet them. */
export const ERROR_CHAPTERS: readonly Chapter[] = [
  { title: 'What ServiceNow answers', tables: [SERVICENOW_ERRORS] },
  { title: 'Tickets and approvals', tables: [TICKET_ERRORS, APPROVAL_ERRORS] },
  { title: 'Tests of a connector', tables: [VALIDATION_ERRORS, SETTINGS_ERRORS, USERNAME_ERRORS] },
  { title: 'Network, TLS and HTTP', tables: [HTTP_ERRORS] },
  { title: 'Tokens', tables: [TOKEN_ERRORS] },
  { title: 'Certificates and keys', tables: [KEY_MATERIAL_ERRORS] },
  { title: 'Secrets', tables: [SECRET_ERRORS] },
  { title: 'What the operator forbids', tables: [POLICY_ERRORS] },
  { title: 'Input of tasks', tables: [INPUT_ERRORS, SIGNATURE_ERRORS] },
  { title: 'The delegate', tables: [DELEGATE_ERRORS, FILE_ERRORS, AUDIT_ERRORS, HEALTH_ERRORS] },
  { title: 'What the manager refuses to a delegate', tables: [MANAGER_REFUSAL_ERRORS] },
  { title: 'The manager', tables: [MANAGER_ERRORS, REFUSAL_ERRORS] },
  { title: 'Commands and settings', tables: [CONFIGURATION_ERRORS, LOCAL_ERRORS] },
  { title: 'Demonstration and development', tables: [DEVELOPMENT_ERRORS, FAKE_SERVICENOW_ERRORS] },
];

/** Every code that an error of this program can have. */
export const ERROR_CODES: ReadonlySet<string> = new Set(
  ERROR_CHAPTERS.flatMap(({ tables }) => tables.flatMap((table) => Object.keys(table))),
);

/** Every code with what happened and what to do, as Markdown: `docs/errors.md`. */
export function errorReference(): string {
  const chapters = ERROR_CHAPTERS.map(({ title, tables }) => {
    // A table may be part of another one.
    const kinds = new Map(tables.flatMap((table) => Object.entries(table)));
    const entries = Array.from(kinds, ([code, kind]) => entryOf(code, kind));
    return [`## ${title}`, ...entries].join('\n\n');
  });
  return `# Errors

An error has a stable \`code\`, a message that says what happened, and mostly a hint that says what to do. Its \`category\` and whether it is \`retryable\` (the same may work later, with nothing changed) are what programs decide by; nobody needs to read a message to decide. Here is what each code means in general; the message and the hint at hand know more. Where one place differs from the category or the retryability given here, the entry says so.

${chapters.join('\n\n')}
`;
}

function entryOf(code: string, { category, retryable = false, means, remedy }: ErrorKind): string {
  return [
    `### \`${code}\``,
    means,
    `**What to do:** ${remedy}`,
    `Category \`${category}\`; ${retryable ? 'may pass by itself' : 'does not pass by itself'}.`,
  ].join('\n\n');
}
