import type { DelegateError, WireError } from '../../../kit/errors.ts';
import type { HttpSend } from '../../../kit/http-exchange.ts';
import type { Clock } from '../../../kit/time.ts';
import type { CheckId, CheckList } from './check-list.ts';
import { validationError } from './errors.ts';
import type { Suspicion } from './summary.ts';

const TITLE = 'Clocks agree';

/** A clock that is further off than this is worth a warning: tokens are judged by it. */
const MAX_SKEW_MS = 30_000;
/** `Date` has whole seconds. */
const DATE_STEP_MS = 1_000;

/** What time it was elsewhere, by the origins that answered. */
export interface ClockWitness {
  /** Performs each exchange as before, and reads the time off its answer. */
  readonly send: HttpSend;
  /** How far this machine's clock is ahead of that server's, milliseconds; undefined if its answers say nothing. */
  aheadOf(origin: string): number | undefined;
}

/**
 * Any answer will do, one that refuses included: a clock that is wrong is why tokens are refused. It looks at each
 * exchange and not at a task's, because what lies between them (queues, retries) would blur the time.
 */
export function witnessClocks(send: HttpSend, clock: Clock): ClockWitness {
  const aheadMs = new Map<string, number>();
  return {
    async send(request) {
      const sentAt = clock.now();
      const response = await send(request);
      const served = Date.parse(response.headers['date'] ?? '');
      if (!Number.isNaN(served)) aheadMs.set(request.url.origin, skewOf(sentAt, served, clock.now()));
      return response;
    },
    aheadOf: (origin) => aheadMs.get(origin),
  };
}

/** Zero where the two may agree: the server's time was read somewhere between sending and receiving. */
function skewOf(sentAt: number, served: number, receivedAt: number): number {
  return Math.max(0, sentAt - (served + DATE_STEP_MS)) + Math.min(0, receivedAt - served);
}

/** A server as texts call it. */
export interface TimedServer {
  readonly name: 'ServiceNow' | 'the token server';
  readonly origin: string;
}

/** Compares this machine's clock with those of the servers that have answered. */
export async function checkClock(
  servers: readonly TimedServer[],
  witness: ClockWitness,
  list: CheckList,
): Promise<void> {
  const skews = servers.flatMap(({ name, origin }) => {
    const aheadMs = witness.aheadOf(origin);
    return aheadMs === undefined ? [] : [{ name, aheadMs }];
  });
  if (skews.length === 0) {
    list.skip('clock', TITLE);
    return;
  }
  await list.run('clock', TITLE, () => ({
    value: undefined,
    detail: skews.map((skew) => describe(skew, skews.length > 1)).join('; '),
    warnings: skews.filter(({ aheadMs }) => isSkewed(aheadMs)).map(clockSkewed),
  }));
}

function isSkewed(aheadMs: number): boolean {
  return Math.abs(aheadMs) > MAX_SKEW_MS;
}

interface Skew {
  name: TimedServer['name'];
  aheadMs: number;
}

function describe({ name, aheadMs }: Skew, amongOthers: boolean): string {
  const difference = aheadMs === 0 ? 'no difference' : `${seconds(aheadMs)} s apart`;
  return amongOthers ? `${name}: ${difference}` : difference;
}

function inWords({ name, aheadMs }: Skew): string {
  return `the clock of this delegate is ${seconds(aheadMs)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} ${name}'s`;
}

function clockSkewed(skew: Skew): DelegateError {
  return validationError('servicenow.clock-skew', `${inWords(skew).replace('the', 'The')}.`, {
    details: { skewMs: Math.round(Math.abs(skew.aheadMs)) },
  });
}

function seconds(ms: number): number {
  return Math.round(Math.abs(ms) / 1_000);
}

/** How far ServiceNow's clock may be off from an issuer's before it refuses every token of it, unless changed there. */
const TOKEN_TOLERANCE_MS = 300_000;

/**
 * Whether a refusal most likely comes from a clock, which no server says. An assertion is judged by the token
 * server's clock; a token by ServiceNow's, and dated by the token server's. The time here says nothing about either
 * a refresh token or a password.
 */
export function suspectClock(
  refused: { readonly check: CheckId; readonly error: WireError },
  { servers, signs }: { servers: readonly TimedServer[]; signs: boolean },
  witness: ClockWitness,
): Suspicion | undefined {
  const [atServiceNow, atTokenServer] = servers.map(({ origin }) => witness.aheadOf(origin));
  if (refused.error.category !== 'credentials' || atTokenServer === undefined) return undefined;
  if (refused.check === 'token' && signs && isSkewed(atTokenServer)) {
    const because = inWords({ name: 'the token server', aheadMs: atTokenServer });
    return { subject: 'Clock', because, remedy: 'synchronise it (NTP)' };
  }
  const apartMs = atTokenServer - (atServiceNow ?? atTokenServer);
  if (refused.check !== 'api' || Math.abs(apartMs) <= TOKEN_TOLERANCE_MS) return undefined;
  const because = `the clocks of ServiceNow and the token server are ${seconds(apartMs)} s apart`;
  return { subject: 'Clock', because, remedy: 'synchronise the token server (NTP)' };
}
