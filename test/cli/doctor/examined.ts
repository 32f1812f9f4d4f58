import { pino } from 'pino';
import { examine, DOCTOR_COMMAND } from '../../../src/cli/doctor/examine.ts';
import type { CheckResult } from '../../../src/cli/doctor/finding.ts';
import { loadIdentity, saveEnrolment } from '../../../src/delegate/state/identity.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import { systemClock } from '../../../src/kit/time.ts';
import type { Manager } from '../../../src/manager/manager.ts';
import { enrolResponseSchema } from '../../../src/protocol/enrolment.ts';
import { ENROLL_PATH } from '../../../src/protocol/limits.ts';

export const silent = pino({ level: 'silent' });

/** Above what two busy cores take for all that is in order; a test of what hangs has less. */
const WITHIN_MS = 8_000;

/** Every result of an examination by its id; one that is missing is a mistake of the test. */
export interface Examined {
  readonly results: readonly CheckResult[];
  of(id: string): CheckResult;
}

/** The doctor in this process, on the settings of an environment. */
export async function examined(
  environment: Readonly<Record<string, string>>,
  { args = [], withinMs = WITHIN_MS }: { args?: readonly string[]; withinMs?: number } = {},
): Promise<Examined> {
  const results = await examine({
    sources: { args, environment },
    command: DOCTOR_COMMAND,
    version: '26.11.90100',
    redactor: new Redactor(),
    clock: systemClock,
    log: silent,
    signal: new AbortController().signal,
    long: false,
    withinMs,
  });
  return {
    results,
    of(id) {
      const found = results.find((one) => one.id === id);
      if (found === undefined)
        throw new Error(`no check ${id} among ${results.map((one) => one.id).join(', ')}`);
      return found;
    },
  };
}

/** What a delegate of this state folder would have after its first start. Resolves to its id. */
export async function enrolInto(
  stateDir: string,
  manager: Manager,
  managerUrl = manager.url,
): Promise<string> {
  const identity = await loadIdentity(stateDir, () => {}, silent);
  const { instanceId, publicJwk: publicKey } = identity;
  const answer = await fetch(managerUrl + ENROLL_PATH, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${manager.createEnrolmentToken().value.reveal()}`,
      'content-type': 'application/json',
      connection: 'close',
    },
    body: JSON.stringify({ name: 'eu-1', instanceId, publicKey, version: '26.11.90100' }),
  });
  const response = enrolResponseSchema.parse(await answer.json());
  await saveEnrolment(stateDir, identity, managerUrl, response, silent);
  return response.delegateId;
}
