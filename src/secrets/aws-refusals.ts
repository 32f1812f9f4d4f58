import * as z from 'zod';
import type { ErrorDetails } from '../kit/errors.ts';
import {
  BUSY,
  FAILING,
  refusalByStatus,
  refusalNamed,
  type CloudAction,
  type CloudRefusal,
} from './cloud.ts';

/** An error of the AWS SDK: its name is the service's code for it. */
const sdkError = z.object({
  name: z.string(),
  $metadata: z.object({ httpStatusCode: z.number().optional(), requestId: z.string().optional() }).catch({}),
});

const EXPIRED: CloudRefusal = {
  code: 'secret-store-login-refused',
  says: 'takes the credentials for expired',
  hint: 'Give the delegate new credentials, better those of a role, which renew themselves; and look at the clock of the machine.',
};
const UNKNOWN_KEY: CloudRefusal = {
  code: 'secret-store-login-refused',
  says: 'does not know the access key',
  hint: 'Look whether the key of AWS_ACCESS_KEY_ID exists, is active, and is of the same partition as DELEGATE_AWS_REGION; temporary keys need AWS_SESSION_TOKEN too.',
};
const BAD_SIGNATURE: CloudRefusal = {
  code: 'secret-store-login-refused',
  says: 'does not take the signature of the request',
  hint: 'Look whether AWS_SECRET_ACCESS_KEY belongs to AWS_ACCESS_KEY_ID, and set the clock of the machine: minutes of difference are enough.',
};
const NO_CREDENTIALS: CloudRefusal = {
  code: 'secret-store-login-refused',
  says: 'can not be asked without credentials, and none could be had',
  hint: 'Give the pod, task or machine a role (IRSA, EKS Pod Identity, ECS task role, instance profile), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. In a container on EC2 the metadata service needs a hop limit of 2.',
};
const ROLE_REFUSED: CloudRefusal = {
  code: 'secret-store-login-refused',
  says: 'can not be asked: AWS STS does not give the role',
  hint: 'Look at the trust policy of AWS_ROLE_ARN: sts:AssumeRoleWithWebIdentity, the OIDC provider of the cluster, its audience and the service account.',
};
const BAD_KEY: CloudRefusal = {
  code: 'secret-store-denied',
  says: 'can not use the KMS key of the secret for this delegate',
  hint: 'Grant kms:Decrypt on the key of the secret (kms:GenerateDataKey too, to replace it), and look whether the key is enabled.',
};

/** By the codes of Secrets Manager, of STS, and of the SDK itself. */
const REFUSALS: Readonly<Record<string, CloudRefusal>> = {
  DecryptionFailure: BAD_KEY,
  EncryptionFailure: BAD_KEY,
  InvalidRequestException: {
    code: 'secret-not-found',
    says: 'does not give it out: it is scheduled for deletion, or has no value',
    hint: 'Restore it (aws secretsmanager restore-secret), or correct the reference.',
  },
  InvalidParameterException: { code: 'secret-reference-invalid', says: 'takes its name for invalid' },
  ValidationException: { code: 'secret-reference-invalid', says: 'takes its name for invalid' },
  ThrottlingException: BUSY,
  TooManyRequestsException: BUSY,
  RequestLimitExceeded: BUSY,
  LimitExceededException: { code: 'secret-store-unavailable', says: 'has no room for another version' },
  InternalServiceError: FAILING,
  InternalServiceErrorException: FAILING,
  ServiceUnavailableException: FAILING,
  ExpiredToken: EXPIRED,
  ExpiredTokenException: EXPIRED,
  RequestExpired: EXPIRED,
  UnrecognizedClientException: UNKNOWN_KEY,
  InvalidClientTokenId: UNKNOWN_KEY,
  MissingAuthenticationTokenException: UNKNOWN_KEY,
  InvalidSignatureException: BAD_SIGNATURE,
  SignatureDoesNotMatch: BAD_SIGNATURE,
  IncompleteSignature: BAD_SIGNATURE,
  IncompleteSignatureException: BAD_SIGNATURE,
  RequestTimeTooSkewed: BAD_SIGNATURE,
  CredentialsProviderError: NO_CREDENTIALS,
  ProviderError: NO_CREDENTIALS,
  TokenProviderError: NO_CREDENTIALS,
  TimeoutError: NO_CREDENTIALS,
  AccessDenied: ROLE_REFUSED,
  InvalidIdentityToken: ROLE_REFUSED,
  InvalidIdentityTokenException: ROLE_REFUSED,
  IDPRejectedClaim: ROLE_REFUSED,
  IDPRejectedClaimException: ROLE_REFUSED,
};

/** What an error of the SDK means, for whoever runs the delegate. Its text stays behind: nobody vouches for it. */
export function awsRefusal(
  thrown: unknown,
  action: CloudAction,
  region: string,
): { refusal: CloudRefusal; details: ErrorDetails } {
  const { data: error } = sdkError.safeParse(thrown);
  const name = error?.name ?? 'unknown';
  const { httpStatusCode: status, requestId } = error?.$metadata ?? {};
  return {
    refusal: byAction(name, action, region) ?? refusalNamed(name, REFUSALS) ?? refusalByStatus(status),
    details: {
      awsError: /^\w{1,64}$/.test(name) ? name : 'unknown',
      ...(status === undefined ? {} : { status }),
      ...(requestId === undefined ? {} : { requestId }),
    },
  };
}

function byAction(name: string, action: CloudAction, region: string): CloudRefusal | undefined {
  if (name === 'ResourceNotFoundException') {
    return {
      code: 'secret-not-found',
      says: `has no such secret with a value in ${region}`,
      hint: 'Look at its name, at DELEGATE_AWS_REGION and at the account; a secret of another account needs its whole ARN.',
    };
  }
  if (name !== 'AccessDeniedException') return undefined;
  const right = action === 'read' ? 'secretsmanager:GetSecretValue' : 'secretsmanager:PutSecretValue';
  return {
    code: 'secret-store-denied',
    says: `does not let this delegate: ${right} is missing`,
    hint: `Grant ${right} on this secret to the role of the delegate (and kms:Decrypt on its key, if it is one of your own); look at the policy of the secret too, and at those of the organisation and of the VPC endpoint.`,
  };
}
