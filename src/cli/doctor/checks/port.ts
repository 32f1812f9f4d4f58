import { once } from 'node:events';
import { createServer } from 'node:net';
import { z } from 'zod';
import type { Configuration } from '../../../config/load.ts';
import { systemCode } from '../../../kit/errors.ts';
import { fail, pass, type Finding } from '../finding.ts';
import { askHealth } from '../health-client.ts';
import type { Patient } from '../patient.ts';

const ACTION =
  'Set DELEGATE_HTTP_PORT to a free port (0 takes any), or DELEGATE_HTTP_HOST to an address of this machine.';

const liveSchema = z.looseObject({ live: z.boolean() });

/**
 * Whether the health endpoints can listen where they are told to, or do already. To ask the system for the port is the
 * one way to know; it is given back at once, and is asked for only where nobody listens.
 */
export async function checkPort(patient: Patient, signal: AbortSignal): Promise<Finding> {
  const { configuration } = patient;
  if (configuration.httpPort === 0) return pass('The health endpoints take any free port.');
  const place = placeOf(configuration);
  const live = await askHealth(configuration, '/livez', signal);
  if (live.is === 'answered') {
    const { is } = await patient.lock();
    const isDelegate = liveSchema.safeParse(live.json).success;
    if (isDelegate && is === 'alive') return pass(`The delegate that runs answers on ${place}.`);
    const who = isDelegate ? 'another delegate' : 'another program';
    return fail(`On ${place}, where the health endpoints are to listen, ${who} answers.`, ACTION);
  }
  const complaint = await whyNotListening(configuration);
  if (complaint === undefined) return pass(`${place} is free for the health endpoints.`);
  return fail(`The health endpoints cannot listen on ${place} (${complaint}).`, ACTION);
}

async function whyNotListening({ httpHost, httpPort }: Configuration): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen(httpPort, httpHost);
    await once(server, 'listening');
    return undefined;
  } catch (thrown) {
    return systemCode(thrown) ?? 'unknown';
  } finally {
    server.close();
  }
}

function placeOf({ httpHost, httpPort }: Configuration): string {
  return `${httpHost.includes(':') ? `[${httpHost}]` : httpHost}:${httpPort}`;
}
