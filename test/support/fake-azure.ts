import { randomBytes } from 'node:crypto';
import { FakeCloud, json, type CloudAnswer, type CloudRequest } from './fake-cloud.ts';

interface Version {
  readonly id: string;
  readonly value: string;
  readonly contentType: string | undefined;
  readonly tags: Readonly<Record<string, string>> | undefined;
  isEnabled: boolean;
}

export const AUTHORITY = 'https://login.microsoftonline.com';
const METADATA = 'http://169.254.169.254';

/** An error of Key Vault, with the inner code that says why. */
export function azureError(status: number, code: string, inner?: string): CloudAnswer {
  const innererror = inner === undefined ? {} : { innererror: { code: inner } };
  return json(status, { error: { code, message: 'text of Azure that nobody vouches for', ...innererror } });
}

/**
 * A fake of Azure Key Vault, Microsoft Entra ID and the metadata service of Azure's machines, made from their REST
 * references: the challenge that names authority and resource, versions, disabled and deleted secrets, client
 * credentials by secret and by assertion. Not Azure, and no emulator of it.
 */
export class FakeAzure extends FakeCloud {
  readonly vault: string;
  /** Client secrets, and federated tokens, that Entra ID takes. */
  readonly clientCredentials = new Set<string>();
  /** Access token that is given out, and taken. */
  token = 'azure-token';
  hasManagedIdentity = false;
  readonly deleted = new Set<string>();
  readonly #secrets = new Map<string, Version[]>();
  readonly #tenant: string;

  constructor(vault: string, tenant: string) {
    super(
      (request) => this.#reply(request),
      ({ origin }) => origin === vault,
    );
    this.vault = vault;
    this.#tenant = tenant;
  }

  /** Gives the id of the new version. */
  put(name: string, value: string, about: Partial<Pick<Version, 'contentType' | 'tags'>> = {}): string {
    const id = randomBytes(16).toString('hex');
    const version = { id, value, contentType: about.contentType, tags: about.tags, isEnabled: true };
    this.#secrets.set(name, [...(this.#secrets.get(name) ?? []), version]);
    return id;
  }

  newest(name: string): Version | undefined {
    return this.#secrets.get(name)?.at(-1);
  }

  #reply(request: CloudRequest): CloudAnswer {
    if (request.origin === AUTHORITY) return this.#authority(request);
    if (request.origin === METADATA) return this.#metadata(request);
    if (request.headers['authorization'] !== `Bearer ${this.token}`) {
      return json(
        401,
        { error: { code: 'Unauthorized', message: 'AKV10000: no token' } },
        {
          'www-authenticate': `Bearer authorization="${AUTHORITY}/${this.#tenant}", resource="https://vault.azure.net"`,
        },
      );
    }
    const [, folder, name = '', id = ''] = request.path.split('/');
    if (folder !== 'secrets' || !request.query.has('api-version')) return azureError(400, 'BadParameter');
    return request.method === 'PUT' ? this.#set(name, request.body) : this.#get(name, id);
  }

  #get(name: string, id: string): CloudAnswer {
    const versions = this.#secrets.get(name) ?? [];
    const version = id === '' ? versions.at(-1) : versions.find((one) => one.id === id);
    if (version === undefined || this.deleted.has(name)) return azureError(404, 'SecretNotFound');
    if (!version.isEnabled) return azureError(403, 'Forbidden', 'SecretDisabled');
    return json(200, this.#bundle(name, version));
  }

  #set(name: string, body: string): CloudAnswer {
    if (this.deleted.has(name)) return azureError(409, 'Conflict', 'ObjectIsDeletedButRecoverable');
    const { value, ...about }: { value: string; contentType?: string; tags?: Record<string, string> } =
      JSON.parse(body);
    this.put(name, value, about);
    const version = this.newest(name);
    return version === undefined ? azureError(500, 'InternalError') : json(200, this.#bundle(name, version));
  }

  #bundle(name: string, { id, value, contentType, tags, isEnabled }: Version): unknown {
    return {
      value,
      id: `${this.vault}/secrets/${name}/${id}`,
      attributes: { enabled: isEnabled, created: 1_700_000_000, updated: 1_700_000_000 },
      ...(contentType === undefined ? {} : { contentType }),
      ...(tags === undefined ? {} : { tags }),
    };
  }

  #authority({ path, body }: CloudRequest): CloudAnswer {
    const base = `${AUTHORITY}/${this.#tenant}`;
    if (path.endsWith('/.well-known/openid-configuration')) {
      return json(200, {
        token_endpoint: `${base}/oauth2/v2.0/token`,
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        issuer: `${base}/v2.0`,
        jwks_uri: `${base}/discovery/v2.0/keys`,
      });
    }
    const form = new URLSearchParams(body);
    const given = form.get('client_secret') ?? form.get('client_assertion') ?? '';
    if (
      this.clientCredentials.has(given) &&
      form.get('scope')?.startsWith('https://vault.azure.net/.default')
    ) {
      return json(200, {
        token_type: 'Bearer',
        expires_in: 3_599,
        ext_expires_in: 3_599,
        access_token: this.token,
      });
    }
    const number = form.has('client_secret') ? 7_000_215 : 700_213;
    const text = `AADSTS${number}: what was given is wrong: ${given}`;
    return json(401, { error: 'invalid_client', error_description: text, error_codes: [number] });
  }

  #metadata({ headers, query }: CloudRequest): CloudAnswer {
    const isAsked = headers['metadata'] === 'true' && query.get('resource') === 'https://vault.azure.net';
    if (!this.hasManagedIdentity || !isAsked) {
      return json(400, { error: 'invalid_request', error_description: 'Identity not found' });
    }
    const now = Math.floor(Date.now() / 1_000);
    return json(200, {
      access_token: this.token,
      token_type: 'Bearer',
      resource: 'https://vault.azure.net',
      expires_in: '86399',
      expires_on: String(now + 86_399),
      not_before: String(now),
    });
  }
}
