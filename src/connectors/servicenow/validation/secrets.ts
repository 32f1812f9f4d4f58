import { certificateFacts } from '../../../oauth/key-material.ts';
import type { BoundAuth } from '../auth/index.ts';
import type { Authentication, ResolvedSecrets } from '../auth/method.ts';
import { findSecrets, type ServiceNowRuntime } from '../runtime.ts';
import type { ConnectorSettings } from '../schema.ts';
import type { CheckList } from './check-list.ts';

/** The secrets, if all of them are there. Every reference that leads nowhere is an error of its own. */
export async function checkSecrets(
  connector: ConnectorSettings,
  { deps }: ServiceNowRuntime,
  list: CheckList,
): Promise<ResolvedSecrets | undefined> {
  return await list.run('secrets', 'Secrets resolve', async (context) => {
    const { secrets, failures } = await findSecrets(connector, deps, context);
    if (failures.length > 0) return { value: undefined, failures };
    return { value: secrets, detail: `${secrets.size} of ${secrets.size}` };
  });
}

/** The authentication again, if its key can be used or it has none. */
export async function checkKeyMaterial(
  method: BoundAuth,
  authentication: Authentication | undefined,
  list: CheckList,
): Promise<Authentication | undefined> {
  if (!method.signsWithKey) return authentication;
  const title = 'Key and certificate fit';
  const read = authentication?.keyMaterial;
  if (read === undefined) {
    list.skip('key-material', title);
    return undefined;
  }
  return await list.run('key-material', title, () => {
    const { subject, notAfter } = certificateFacts(read().leaf);
    const detail = `${subject}, valid until ${notAfter.slice(0, 10)}`;
    return { value: authentication, detail, warnings: authentication?.warnings() ?? [] };
  });
}
