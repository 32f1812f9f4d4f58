/** An answer before it is put on a socket. */
export interface Reply {
  readonly status: number;
  /** In order, names as written; a name may repeat (`Set-Cookie`). */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

const NO_STORE: Reply['headers'] = [
  ['Cache-Control', 'no-cache,no-store,must-revalidate,max-age=-1'],
  ['Pragma', 'no-store,no-cache'],
  ['Expires', '0'],
];

export function json(status: number, value: unknown, headers: Reply['headers'] = []): Reply {
  return {
    status,
    headers: [['Content-Type', 'application/json;charset=UTF-8'], ...NO_STORE, ...headers],
    body: JSON.stringify(value),
  };
}

/** The usual envelope of a failure. `detail` is really null in some of them. */
export function failure(
  status: number,
  message: string,
  detail: string | null,
  headers: Reply['headers'] = [],
): Reply {
  return json(status, { error: { message, detail }, status: 'failure' }, headers);
}

export function html(status: number, body: string, headers: Reply['headers'] = []): Reply {
  return { status, headers: [['Content-Type', 'text/html;charset=UTF-8'], ...NO_STORE, ...headers], body };
}

export function redirect(location: string): Reply {
  return html(302, '', [['Location', location]]);
}

/** The same answer with one header set, in place of any of that name. */
export function withHeader(reply: Reply, name: string, value: string): Reply {
  const others = reply.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase());
  return { ...reply, headers: [...others, [name, value]] };
}

export function addHeader(reply: Reply, name: string, value: string): Reply {
  return { ...reply, headers: [...reply.headers, [name, value]] };
}

export function addHeaders(reply: Reply, headers: Reply['headers']): Reply {
  return { ...reply, headers: [...reply.headers, ...headers] };
}

export function headerOf(reply: Reply, name: string): string | undefined {
  return reply.headers.find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1];
}
