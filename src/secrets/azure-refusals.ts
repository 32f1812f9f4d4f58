import * as z from 'zod';
import type { ErrorDetails } from '../kit/errors.ts';
import { refusalByStatus, refusalNamed, type CloudRefusal } from './cloud.ts';

/** An error of Azure's clients, as far as it decides anything. */
const clientError = z.object({
  statusCode: z.number().optional().catch(undefined),
  code: z.string().optional().catch(undefined),
  details: z
    .object({
      error: z.object({
        innerError: z.object({ code: z.string() }).optional().catch(undefined),
      }),
    })
    .optional()
    .catch(undefined),
});

/** Within a refusal, Key Vault says why in a second code. */
const BY_INNER_CODE: Readonly<Record<string, CloudRefusal>> = {
  SecretDisabled: {
    code: 'secret-store-denied',
    says: 'does not give it out: this version is disabled',
    hint: 'Enable the version, or refer to another; without a version it is the newest.',
  },
  SecretNotYetValid: {
    code: 'secret-store-denied',
    says: 'does not give it out: this version is not valid yet',
    hint: 'Look at its activation date, and at the clock of whoever made it.',
  },
  SecretExpired: {
    code: 'secret-store-denied',
    says: 'does not give it out: this version has expired',
    hint: 'Store a new version, or take the expiry date away.',
  },
  ForbiddenByFirewall: {
    code: 'secret-store-denied',
    says: 'does not talk to the address of this delegate',
    hint: 'Allow the network of the delegate in the firewall of the vault, or give it a private endpoint.',
  },
  ForbiddenByConnection: {
    code: 'secret-store-denied',
    says: 'is closed to public networks',
    hint: 'Reach the vault through its private endpoint: its name must lead to a private address here.',
  },
  ObjectIsDeletedButRecoverable: {
    code: 'secret-not-found',
    says: 'has it among the deleted ones',
    hint: 'Recover it (az keyvault secret recover), or purge it and make it anew.',
  },
  ObjectIsBeingDeleted: { code: 'secret-not-found', says: 'is deleting it', hint: 'Correct the reference.' },
};

/** What a refusal of Key Vault means. Its text stays behind: nobody vouches for it. */
export function azureRefusal(
  thrown: unknown,
  right: 'get' | 'set',
): { refusal: CloudRefusal; details: ErrorDetails } {
  const { data: error } = clientError.safeParse(thrown);
  const { statusCode: status, code } = error ?? {};
  const innerCode = error?.details?.error.innerError?.code;
  return {
    refusal: refusalNamed(innerCode, BY_INNER_CODE) ?? byStatus(status, right),
    details: {
      azureError: nameOf(innerCode ?? code),
      ...(status === undefined ? {} : { status }),
    },
  };
}

function byStatus(status: number | undefined, right: 'get' | 'set'): CloudRefusal {
  switch (status) {
    case 400:
      return { code: 'secret-reference-invalid', says: 'takes its name or version for invalid' };
    case 401:
      return {
        code: 'secret-store-login-refused',
        says: 'does not take the token of this delegate',
        hint: 'Look whether the identity is of the tenant that the vault belongs to, and at the clock of the machine.',
      };
    case 403:
      return {
        code: 'secret-store-denied',
        says: `does not let this delegate: the right to ${right} secrets is missing`,
        hint: `Assign "Key Vault Secrets ${right === 'get' ? 'User' : 'Officer'}" on this secret to the identity of the delegate, or "${right}" for secrets in the access policy of the vault.`,
      };
    case 404:
      return {
        code: 'secret-not-found',
        says: 'has no such secret, or no such version',
        hint: 'Look at its name and at DELEGATE_AZURE_VAULT_URL; if it was deleted, az keyvault secret recover brings it back.',
      };
    default:
      return refusalByStatus(status);
  }
}

/** By the numbers of Entra ID (AADSTS…), which it writes into its text and nowhere else. */
const BY_LOGIN_NUMBER: Readonly<Record<string, { says: string; hint: string }>> = {
  AADSTS7000215: {
    says: 'does not know the client secret',
    hint: 'Give the value of a client secret as AZURE_CLIENT_SECRET, not its id.',
  },
  AADSTS7000222: {
    says: 'takes the client secret for expired',
    hint: 'Make a new client secret, better a federated credential, which does not expire.',
  },
  AADSTS700016: {
    says: 'does not know the application in this tenant',
    hint: 'Look at AZURE_CLIENT_ID and AZURE_TENANT_ID.',
  },
  AADSTS90002: { says: 'does not know the tenant', hint: 'Look at AZURE_TENANT_ID.' },
  AADSTS700024: {
    says: 'takes the assertion for not valid at this time',
    hint: 'Set the clock of the machine.',
  },
  AADSTS700211: {
    says: 'trusts no such issuer',
    hint: 'Add a federated credential with the issuer of this cluster to the application.',
  },
  AADSTS700213: {
    says: 'trusts no such service account',
    hint: 'Add a federated credential with the subject system:serviceaccount:NAMESPACE:NAME to the application.',
  },
  AADSTS700027: {
    says: 'does not know the certificate',
    hint: 'Upload the certificate of AZURE_CLIENT_CERTIFICATE_PATH to the application.',
  },
};

const NO_IDENTITY = {
  says: 'gives this delegate no token',
  hint: 'Give the pod workload identity or the machine a managed identity, or set AZURE_TENANT_ID and AZURE_CLIENT_ID with AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH.',
};

/** What a failed login means. */
export function azureLoginRefusal(thrown: unknown): { refusal: CloudRefusal; details: ErrorDetails } {
  const text = thrown instanceof Error ? thrown.message : '';
  const [number = 'unknown'] = /\bAADSTS\d{4,8}\b/.exec(text) ?? [];
  const status = clientError.safeParse(thrown).data?.statusCode;
  const details = { azureError: number, ...(status === undefined ? {} : { status }) };
  if (status === 429 || (status !== undefined && status >= 500)) {
    return { refusal: refusalByStatus(status), details };
  }
  return {
    refusal: { code: 'secret-store-login-refused', ...(BY_LOGIN_NUMBER[number] ?? NO_IDENTITY) },
    details,
  };
}

/** As a word that may be printed. */
function nameOf(code: string | undefined): string {
  return code !== undefined && /^\w{1,64}$/.test(code) ? code : 'unknown';
}
