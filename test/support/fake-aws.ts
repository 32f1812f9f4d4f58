import { createHash, createHmac, randomUUID } from 'node:crypto';
import { FakeCloud, json, type CloudAnswer, type CloudRequest } from './fake-cloud.ts';

interface Kept {
  readonly arn: string;
  version: string;
  text: string | undefined;
  binary: string | undefined;
}

const ACCOUNT = '123456789012';

/** `__type` of AWS JSON 1.1 with the status that goes with it. */
export function awsError(type: string, status = 400): CloudAnswer {
  return json(
    status,
    { __type: type, message: 'text of AWS that nobody vouches for' },
    { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': randomUUID() },
  );
}

/**
 * A fake of AWS Secrets Manager and STS, made from their API references: JSON 1.1 with GetSecretValue and
 * PutSecretValue, Signature Version 4 verified in full, and AssumeRoleWithWebIdentity. Not AWS, and no emulator of it.
 */
export class FakeAws extends FakeCloud {
  /** Access key id → its secret key, and the session token that belongs to it. */
  readonly keys = new Map<string, { secret: string; token: string | undefined }>();
  /** Web identity tokens that STS takes, and the keys that it gives for them. */
  readonly identities = new Map<string, { id: string; secret: string; token: string }>();
  readonly #kept = new Map<string, Kept>();
  readonly #region: string;

  constructor(region: string) {
    super(
      (request) => this.#reply(request),
      ({ origin }) => origin.startsWith('https://secretsmanager.'),
    );
    this.#region = region;
  }

  put(name: string, text: string | undefined, binary?: Buffer): string {
    const arn = `arn:aws:secretsmanager:${this.#region}:${ACCOUNT}:secret:${name}-AbCdEf`;
    const kept = { arn, version: randomUUID(), text, binary: binary?.toString('base64') };
    this.#kept.set(name, kept);
    return arn;
  }

  textOf(name: string): string | undefined {
    return this.#kept.get(name)?.text;
  }

  #reply(request: CloudRequest): CloudAnswer {
    if (request.origin.startsWith('https://sts.')) return this.#assumeRole(new URLSearchParams(request.body));
    const refusal = this.#signatureRefusal(request);
    if (refusal !== undefined) return awsError(refusal);
    const input: { SecretId: string; SecretString?: string } = JSON.parse(request.body);
    const kept = [...this.#kept].find(([name, { arn }]) => input.SecretId === name || input.SecretId === arn);
    if (kept === undefined) return awsError('ResourceNotFoundException');
    const [name, secret] = kept;
    const found = { ARN: secret.arn, Name: name };
    switch (request.headers['x-amz-target']) {
      case 'secretsmanager.GetSecretValue':
        return json(200, {
          ...found,
          VersionId: secret.version,
          VersionStages: ['AWSCURRENT'],
          CreatedDate: 1_700_000_000.5,
          ...(secret.text === undefined ? { SecretBinary: secret.binary } : { SecretString: secret.text }),
        });
      case 'secretsmanager.PutSecretValue':
        secret.text = input.SecretString;
        secret.version = randomUUID();
        return json(200, { ...found, VersionId: secret.version, VersionStages: ['AWSCURRENT'] });
      default:
        return awsError('UnknownOperationException');
    }
  }

  /** https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html */
  #signatureRefusal({ method, path, headers, body }: CloudRequest): string | undefined {
    const form =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/secretsmanager\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/;
    const [, id = '', date = '', region = '', signed = '', signature] =
      form.exec(headers['authorization'] ?? '') ?? [];
    if (signature === undefined) return 'MissingAuthenticationTokenException';
    const key = this.keys.get(id);
    if (key === undefined || headers['x-amz-security-token'] !== key.token)
      return 'UnrecognizedClientException';
    const lines = signed.split(';').map((name) => `${name}:${headers[name] ?? ''}\n`);
    const canonical = [method, path, '', lines.join(''), signed, sha256(body)].join('\n');
    const scope = `${date}/${region}/secretsmanager/aws4_request`;
    const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
    const signingKey = [date, region, 'secretsmanager', 'aws4_request'].reduce<string | Buffer>(
      (last, part) => hmac(last, part),
      `AWS4${key.secret}`,
    );
    const isRight = region === this.#region && hmac(signingKey, text).toString('hex') === signature;
    return isRight ? undefined : 'InvalidSignatureException';
  }

  #assumeRole(form: URLSearchParams): CloudAnswer {
    const given = this.identities.get(form.get('WebIdentityToken') ?? '');
    const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';
    const headers = { 'content-type': 'text/xml' };
    if (given === undefined || form.get('Action') !== 'AssumeRoleWithWebIdentity') {
      const body = `<ErrorResponse xmlns="${namespace}"><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>`;
      return { status: 400, headers, body };
    }
    this.keys.set(given.id, { secret: given.secret, token: given.token });
    const expiration = new Date(Date.now() + 3_600_000).toISOString();
    const credentials = `<Credentials><AccessKeyId>${given.id}</AccessKeyId><SecretAccessKey>${given.secret}</SecretAccessKey><SessionToken>${given.token}</SessionToken><Expiration>${expiration}</Expiration></Credentials>`;
    const body = `<AssumeRoleWithWebIdentityResponse xmlns="${namespace}"><AssumeRoleWithWebIdentityResult>${credentials}<AssumedRoleUser><Arn>arn:aws:sts::${ACCOUNT}:assumed-role/delegate/session</Arn><AssumedRoleId>AROA:session</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
    return { status: 200, headers, body };
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
