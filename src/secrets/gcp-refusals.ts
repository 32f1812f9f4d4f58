import * as z from 'zod';
import type { ErrorDetails } from '../kit/errors.ts';
import { retryAfterMs, type HttpResponse } from '../kit/http-exchange.ts';
import {
  BUSY,
  FAILING,
  refusalByStatus,
  refusalNamed,
  type CloudAction,
  type CloudRefusal,
} from './cloud.ts';

/** https://cloud.google.com/apis/design/errors */
const apiError = z.object({
  error: z.object({
    status: z.string(),
    details: z.array(z.looseObject({ reason: z.string().optional() })).catch([]),
  }),
});

const ACCESS = { read: 'secretmanager.versions.access', replaced: 'secretmanager.versions.add' } as const;
const ROLE = {
  read: 'Secret Manager Secret Accessor',
  replaced: 'Secret Manager Secret Version Adder',
} as const;

/** By the canonical codes of Google's interfaces. */
const BY_STATUS: Readonly<Record<string, CloudRefusal>> = {
  NOT_FOUND: {
    code: 'secret-not-found',
    says: 'has no such secret, or no such version',
    hint: 'Look at its name, its version and at DELEGATE_GCP_PROJECT; a secret of another project is projects/PROJECT/secrets/NAME.',
  },
  FAILED_PRECONDITION: {
    code: 'secret-store-denied',
    says: 'does not give it out: this version is disabled or destroyed',
    hint: 'Enable the version (gcloud secrets versions enable), or refer to another. The newest version is "latest" even when it is disabled.',
  },
  INVALID_ARGUMENT: { code: 'secret-reference-invalid', says: 'takes its name or version for invalid' },
  UNAUTHENTICATED: {
    code: 'secret-store-login-refused',
    says: 'does not take the token of this delegate',
    hint: 'Look whether the service account is enabled, and at the clock of the machine.',
  },
  RESOURCE_EXHAUSTED: BUSY,
  INTERNAL: FAILING,
  UNAVAILABLE: FAILING,
  DEADLINE_EXCEEDED: FAILING,
  ABORTED: FAILING,
};

const SERVICE_DISABLED: CloudRefusal = {
  code: 'secret-store-denied',
  says: 'is switched off in this project',
  hint: 'Enable it: gcloud services enable secretmanager.googleapis.com.',
};
const SCOPE_MISSING: CloudRefusal = {
  code: 'secret-store-denied',
  says: 'is beyond the access scopes of this machine',
  hint: 'Give the machine the scope cloud-platform, and restrict it by its roles.',
};
const BEHIND_PERIMETER: CloudRefusal = {
  code: 'secret-store-denied',
  says: 'is behind a service perimeter that this delegate is outside of',
  hint: 'Add the network or the service account of the delegate to the perimeter (VPC Service Controls).',
};

/** PERMISSION_DENIED has several reasons, and each needs other people. */
const BY_REASON: Readonly<Record<string, CloudRefusal>> = {
  SERVICE_DISABLED,
  ACCESS_TOKEN_SCOPE_INSUFFICIENT: SCOPE_MISSING,
  SECURITY_POLICY_VIOLATED: BEHIND_PERIMETER,
};

/** What a refusal of Secret Manager means. Its text stays behind: nobody vouches for it. */
export function gcpRefusal(
  answer: HttpResponse,
  action: CloudAction,
): { refusal: CloudRefusal; details: ErrorDetails } {
  const error = errorIn(answer.body);
  const reason = error?.details.find((one) => one.reason !== undefined)?.reason;
  const status = error?.status ?? 'unknown';
  const waitMs = retryAfterMs(answer.headers);
  return {
    refusal: refusalOf(answer.status, status, reason, action),
    details: {
      gcpError: nameOf(status),
      status: answer.status,
      ...(reason === undefined ? {} : { reason: nameOf(reason) }),
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    },
  };
}

function refusalOf(
  httpStatus: number,
  status: string,
  reason: string | undefined,
  action: CloudAction,
): CloudRefusal {
  const byReason = refusalNamed(reason, BY_REASON);
  if (byReason !== undefined) return byReason;
  if (status === 'PERMISSION_DENIED') {
    return {
      code: 'secret-store-denied',
      says: `does not let this delegate: ${ACCESS[action]} is missing, or there is no such secret`,
      hint: `Grant the role "${ROLE[action]}" on this secret to the service account of the delegate.`,
    };
  }
  return refusalNamed(status, BY_STATUS) ?? refusalByStatus(httpStatus);
}

export type GcpLogin = 'machine' | 'service_account' | 'external_account';

const LOGIN_HINTS: Readonly<Record<GcpLogin, string>> = {
  machine:
    'Give the pod workload identity or the machine a service account, or name a credentials file in GOOGLE_APPLICATION_CREDENTIALS.',
  service_account:
    'Look whether the key and its service account exist and are enabled, and set the clock of the machine. Better than a key: workload identity.',
  external_account:
    'Look at the provider of the workload identity pool (issuer, audience, attribute condition), at the token in the file, and at the right of the delegate to impersonate the service account.',
};

/** RFC 6749, section 5.2; Google's other interfaces have an object in its place. */
const oauthError = z.object({ error: z.string() });

/** What the refusal of a token means. */
export function gcpLoginRefusal(
  { status, body }: HttpResponse,
  login: GcpLogin,
): { refusal: CloudRefusal; details: ErrorDetails } {
  const error = oauthError.safeParse(jsonIn(body)).data?.error ?? errorIn(body)?.status ?? 'unknown';
  const details = { gcpError: nameOf(error), status };
  if (status === 429 || status >= 500) return { refusal: refusalByStatus(status), details };
  return {
    refusal: {
      code: 'secret-store-login-refused',
      says: 'gives this delegate no token',
      hint: LOGIN_HINTS[login],
    },
    details,
  };
}

function errorIn(body: string): z.infer<typeof apiError>['error'] | undefined {
  return apiError.safeParse(jsonIn(body)).data?.error;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** As a word that may be printed. */
function nameOf(code: string): string {
  return /^\w{1,64}$/.test(code) ? code : 'unknown';
}
