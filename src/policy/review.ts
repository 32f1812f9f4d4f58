import type { PolicyDocument } from './document.ts';
import { IMPLIED_TABLES } from './file-policy.ts';

/** What is worth a second look in a file that is valid. */
export interface Remark {
  /** `secrets[0]` */
  readonly path: string;
  readonly message: string;
}

/** Tables of the platform itself: users, credentials, the log. No ticket is kept there. */
const SYSTEM_TABLE = /^sys_/;

/**
 * What the owner of a valid policy may not have meant.
 *
 * @param knownTasks what this version can do
 * @param allowLoopback it is known to be allowed, and plain http on this machine is meant
 */
export function remarksOn(
  document: PolicyDocument,
  knownTasks: readonly string[],
  { allowLoopback }: { readonly allowLoopback: boolean } = { allowLoopback: false },
): Remark[] {
  return [
    ...(allowLoopback ? [] : ofPlainHttp(document)),
    ...ofInstances(document, knownTasks),
    ...ofTokenServers(document),
    ...ofSecrets(document),
    ...(document.signedTasks === 'required'
      ? []
      : [
          {
            path: 'signedTasks',
            message:
              'unsigned tasks are taken: whoever gets hold of the manager may ask for all that is allowed here',
          },
        ]),
  ];
}

function ofInstances({ instances }: PolicyDocument, knownTasks: readonly string[]): Remark[] {
  if (instances.length === 0) return [{ path: 'instances', message: 'there is none: every task is refused' }];
  return instances.flatMap(({ tasks, tables }, at) => {
    const path = `instances[${at}]`;
    const unknown = tasks.filter((task) => !knownTasks.includes(task));
    const system = tables.filter((table) => SYSTEM_TABLE.test(table));
    const readsNothing = tables.length === 0 && tasks.some((task) => !Object.hasOwn(IMPLIED_TABLES, task));
    return [
      ...(tasks.length === 0 ? [{ path, message: 'it has no tasks, so that nothing is done there' }] : []),
      ...unknown.map((task) => ({ path, message: `this version knows no task ${task}` })),
      ...system.map((table) => ({
        path,
        message: `${table} is a table of the platform, and none of tickets`,
      })),
      ...(readsNothing ? [{ path, message: 'it has no tables, so that no ticket is read there' }] : []),
    ];
  });
}

function ofTokenServers({ tokenServers, instances }: PolicyDocument): Remark[] {
  const used = new Set(instances.flatMap((instance) => instance.tokenServers));
  return tokenServers.flatMap(({ url }, at) => {
    const path = `tokenServers[${at}]`;
    const isOrigin = new URL(url).origin === url;
    return [
      ...(used.has(url) ? [] : [{ path, message: 'no instance names it, so that nobody gets tokens there' }]),
      ...(isOrigin
        ? [
            {
              path,
              message: 'it stands for every path of its host; the address of the token endpoint is narrower',
            },
          ]
        : []),
    ];
  });
}

function ofSecrets({ secrets, instances, tokenServers }: PolicyDocument): Remark[] {
  const reachable = new Set([...instances, ...tokenServers].map(({ url }) => new URL(url).origin));
  return secrets.flatMap(({ reference, hosts }, at) => {
    const path = `secrets[${at}]`;
    const nowhere = hosts.filter((host) => !reachable.has(host));
    return [
      ...(reference.includes('*')
        ? [{ path, message: `${reference} is every secret that fits it, those to come included` }]
        : []),
      ...nowhere.map((host) => ({
        path,
        message: `${host} is neither an instance nor a token server, so that nothing is sent there`,
      })),
    ];
  });
}

/** The file can have it for loopback alone. */
function ofPlainHttp({ instances, tokenServers }: PolicyDocument): Remark[] {
  return Object.entries({ instances, tokenServers }).flatMap(([section, entries]) =>
    entries.flatMap(({ url }, at) =>
      url.startsWith('http:')
        ? [
            {
              path: `${section}[${at}]`,
              message: 'plain http: only with DELEGATE_ALLOW_LOOPBACK, and only for development',
            },
          ]
        : [],
    ),
  );
}
