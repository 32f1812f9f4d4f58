import { z } from 'zod';
import { SEED } from '../dev/fake-servicenow/index.ts';
import { stopSignal } from './signals.ts';
import { openWorld } from './world.ts';

/** `npm run dev`: the world of the demo, left running until Ctrl+C. */
export async function dev(args: readonly string[]): Promise<void> {
  await using world = await openWorld(args);
  for (const connector of Object.values(world.connectors)) {
    await world.manager.post('/api/v1/connectors', connector, z.unknown());
  }
  const { manager, serviceNow, serviceNowAdmin, adfs, health } = world.addresses;
  const auth = `-H 'authorization: Bearer ${world.apiToken}'`;
  const approval = JSON.stringify({
    connector: world.connectors.password.identifier,
    ticket: { type: 'change_request', number: SEED.changes.scheduled },
    approvalCriteria: {
      type: 'Expression',
      spec: { expression: 'ticket.state.displayValue == "Implement"' },
    },
    retryIntervalMs: 5_000,
  });
  const move = JSON.stringify({ table: 'change_request', key: SEED.changes.scheduled, state: 'Implement' });
  process.stdout.write(`The world runs. Ctrl+C ends it.

   manager            ${manager}  (API description: ${manager}/openapi.json)
   ServiceNow (fake)  ${serviceNow}  (admin plane: ${serviceNowAdmin})
   AD FS (fake)       ${adfs}
   delegate eu-1      ${health}/readyz
   API token          ${world.apiToken}
   connectors         ${Object.values(world.connectors)
     .map((connector) => connector.identifier)
     .join(', ')}

Test a connector, wait for an approval, and let it happen:

curl -sX POST ${auth} '${manager}/api/v1/connectors/dev_password/test?wait=10000'

curl -sX POST ${auth} -H 'content-type: application/json' -d '${approval}' ${manager}/api/v1/approvals

curl -sX POST -H 'content-type: application/json' -d '${move}' ${serviceNowAdmin}/__sim/tickets/move
`);
  await stopSignal();
  process.stdout.write('\nStopping.\n');
}
