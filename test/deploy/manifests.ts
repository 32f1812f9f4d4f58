import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { settingsReference } from '../../src/config/load.ts';

/** What the files below `deploy/` say, for the tests that hold them to the product. */

export const KUBERNETES = new URL('../../deploy/kubernetes/', import.meta.url);

export function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** One object of Kubernetes; what the tests ask of one of them in particular is parsed further where it is asked. */
export const resourceSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
export type Resource = z.infer<typeof resourceSchema>;

export function resourcesIn(text: string): readonly Resource[] {
  return parseAllDocuments(text).map((document) => resourceSchema.parse(document.toJS()));
}

/** The one of this kind. */
export function one(resources: readonly Resource[], kind: string): Resource {
  const [found, ...more] = resources.filter((resource) => resource.kind === kind);
  if (found === undefined || more.length > 0) throw new Error(`there is not one ${kind}`);
  return found;
}

export const OVERLAYS: readonly string[] = readdirSync(new URL('overlays/', KUBERNETES));

/** Without the kubectl that understands `labels` of a kustomization, which came with 1.27, there is nothing to run. */
const LEAST_MINOR = 27;

const versionSchema = z.object({ clientVersion: z.object({ major: z.string(), minor: z.string() }) });

export function hasKubectl(): boolean {
  try {
    const text = execFileSync('kubectl', ['version', '--client', '--output=json'], { encoding: 'utf8' });
    const { major, minor } = versionSchema.parse(JSON.parse(text)).clientVersion;
    return major === '1' && Number.parseInt(minor, 10) >= LEAST_MINOR;
  } catch {
    return false;
  }
}

/** As `kubectl apply --kustomize` would send it. */
export function rendered(folder: string): readonly Resource[] {
  const path = new URL(`${folder}/`, KUBERNETES).pathname;
  return resourcesIn(execFileSync('kubectl', ['kustomize', path], { encoding: 'utf8', timeout: 30_000 }));
}

const probeSchema = z.strictObject({
  httpGet: z.strictObject({ path: z.string(), port: z.literal('http') }),
  periodSeconds: z.int(),
  timeoutSeconds: z.int(),
  failureThreshold: z.int(),
});
export type Probe = z.infer<typeof probeSchema>;

const containerSchema = z.strictObject({
  name: z.string(),
  image: z.string(),
  ports: z.array(z.strictObject({ name: z.string(), containerPort: z.int() })),
  envFrom: z.array(z.strictObject({ configMapRef: z.strictObject({ name: z.string() }) })),
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.boolean(),
    readOnlyRootFilesystem: z.boolean(),
    capabilities: z.strictObject({ drop: z.array(z.string()) }),
  }),
  resources: z.strictObject({
    requests: z.record(z.string(), z.string()),
    limits: z.record(z.string(), z.string()),
  }),
  startupProbe: probeSchema,
  livenessProbe: probeSchema,
  readinessProbe: probeSchema,
  volumeMounts: z.array(
    z.strictObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() }),
  ),
});

/** Of a volume, what it is of. */
const volumeSchema = z
  .looseObject({ name: z.string() })
  .transform(({ name, ...source }) => ({ name, source: Object.keys(source), ...source }));

const podSchema = z.strictObject({
  serviceAccountName: z.string(),
  automountServiceAccountToken: z.boolean(),
  enableServiceLinks: z.boolean(),
  terminationGracePeriodSeconds: z.int(),
  securityContext: z.strictObject({
    runAsNonRoot: z.boolean(),
    runAsUser: z.int(),
    runAsGroup: z.int(),
    fsGroup: z.int(),
    fsGroupChangePolicy: z.string(),
    seccompProfile: z.strictObject({ type: z.string() }),
  }),
  topologySpreadConstraints: z.array(z.looseObject({ topologyKey: z.string() })),
  containers: z.tuple([containerSchema]),
  volumes: z.array(volumeSchema),
});
export type Pod = z.infer<typeof podSchema>;

const workloadSchema = z.looseObject({
  spec: z.looseObject({ template: z.looseObject({ spec: podSchema }) }),
});

/** What a Deployment or a StatefulSet makes. */
export function podOf(workload: Resource): Pod {
  return workloadSchema.parse(workload).spec.template.spec;
}

/** `NAME=value` lines; comments and empty lines left out. */
export function variablesIn(text: string): Readonly<Record<string, string>> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** Every variable that is a setting, with its default as text. */
export const SETTINGS: ReadonlyMap<string, string> = new Map(
  settingsReference().map(({ env, fallback }) => [env, fallback]),
);

/** What a stop takes at most beyond the grace (README.md). */
export const BEYOND_GRACE_SECONDS = 5;

/** What whoever stops a delegate with these settings has to wait for it at least. */
export function stopSecondsOf(settings: Readonly<Record<string, string>>): number {
  const grace =
    settings['DELEGATE_SHUTDOWN_GRACE_SECONDS'] ?? SETTINGS.get('DELEGATE_SHUTDOWN_GRACE_SECONDS');
  return Number(grace) + BEYOND_GRACE_SECONDS;
}

export interface ImageFacts {
  readonly user: number;
  readonly port: number;
  readonly stateDir: string;
  /** Between `node` and the program. */
  readonly nodeFlags: readonly string[];
  readonly program: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly lines: readonly string[];
}

/** What the Dockerfile says of the image, for whatever runs it. */
export function imageFacts(): ImageFacts {
  const lines = read('Dockerfile')
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '');
  const after = (instruction: string): string => {
    const found = lines.findLast((line) => line.startsWith(`${instruction} `));
    if (found === undefined) throw new Error(`the Dockerfile has no ${instruction}`);
    return found.slice(instruction.length + 1);
  };
  const settings = Object.fromEntries(
    after('ENV')
      .split(/\s+/)
      .map((pair): [string, string] => {
        const [name = '', value = ''] = pair.split('=');
        return [name, value];
      }),
  );
  const [, ...words] = z
    .array(z.string())
    .min(2)
    .parse(parse(after('ENTRYPOINT')));
  return {
    user: Number(after('USER').split(':')[0]),
    port: Number(after('EXPOSE')),
    stateDir: settings['DELEGATE_STATE_DIR'] ?? '',
    nodeFlags: words.slice(0, -1),
    program: words.at(-1) ?? '',
    settings,
    lines,
  };
}

const UNITS: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

/** `256Mi` of Kubernetes as bytes. */
export function bytesOf(quantity: string): number {
  const [, number = '', unit = ''] = /^(\d+)([KMG]i)$/.exec(quantity) ?? [];
  return Number(number) * (UNITS[unit] ?? Number.NaN);
}
