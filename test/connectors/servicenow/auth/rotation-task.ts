import { join } from 'node:path';
import { z } from 'zod';
import type { ConnectorDeps, KeptSecretsPort, SecretsPort } from '../../../../src/connectors/connector.ts';
import { servicenow } from '../../../../src/connectors/servicenow/index.ts';
import { Secret } from '../../../../src/kit/secret.ts';
import { createSecrets } from '../../../../src/secrets/index.ts';
import { createKeptSecrets } from '../../../../src/secrets/kept-secrets.ts';
import { connectorTo, QUESTION, surroundings, taskContext } from '../../../support/servicenow.ts';

/** Steps after the answer of a token server that has replaced the refresh token. */
const FATAL_STEPS = ['replaced', 'kept'] as const;

export const orderSchema = z.object({
  /** Holds `secrets/` and `kept/`. */
  home: z.string(),
  /** 32 bytes in base64. */
  key: z.string(),
  writable: z.array(z.string()),
  instanceUrl: z.string(),
  auth: z.object({ type: z.string(), spec: z.record(z.string(), z.unknown()) }),
  /** Killed by its own hand right after this step; never without. */
  dieAfter: z.enum(FATAL_STEPS).optional(),
});
export type Order = z.infer<typeof orderSchema>;

/** One task of a delegate with its real stores. */
export async function runTask(order: Order): Promise<unknown> {
  const { home, key, writable, instanceUrl, auth, dieAfter } = order;
  const reached = (step: (typeof FATAL_STEPS)[number]): void => {
    if (step === dieAfter) process.kill(process.pid, 'SIGKILL');
  };
  const log = { info: () => {}, warn: () => {} };
  const protect = (value: string): Secret => new Secret(value);
  const real = createSecrets({
    environment: {},
    directory: join(home, 'secrets'),
    names: {},
    writable,
    admit: () => Promise.resolve(),
    protect,
    log,
  });
  const secrets: SecretsPort = {
    resolve: (reference, use) => real.resolve(reference, use),
    async replace(reference, value) {
      const done = await real.replace(reference, value);
      if (done) reached('replaced');
      return done;
    },
  };
  const realKept = createKeptSecrets({
    folder: join(home, 'kept'),
    key: () => Promise.resolve(Buffer.from(key, 'base64')),
    protect,
    log,
  });
  const keptIn: KeptSecretsPort = {
    read: (name) => realKept.read(name),
    keep: (name, secret) => realKept.keep(name, secret).then(() => reached('kept')),
    forget: (name) => realKept.forget(name),
  };
  const around = surroundings({ keptIn });
  const deps: ConnectorDeps = { ...around.deps, secrets };
  const connector = servicenow(deps);
  try {
    const check = connector.tasks.find(({ name }) => name === 'servicenow.approval.check');
    return await check
      ?.prepare({ connector: connectorTo(instanceUrl, auth), ...QUESTION })
      .run(taskContext());
  } finally {
    await connector[Symbol.asyncDispose]?.();
    await around.close();
  }
}
