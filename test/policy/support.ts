import { wrap, type DelegateError } from '../../src/kit/errors.ts';
import type { HttpRequest } from '../../src/kit/http-exchange.ts';
import { filePolicy } from '../../src/policy/file-policy.ts';
import type { Policy, TaskAsk } from '../../src/policy/policy.ts';
import { complaintText, readPolicy, type PolicyFile } from '../../src/policy/read-policy.ts';

export const INSTANCE = 'https://acme.service-now.com';
export const TOKEN_SERVER = 'https://login.acme.example/oauth/token';
export const CHECK = 'servicenow.approval.check';
export const VALIDATE = 'servicenow.connector.validate';

/** Allows what the names above say, and no more. */
export const POLICY = `version: 1
instances:
  - url: ${INSTANCE}
    tasks: [${CHECK}]
    tables: [change_request]
    tokenServers: [${TOKEN_SERVER}]
  - url: https://acme.example/itsm
    tasks: [${VALIDATE}]
    tables: []
tokenServers:
  - url: ${TOKEN_SERVER}
  - url: https://unused.example
secrets:
  - { reference: 'env:SN_PASSWORD', hosts: [acme.service-now.com] }
  - { reference: 'file:oidc/*', hosts: ['https://login.acme.example'] }
  - { reference: 'file:keys/signing.pem', hosts: [] }
limits: { maxRows: 50 }
signedTasks: required
network: { deniedAddresses: [10.0.0.0/8, 'fd00:1234::/32'] }
`;

export function fileOf(yaml: string): PolicyFile {
  const reading = readPolicy(Buffer.from(yaml));
  if (reading.ok) return reading.file;
  throw new TypeError(reading.complaints.map(complaintText).join('\n'));
}

export function policyFrom(yaml: string = POLICY, allowLoopback = false): Policy {
  return filePolicy(fileOf(yaml), { allowLoopback });
}

export function complaintsOf(yaml: string | Uint8Array): string[] {
  const reading = readPolicy(typeof yaml === 'string' ? Buffer.from(yaml) : yaml);
  return reading.ok ? [] : reading.complaints.map(complaintText);
}

export function askFor(what: {
  task?: string;
  instance?: string;
  tables?: readonly string[];
  tokenServer?: string;
}): TaskAsk {
  return {
    task: what.task ?? CHECK,
    instance: new URL(what.instance ?? INSTANCE),
    instanceField: 'connector.spec.serviceNowUrl',
    tables: what.tables ?? ['change_request'],
    tokenServer: what.tokenServer === undefined ? undefined : new URL(what.tokenServer),
    tokenServerField: 'connector.spec.auth.spec.tokenUrl',
  };
}

export function requestFor(
  url: string | URL,
  { method = 'GET', ...rest }: Partial<HttpRequest> = {},
): HttpRequest {
  return { method, url: new URL(url), headers: {}, signal: new AbortController().signal, ...rest };
}

/** What was thrown; undefined if nothing was. */
export function denialIn(decide: () => unknown): DelegateError | undefined {
  try {
    decide();
    return undefined;
  } catch (thrown) {
    return wrap(thrown);
  }
}

export async function rejectionOf(work: Promise<unknown>): Promise<DelegateError | undefined> {
  try {
    await work;
    return undefined;
  } catch (thrown) {
    return wrap(thrown);
  }
}

/** What both borders of HTTP say of a request, in the order in which they are asked; `sent` if nothing. */
export function fateOf(policy: Policy, request: HttpRequest): string {
  const denial = denialIn(() => {
    policy.assertUrl(request.url);
    policy.assertRequest(request);
  });
  return denial?.code ?? 'sent';
}
