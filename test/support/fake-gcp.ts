import { verify, type KeyObject } from 'node:crypto';
import { FakeCloud, json, type CloudAnswer, type CloudRequest } from './fake-cloud.ts';

const STORE = 'https://secretmanager.googleapis.com';
const TOKENS = 'https://oauth2.googleapis.com';
const FEDERATION = 'https://sts.googleapis.com';
const IMPERSONATION = 'https://iamcredentials.googleapis.com';
const METADATA = 'http://metadata.google.internal';

interface Version {
  readonly data: Buffer;
  isEnabled: boolean;
}

/** An error of Google's interfaces, with the reason that tells one denial from another. */
export function gcpError(code: number, status: string, reason?: string): CloudAnswer {
  const info = { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com' };
  const details = reason === undefined ? {} : { details: [{ '@type': 'x' }, info] };
  return json(code, {
    error: { code, message: 'text of Google that nobody vouches for', status, ...details },
  });
}

/**
 * A fake of Google Secret Manager, of Google's token servers and of its metadata server, made from their REST
 * references: access and addVersion, signed assertions of service accounts (verified), federation with impersonation,
 * and the token of a machine. Not Google, and no emulator of it.
 */
export class FakeGcp extends FakeCloud {
  token = 'gcp-token';
  hasMachineIdentity = false;
  /** Of the service account; undefined: it has been taken away. */
  publicKey: KeyObject | undefined;
  /** Tokens of others that federation takes. */
  readonly federated = new Set<string>();
  readonly #secrets = new Map<string, Version[]>();

  constructor() {
    super(
      (request) => this.#reply(request),
      ({ origin }) => origin === STORE,
    );
  }

  /** @param secret `projects/p/secrets/s` */
  put(secret: string, data: string | Buffer): void {
    const version = { data: Buffer.from(data), isEnabled: true };
    this.#secrets.set(secret, [...(this.#secrets.get(secret) ?? []), version]);
  }

  newest(secret: string): Version | undefined {
    return this.#secrets.get(secret)?.at(-1);
  }

  #reply(request: CloudRequest): CloudAnswer {
    switch (request.origin) {
      case TOKENS:
        return this.#signedAssertion(new URLSearchParams(request.body));
      case FEDERATION:
        return this.#federation(new URLSearchParams(request.body));
      case IMPERSONATION:
        return this.#impersonation(request);
      case METADATA:
        return this.#metadata(request);
      default:
        return this.#store(request);
    }
  }

  #store({ headers, path, method, body }: CloudRequest): CloudAnswer {
    if (headers['authorization'] !== `Bearer ${this.token}`) return gcpError(401, 'UNAUTHENTICATED');
    const [, secret = '', version = '', verb] =
      /^\/v1\/(projects\/[^/]+\/secrets\/[^/:]+)(?:\/versions\/([^/:]+))?:(access|addVersion)$/.exec(path) ??
      [];
    const versions = this.#secrets.get(secret);
    if (versions === undefined) return gcpError(404, 'NOT_FOUND');
    if (verb === 'addVersion' && method === 'POST') {
      const { payload }: { payload: { data: string } } = JSON.parse(body);
      this.put(secret, Buffer.from(payload.data, 'base64'));
      return json(200, { name: `${secret}/versions/${versions.length + 1}`, state: 'ENABLED' });
    }
    const number = version === 'latest' ? versions.length : Number(version);
    const found = versions[number - 1];
    if (found === undefined) return gcpError(404, 'NOT_FOUND');
    if (!found.isEnabled) return gcpError(400, 'FAILED_PRECONDITION');
    // JSON of protocol buffers leaves an empty value out.
    const payload = found.data.length === 0 ? {} : { data: found.data.toString('base64') };
    return json(200, { name: `${secret}/versions/${number}`, payload });
  }

  /** RFC 7523 */
  #signedAssertion(form: URLSearchParams): CloudAnswer {
    const [header = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    const isRight =
      this.publicKey !== undefined &&
      verify(
        'sha256',
        Buffer.from(`${header}.${claims}`),
        this.publicKey,
        Buffer.from(signature, 'base64url'),
      );
    if (!isRight) {
      return json(400, { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' });
    }
    return json(200, { access_token: this.token, expires_in: 3_599, token_type: 'Bearer' });
  }

  /** RFC 8693 */
  #federation(form: URLSearchParams): CloudAnswer {
    if (!this.federated.has(form.get('subject_token') ?? '')) {
      return json(400, { error: 'invalid_grant', error_description: 'The audience does not match.' });
    }
    return json(200, {
      access_token: 'federated-access-token-canary',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 3_599,
    });
  }

  #impersonation({ headers }: CloudRequest): CloudAnswer {
    if (headers['authorization'] !== 'Bearer federated-access-token-canary') {
      return gcpError(403, 'PERMISSION_DENIED');
    }
    const expireTime = new Date(Date.now() + 3_600_000).toISOString();
    return json(200, { accessToken: this.token, expireTime });
  }

  #metadata({ headers, path }: CloudRequest): CloudAnswer {
    const isAsked =
      headers['metadata-flavor'] === 'Google' &&
      path === '/computeMetadata/v1/instance/service-accounts/default/token';
    if (!isAsked || !this.hasMachineIdentity) return { status: 404, body: 'no service account' };
    return json(200, { access_token: this.token, expires_in: 3_599, token_type: 'Bearer' });
  }
}
