import { pino } from 'pino';
import { Credentials, type CredentialsOptions } from '../../../src/delegate/connection/credentials.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { plainSend } from '../plain-send.ts';

/** Of a delegate without anything else; it has no enrolment token. */
export function credentialsIn(
  stateDir: string,
  managerUrl: string,
  changes: Partial<CredentialsOptions> = {},
): Credentials {
  return new Credentials({
    managerUrl,
    stateDir,
    name: 'eu-1',
    version: '26.11.90100',
    enrolmentToken: undefined,
    send: plainSend,
    redactor: new Redactor(),
    clock: systemClock,
    log: pino({ level: 'silent' }),
    ...changes,
  });
}
