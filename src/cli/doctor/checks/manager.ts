import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { z } from 'zod';
import { labelOf } from '../../../config/leaves.ts';
import { keyOfFile, signConnectToken } from '../../../delegate/state/identity.ts';
import type { IdentityFile } from '../../../delegate/state/identity-file.ts';
import { DelegateError, systemCode } from '../../../kit/errors.ts';
import { untilAborted } from '../../../kit/flow.ts';
import { sleep } from '../../../kit/time.ts';
import { CONNECT_PATH } from '../../../protocol/limits.ts';
import { fail, failure, pass, skip, skipBecauseOf, warn, type Finding } from '../finding.ts';
import { askHealth } from '../health-client.ts';
import type { Patient } from '../patient.ts';
import type { Answer } from '../visit.ts';
import { checkThatSays } from './network.ts';

const DAY_MS = 86_400_000;

/**
 * Whether an upgrade gets through to a manager. It is a real one, by a visitor without a key: a manager answers that
 * with 401 (PROTOCOL.md, section 2.3), and what else answers stands in its way.
 */
export async function checkManager(patient: Patient): Promise<Finding> {
  const reached = await patient.reached();
  if (!reached.ok) {
    const says = checkThatSays(reached.error);
    return says === 'manager' ? failure(reached.error) : skipBecauseOf(says, 'The upgrade to a WebSocket');
  }
  try {
    return judgeVisit(await patient.visited(), patient.managerUrl, reached.address);
  } catch (thrown) {
    if (thrown instanceof DelegateError && thrown.code === 'manager-unreachable') {
      return failure(thrown, {
        action:
          'The way stands and the upgrade does not get through: let WebSocket upgrades pass in proxies and load balancers.',
      });
    }
    throw thrown;
  }
}

function judgeVisit(answer: Answer, { host }: URL, address: string): Finding {
  if (answer.is === 'opened') {
    return fail(
      `${host} opens a WebSocket to somebody without a key: it is no manager, or not a safe one.`,
      'Check DELEGATE_MANAGER_URL with the owner of the manager.',
    );
  }
  const { refusal } = answer;
  const { status } = refusal;
  if (refusal.code === 'not-authenticated') {
    return pass(`A manager answers the upgrade at ${host} (${address}): it wants a key, as it should.`);
  }
  if (refusal.code === 'upgrade-refused' && status !== undefined && status >= 500) {
    return failure(refusal, {
      action: `HTTP ${status} comes from the manager or from a load balancer before it: look whether the manager runs, and whether the balancer lets WebSocket upgrades pass.`,
    });
  }
  if (refusal.code === 'upgrade-refused') {
    return failure(refusal, {
      action:
        'Something else than a manager answers there: check DELEGATE_MANAGER_URL with its path, and proxies that answer in its place.',
    });
  }
  return failure(refusal);
}

/** Beyond it tokens are dated in a way that token servers and ServiceNow are right to refuse. */
const BAD_SKEW_MS = 300_000;
const ODD_SKEW_MS = 30_000;
/** `Date` has whole seconds. */
const DATE_STEP_MS = 1_000;

/** This machine's clock beside the manager's. */
export async function checkClock(patient: Patient): Promise<Finding> {
  const reached = await patient.reached();
  const answer = reached.ok ? await patient.visited().catch(() => undefined) : undefined;
  if (answer === undefined) return skipBecauseOf('manager', "This machine's clock");
  const served = answer.is === 'refused' ? answer.refusal.managerDateMs : undefined;
  if (answer.is === 'opened' || served === undefined) {
    return skip(
      'The manager did not say what time it is.',
      'Look at the clock of this machine yourself: NTP should keep it.',
    );
  }
  const { sentAt, receivedAt } = answer;
  // Zero where the two may agree: the manager read its clock somewhere between sending and receiving.
  const aheadMs = Math.max(0, sentAt - (served + DATE_STEP_MS)) + Math.min(0, receivedAt - served);
  const seconds = Math.round(Math.abs(aheadMs) / 1_000);
  if (Math.abs(aheadMs) < ODD_SKEW_MS)
    return pass(`This machine's clock and the manager's agree (${seconds} s apart).`);
  const summary = `This machine's clock is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the manager's.`;
  const action = 'Have one of them set right (NTP): tokens and signatures are judged by their time.';
  return Math.abs(aheadMs) > BAD_SKEW_MS ? fail(summary, action) : warn(summary, action);
}

const readySchema = z.looseObject({ ready: z.boolean(), phase: z.string(), reason: z.string().optional() });

/**
 * Whether this delegate is known to its manager. No enrolment is tried: a token may be good for one alone. A delegate
 * that runs is asked itself; for one that does not, a connection is opened with its key and cut before `hello`, which
 * begins no session.
 */
export async function checkEnrolment(patient: Patient, signal: AbortSignal): Promise<Finding> {
  const file = await patient.identity();
  const { managerUrl } = patient.configuration;
  const enrolment = file?.enrolment?.managerUrl === managerUrl ? file.enrolment : undefined;
  if (file === undefined || enrolment === undefined) return beforeEnrolment(patient, file);
  const known = `Enrolled as ${enrolment.delegateId}${keyAge(file, patient.options.clock.now())}`;
  if ((await patient.lock()).is === 'alive') return await askTheOneThatRuns(patient, known, signal);
  const reached = await patient.reached();
  if (!reached.ok) {
    return warn(
      `${known}; whether the manager still knows it could not be asked.`,
      `Mend what "${checkThatSays(reached.error)}" says first.`,
    );
  }
  const token = await signConnectToken(await keyOfFile(file), enrolment, patient.options.clock.now());
  patient.options.redactor.register(token, { issued: true, origins: [patient.managerUrl.origin] });
  const answer = await patient.visit(token);
  if (answer.is === 'opened') return pass(`${known}; the manager accepts its key.`);
  return failure(answer.refusal, { details: [`${known}.`] });
}

