import { FaultProxy } from '../support/fault-proxy.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import type { ManagerScript } from '../support/scripted-manager.ts';
import { until } from '../support/until.ts';
import { delegatesUnderTest, type UnderTest } from './delegate-under-test.ts';

type Start = ReturnType<typeof delegatesUnderTest>;
type Options = NonNullable<Parameters<Start>[0]>;

/** A real delegate and a manager by hand, with a wire between them that can be broken. */
export interface OnAWire extends UnderTest {
  readonly proxy: FaultProxy;
}

/** Proxies of one test file, each ended after its test and before everything that is connected through it. */
export function faultProxies(): () => Promise<FaultProxy> {
  const started: FaultProxy[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((proxy) => proxy[Symbol.asyncDispose]()));
  });
  return async () => {
    const proxy = await FaultProxy.start();
    started.push(proxy);
    return proxy;
  };
}

export function wiresUnderTest(): (options?: Options, script?: Partial<ManagerScript>) => Promise<OnAWire> {
  const newProxy = faultProxies();
  const start = delegatesUnderTest();
  return async (options = {}, script = {}) => {
    const proxy = await newProxy();
    const underTest = await start({ managerUrl: proxy.url, ...options }, script);
    // In time: the delegate reads its identity from disk before it dials.
    proxy.targetPort = Number(new URL(underTest.manager.url).port);
    return { ...underTest, proxy };
  };
}

/** The waits that were announced, oldest first. */
export function waits({ log }: Pick<UnderTest, 'log'>): number[] {
  return log.flatMap((line) => /"waitMs":(\d+)/.exec(line)?.[1] ?? []).map(Number);
}

/** The log line of the newest attempt that came to nothing. */
export function lastFailure({ log }: Pick<UnderTest, 'log'>): string {
  const line = log.findLast((one) => one.includes('"no session"'));
  if (line === undefined) throw new Error('no attempt has failed');
  return line;
}

/** Lets the delegate dial, once it waits for it: a manual clock waits even for a back-off of 0. */
export function redialling(underTest: Pick<UnderTest, 'log'>, clock: ManualClock): () => Promise<void> {
  let done = 0;
  return async () => {
    await until('it waits', () => waits(underTest).length > done);
    await clock.advance(waits(underTest)[done] ?? 0);
    done += 1;
  };
}
