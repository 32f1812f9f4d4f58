import type { Manager } from '../../../src/manager/manager.ts';

interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON; undefined for an empty body. */
  readonly body: unknown;
}

/** One call of the API with its token; a string goes out as it is. */
export async function api(
  manager: Manager,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<ApiAnswer> {
  const response = await fetch(`${manager.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${manager.apiToken.reveal()}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
  };
}

export function connectorBody(
  changes: { spec?: object; auth?: object; [field: string]: unknown } = {},
): object {
  const { spec = {}, auth = {}, ...rest } = changes;
  return {
    name: 'ServiceNow prod',
    identifier: 'servicenow_prod',
    type: 'ServiceNow',
    spec: {
      serviceNowUrl: 'https://example.service-now.com',
      auth: { type: 'UsernamePassword', spec: { username: 'bot', passwordRef: 'env:SN_PASSWORD', ...auth } },
      ...spec,
    },
    ...rest,
  };
}
