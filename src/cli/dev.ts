import { z } from 'zod';
import { SEED } from '../dev/fake-servicenow/index.ts';
import { stopSignal } from './signals.ts';
import { hanging, terminalOf, type Terminal } from './report/layout.ts';
import { addressLines, openWorld } from './world.ts';

/** `npm run dev`: the world of the demo, left running until Ctrl+C. */
export async function dev(args: readonly string[]): Promise<void> {
  await using world = await openWorld(args);
  for (const connector of Object.values(world.connectors)) {
    await world.manager.post('/api/v1/connectors', connector, z.unknown());
  }
  const { manager, serviceNow, serviceNowAdmin, adfs, health } = world.addresses;
  const bearer = `-H 'authorization: Bearer ${world.apiToken}'`;
  const { password } = world.connectors;
  const question = {
    ticket: { type: 'change_request', number: SEED.changes.scheduled },
    approvalCriteria: {
      type: 'Expression',
      spec: { expression: 'ticket.state.displayValue == "Implement"' },
    },
  };
  const approval = JSON.stringify({ connector: password.identifier, ...question, retryIntervalMs: 5_000 });
  const move = JSON.stringify({ table: 'change_request', key: SEED.changes.scheduled, state: 'Implement' });
  const { auth: managed } = password.spec;
  // The bare name that stands there is one of the delegate's own configuration.
  const auth = { ...managed, spec: { ...managed.spec, passwordRef: 'env:SNOW_PASSWORD' } };
  const local = JSON.stringify({ connector: { ...password, spec: { ...password.spec, auth } }, ...question });
  const cli = `node ${process.argv[1] ?? ''}`;
  const terminal = terminalOf(process.stdout);
  const lines = [
    'The world runs. Ctrl+C ends it.',
    '',
    ...addressLines(
      [
        ['manager', `${manager} (API description: ${manager}/openapi.json)`],
        ['ServiceNow (fake)', `${serviceNow} (admin plane: ${serviceNowAdmin})`],
        ['AD FS (fake)', adfs],
        ['delegate eu-1', `${health}/readyz`],
        ['API token', world.apiToken],
        [
          'connectors',
          Object.values(world.connectors)
            .map(({ identifier }) => identifier)
            .join(', '),
        ],
      ],
      terminal,
    ),
    ...section('Test a connector, wait for an approval, and let it happen:', terminal, [
      `curl -sX POST ${bearer} '${manager}/api/v1/connectors/dev_password/test?wait=10000'`,
      `curl -sX POST ${bearer} -H 'content-type: application/json' -d '${approval}' ${manager}/api/v1/approvals`,
      `curl -sX POST -H 'content-type: application/json' -d '${move}' ${serviceNowAdmin}/__sim/tickets/move`,
    ]),
    ...section(
      "From another terminal, with the delegate's own settings, how it is doing and what it has to work with:",
      terminal,
      [`. ${world.settingsFile}`, `${cli} status`, `${cli} doctor`],
    ),
    ...section('There, too, the same as above without the manager (docs/local-use.md):', terminal, [
      `export APPROVAL='${local}'`,
      `printf %s "$APPROVAL" | ${cli} validate -`,
      `printf %s "$APPROVAL" | ${cli} check - --wait=600 --interval=10`,
    ]),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  await stopSignal();
  process.stdout.write('\nStopping.\n');
}

/** What is to be copied is never broken, and stands apart. */
function section(title: string, { width }: Terminal, commands: readonly string[]): string[] {
  return ['', ...hanging('', title, width), ...commands.flatMap((command) => ['', command])];
}
