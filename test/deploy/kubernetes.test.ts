import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parse } from 'yaml';
import { z } from 'zod';
import { packageVersion } from '../../src/config/version.ts';
import { readPolicy } from '../../src/policy/read-policy.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import {
  bytesOf,
  hasKubectl,
  imageFacts,
  one,
  OVERLAYS,
  podOf,
  read,
  rendered,
  resourcesIn,
  SETTINGS,
  stopSecondsOf,
  variablesIn,
  type Pod,
  type Probe,
  type Resource,
} from './manifests.ts';
import { seriesIn, seriesNames } from './prometheus.ts';

const BASE = 'deploy/kubernetes/base';
const image = imageFacts();
const settings = variablesIn(read(`${BASE}/settings.env`));
const basePod = podOf(one(resourcesIn(read(`${BASE}/deployment.yaml`)), 'Deployment'));

/** By which kind the types of Kubernetes know what stands in the manifests. */
const KNOWN = {
  Namespace: 'v1',
  Service: 'v1',
  ServiceAccount: 'v1',
  ConfigMap: 'v1',
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  PodDisruptionBudget: 'policy/v1',
  NetworkPolicy: 'networking.k8s.io/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2',
} as const;

/** What the Prometheus operator reads of it, by its API reference. */
const serviceMonitorSchema = z.strictObject({
  apiVersion: z.literal('monitoring.coreos.com/v1'),
  kind: z.literal('ServiceMonitor'),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.strictObject({
    selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }),
    endpoints: z.array(
      z.strictObject({
        port: z.string(),
        path: z.literal('/metrics'),
        interval: z.string(),
        scrapeTimeout: z.string(),
      }),
    ),
  }),
});