function beforeEnrolment(patient: Patient, file: IdentityFile | undefined): Finding {
  const { managerUrl, enrolmentTokenFile } = patient.configuration;
  const elsewhere = file?.enrolment?.managerUrl;
  const state =
    elsewhere === undefined ? 'Not enrolled yet' : `Enrolled with ${elsewhere}, and not with ${managerUrl}`;
  const isGiven = patient.options.enrolmentToken !== undefined;
  if (isGiven) {
    const where =
      enrolmentTokenFile === undefined
        ? 'The enrolment token is given'
        : `The enrolment token is in ${enrolmentTokenFile}`;
    return pass(`${state}. ${where}; it was not used, and the next start uses it.`);
  }
  const hint =
    enrolmentTokenFile !== undefined && !existsSync(enrolmentTokenFile)
      ? `There is no file ${enrolmentTokenFile}: put the token there that the manager gave.`
      : `Get an enrolment token from the manager, and give it in a file by ${labelOf('enrolmentTokenFile')}.`;
  return { ...fail(`${state}, and there is no enrolment token.`, hint), code: 'enrolment-token-missing' };
}

async function askTheOneThatRuns(patient: Patient, known: string, signal: AbortSignal): Promise<Finding> {
  const answer = await askHealth(patient.configuration, '/readyz', signal);
  const ready = answer.is === 'answered' ? readySchema.safeParse(answer.json) : undefined;
  if (ready?.success !== true) {
    const why = answer.is === 'silent' ? answer.why : `HTTP ${answer.status}`;
    return pass(`${known}; a delegate runs, and its health endpoint could not be asked (${why}).`);
  }
  const { ready: isReady, phase, reason } = ready.data;
  if (isReady) return pass(`${known}; the delegate that runs is connected and ready.`);
  return warn(
    `${known}; the delegate that runs is not ready: ${phase}${reason === undefined ? '' : `, ${reason}`}.`,
    'See the other checks and its log; it connects by itself when the way is open.',
  );
}

function keyAge({ keySince }: IdentityFile, nowMs: number): string {
  if (keySince === undefined) return '';
  const days = Math.max(0, Math.floor((nowMs - Date.parse(keySince)) / DAY_MS));
  return `, with a key of ${days} ${days === 1 ? 'day' : 'days'}`;
}

/** A quiet session speaks several times as often. */
export const IDLE_HOLD_MS = 60_000;

/**
 * Whether a connection that says nothing for a minute still carries bytes: firewalls and load balancers forget or cut
 * such ones. A session is never quiet for so long, but for one whose machine sleeps; a way that cuts in less than its
 * heartbeats makes it come and go.
 *
 * No session can be held for that without a `hello`. So it is a connection on the same way, TLS included, over which a
 * request is sent after the minute; any answer will do. A server may not wait so long for a request: what it says when
 * it gives up (408) has come over the same connection at rest.
 */
export async function checkIdle(
  patient: Patient,
  signal: AbortSignal,
  holdMs = IDLE_HOLD_MS,
): Promise<Finding> {
  const { clock } = patient.options;
  const reached = await patient.reached();
  if (!reached.ok) return skipBecauseOf(checkThatSays(reached.error), 'A connection at rest');
  const { managerUrl, dialer } = patient;
  const { socket } = await dialer.open({ url: managerUrl, guardAddress: () => {}, signal });
  const startedMs = clock.monotonic();
  const seconds = (): number => Math.round((clock.monotonic() - startedMs) / 1_000);
  const over = new AbortController();
  try {
    const ended = endOf(socket);
    await Promise.race([ended, sleep(clock, holdMs, AbortSignal.any([signal, over.signal]))]);
    const early = socket.destroyed || socket.readableEnded || socket.readableLength > 0;
    if (!early) socket.write(requestFor(managerUrl));
    const how = await untilAborted(ended, signal);
    if (how === 'answered' && early) {
      return pass(
        `The server ended a connection at rest itself after ${seconds()} s, and its word for it came through.`,
      );
    }
    if (how === 'answered') return pass(`A connection at rest carried an answer after ${seconds()} s.`);
    if (early) {
      return warn(
        `A connection at rest was closed after ${seconds()} s, by the server or by something between.`,
        'Set idle timeouts of proxies, load balancers and firewalls on the way to more than a minute.',
      );
    }
    return fail(
      `A connection was dead after ${seconds()} s at rest, and nobody had said so (${how}).`,
      'Something between forgets connections at rest: set its idle timeout to more than a minute.',
    );
  } finally {
    over.abort();
    socket.destroy();
  }
}

/** `answered` at the first byte, or the code of what ended the connection without one. */
async function endOf(socket: Socket): Promise<string> {
  try {
    const closed = new AbortController();
    const { signal } = closed;
    const first = await Promise.race([
      once(socket, 'readable', { signal }).then(() => (socket.readableLength > 0 ? 'answered' : 'closed')),
      once(socket, 'close', { signal }).then(() => 'closed'),
    ]);
    closed.abort();
    return first;
  } catch (thrown) {
    return systemCode(thrown) ?? 'closed';
  }
}

function requestFor({ host, pathname }: URL): string {
  const path = `${pathname.replace(/\/+$/, '')}${CONNECT_PATH}`;
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
}