describe('the manifests for Kubernetes', function () {
  this.timeout(60_000);
  const folder = tempDirs();
  leavesNothingOpen();

  describe('of the base', () => {
    it('give a delegate the time that its stop takes', () => {
      expect(basePod.terminationGracePeriodSeconds).to.be.at.least(stopSecondsOf(settings));
    });

    it('set what are settings, to paths that are mounted', () => {
      for (const name of Object.keys(settings)) expect(SETTINGS.has(name), name).to.equal(true);
      const mounted = basePod.containers[0].volumeMounts.map(({ mountPath }) => mountPath);
      for (const path of Object.values(settings).filter((value) => value.startsWith('/'))) {
        expect(
          mounted.some((mount) => `${mount}/`.startsWith(`${path}/`) || path.startsWith(`${mount}/`)),
          path,
        ).to.equal(true);
      }
    });

    it('agree with the image on user, port and state folder', () => {
      const [container] = basePod.containers;
      expect(basePod.securityContext).to.include({ runAsUser: image.user, fsGroup: image.user });
      expect(container.ports).to.deep.equal([{ name: 'http', containerPort: image.port }]);
      const writable = container.volumeMounts.filter(({ readOnly }) => readOnly !== true);
      expect(writable.map(({ mountPath }) => mountPath)).to.deep.equal([image.stateDir]);
    });

    it('surge before they drain, so that there is never one delegate less', () => {
      const deployment = one(resourcesIn(read(`${BASE}/deployment.yaml`)), 'Deployment');
      expect(deployment['spec']).to.deep.include({
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      });
    });

    it('have patience with a start, less with one that is not ready, and most before a restart', () => {
      const [{ startupProbe, livenessProbe, readinessProbe }] = basePod.containers;
      const patience = ({ periodSeconds, failureThreshold }: Probe): number =>
        periodSeconds * failureThreshold;
      for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
        expect(probe.timeoutSeconds).to.be.at.most(probe.periodSeconds);
      }
      expect(startupProbe.httpGet.path).to.equal('/livez');
      expect(livenessProbe.httpGet.path).to.equal('/livez');
      expect(readinessProbe.httpGet.path).to.equal('/readyz');
      // A start may wait for the lock of the state folder for 7 s, and it answers while it waits.
      expect(patience(startupProbe)).to.be.above(7);
      expect(patience(readinessProbe)).to.be.below(patience(livenessProbe));
    });

    it('have room on the disk for the most that the state folder may hold, as docs/state-folder.md counts it', () => {
      const waiting =
        Number(SETTINGS.get('DELEGATE_OUTBOX_MAX_BYTES')) +
        Number(SETTINGS.get('DELEGATE_CAPACITY')) * 2 ** 20;
      const most = 5 * waiting + Number(SETTINGS.get('DELEGATE_AUDIT_MAX_BYTES'));
      const limit = bytesOf(z.object({ state: z.string() }).parse(sizeLimits(basePod)).state);
      expect(limit).to.be.at.least(most);
      const [{ resources }] = basePod.containers;
      expect(bytesOf(resources.limits['ephemeral-storage'] ?? '')).to.be.at.least(limit);
    });

    it('name the image of this version where an overlay names one', () => {
      const tags = read('deploy/kubernetes/overlays/minimal/kustomization.yaml').match(/newTag: \S+/g);
      expect(tags).to.deep.equal([`newTag: ${packageVersion()}`]);
    });

    it('have a policy without a mistake', () => {
      for (const path of [`${BASE}/policy.yaml`, 'deploy/kubernetes/overlays/minimal/policy.yaml']) {
        expect(readPolicy(Buffer.from(read(path))), path).to.include({ ok: true });
      }
    });
  });

  it('scale by metrics that a delegate has', async () => {
    const rules = z
      .array(
        z.looseObject({
          seriesQuery: z.string(),
          metricsQuery: z.string(),
          name: z.object({ as: z.string() }),
        }),
      )
      .parse(parse(read('deploy/kubernetes/components/autoscaling/adapter-rule.yaml')));
    const names = await seriesNames();
    for (const { seriesQuery, metricsQuery } of rules) {
      const used = [...seriesIn(seriesQuery), ...seriesIn(metricsQuery)];
      expect(used).to.include('servicenow_delegate_capacity');
      for (const series of used) expect(names.has(series), series).to.equal(true);
    }
    const scaler = read('deploy/kubernetes/components/autoscaling/horizontal-pod-autoscaler.yaml');
    for (const { name } of rules) expect(scaler).to.contain(`name: ${name.as} `);
  });

  describe('as kustomize renders them', () => {
    before(function () {
      // Skipped since 2026-11-23 where there is no kubectl of 1.27 or later; Debian's is older.
      if (!hasKubectl()) this.skip();
    });

    for (const name of ['base', ...OVERLAYS.map((overlay) => `overlays/${overlay}`)]) {
      describe(name, () => {
        let resources: readonly Resource[];
        before(() => {
          resources = rendered(name);
        });

        it('have no field and no value that Kubernetes does not know', async () => {
          const monitors = resources.filter(({ kind }) => kind === 'ServiceMonitor');
          for (const monitor of monitors) serviceMonitorSchema.parse(monitor);
          await assertTyped(
            await folder(),
            resources.filter((resource) => !monitors.includes(resource)),
          );
        });

        it('keep to the restricted profile of pod security', () => {
          const { securityContext, automountServiceAccountToken, volumes, containers } = podIn(resources);
          // https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
          const { runAsNonRoot, runAsUser, seccompProfile } = securityContext;
          expect({ runAsNonRoot, seccompProfile }).to.deep.equal({
            runAsNonRoot: true,
            seccompProfile: { type: 'RuntimeDefault' },
          });
          expect(runAsUser).to.be.above(0);
          expect(containers[0].securityContext).to.deep.equal({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          const allowed = [
            'configMap',
            'csi',
            'downwardAPI',
            'emptyDir',
            'ephemeral',
            'persistentVolumeClaim',
          ];
          for (const { name: volume, source } of volumes) {
            expect([...allowed, 'projected', 'secret'], volume).to.include.members(source);
          }
          expect(automountServiceAccountToken).to.equal(false);
        });

        it('mount what they have, and select the pods that they make', () => {
          const { volumes, containers } = podIn(resources);
          const claims = z
            .looseObject({
              volumeClaimTemplates: z.array(z.looseObject({ metadata: z.object({ name: z.string() }) })),
            })
            .partial()
            .parse(workloadIn(resources)['spec']).volumeClaimTemplates;
          const names = [
            ...volumes.map((volume) => volume.name),
            ...(claims ?? []).map(({ metadata }) => metadata.name),
          ];
          expect(containers[0].volumeMounts.map((mount) => mount.name)).to.have.members(names);
          const text = JSON.stringify(resources.filter(({ kind }) => SELECTING.includes(kind)));
          const selections = text.match(
            /"(?:matchLabels|selector|podSelector)":\{"app\.kubernetes\.io\/name":"servicenow-delegate"\}/g,
          );
          expect(selections?.length).to.equal(
            resources.filter(({ kind }) => SELECTING.includes(kind)).length,
          );
        });

        it('set what are settings, and give a stop its time', () => {
          const maps = resources.filter(({ kind }) => kind === 'ConfigMap');
          const data = z.looseObject({ data: z.record(z.string(), z.string()) });
          const [{ envFrom }] = podIn(resources).containers;
          const map = maps.find(({ metadata }) => metadata.name === envFrom[0]?.configMapRef.name);
          const variables = data.parse(map).data;
          for (const variable of Object.keys(variables))
            expect(SETTINGS.has(variable), variable).to.equal(true);
          expect(podIn(resources).terminationGracePeriodSeconds).to.be.at.least(stopSecondsOf(variables));
        });
      });
    }

    it('durable gives each delegate a claim of its own, which outlives it', () => {
      const durable = one(rendered('overlays/durable'), 'StatefulSet');
      const text = JSON.stringify(durable);
      expect(text).to.contain('"accessModes":["ReadWriteOncePod"]');
      expect(text).to.contain('"whenDeleted":"Retain","whenScaled":"Retain"');
      expect(podOf(durable).volumes.map(({ name }) => name)).to.not.include('state');
      expect(podOf(durable).volumes.flatMap(({ source }) => source)).to.not.include('emptyDir');
    });

    it('behind a proxy nothing else can be reached but names', () => {
      const policy = JSON.stringify(one(rendered('overlays/proxy-and-private-ca'), 'NetworkPolicy'));
      expect(policy).to.contain('"port":3128').and.not.contain('"port":443').and.not.contain('0.0.0.0/0');
    });

    it('autoscaling leaves the number of delegates to the autoscaler', () => {
      const resources = rendered('overlays/autoscaling');
      expect(one(resources, 'Deployment')['spec']).to.not.have.property('replicas');
      expect(one(resources, 'HorizontalPodAutoscaler')['spec']).to.have.nested.property(
        'scaleTargetRef.name',
        one(resources, 'Deployment').metadata.name,
      );
    });
  });
});

/** Each has one selector of the delegate's pods. */
const SELECTING: readonly string[] = ['Service', 'PodDisruptionBudget', 'NetworkPolicy', 'ServiceMonitor'];

function workloadIn(resources: readonly Resource[]): Resource {
  return one(
    resources.map((resource) =>
      resource.kind === 'StatefulSet' ? { ...resource, kind: 'Deployment' } : resource,
    ),
    'Deployment',
  );
}

function podIn(resources: readonly Resource[]): Pod {
  return podOf(workloadIn(resources));
}

function sizeLimits({ volumes }: Pod): Readonly<Record<string, unknown>> {
  const sized = z.looseObject({ emptyDir: z.object({ sizeLimit: z.string() }) });
  return Object.fromEntries(
    volumes.flatMap((volume): [string, string][] => {
      const { success, data } = sized.safeParse(volume);
      return success ? [[volume.name, data.emptyDir.sizeLimit]] : [];
    }),
  );
}

/**
 * By the validators that are made of the OpenAPI schemas of Kubernetes, which know the value of each field; and, written
 * as literals, by the types that are made of the same schemas, which know of each field whether there is one.
 */
async function assertTyped(into: string, resources: readonly Resource[]): Promise<void> {
  const lines: string[] = [];
  for (const resource of resources) {
    const { kind, apiVersion } = resource;
    expect(KNOWN).to.have.property(kind, apiVersion);
    const module: Readonly<Record<string, unknown>> = await import(`kubernetes-models/${apiVersion}`);
    const Model = z
      .custom<new (data: unknown) => { validate(): void }>((value) => typeof value === 'function')
      .parse(module[kind]);
    new Model(resource).validate();
    lines.push(
      `import type { I${kind} as T${lines.length} } from 'kubernetes-models/${apiVersion}';`,
      `export const r${lines.length}: T${lines.length} = ${JSON.stringify(resource)};`,
    );
  }
  await writeFile(join(into, 'manifests.ts'), lines.join('\n'));
  const packages = fileURLToPath(new URL('../../node_modules/', import.meta.url));
  const compilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: 'esnext',
    moduleResolution: 'bundler',
    types: [],
    paths: { 'kubernetes-models/*': [join(packages, 'kubernetes-models/*')] },
  };
  await writeFile(join(into, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['manifests.ts'] }));
  await promisify(execFile)(join(packages, '.bin/tsc'), ['--project', into], { timeout: 30_000 }).catch(
    (failure: { stdout?: string }) => {
      throw new Error(failure.stdout ?? 'tsc could not be run', { cause: failure });
    },
  );
}
