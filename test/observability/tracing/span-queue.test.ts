import { expect } from 'chai';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';
import type { Delivery } from '../../../src/observability/tracing/collector.ts';
import { loadOpenTelemetry } from '../../../src/observability/tracing/open-telemetry.ts';
import { SpanQueue } from '../../../src/observability/tracing/span-queue.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { turn } from '../../support/until.ts';

const TAKEN: Delivery = { is: 'taken', rejected: 0 };
const AWAY: Delivery = { is: 'later', code: 'network.refused', waitMs: undefined };

/** A queue before a collector by hand. */
class Line {
  readonly clock = new ManualClock();
  readonly batches: number[] = [];
  readonly logged: { fields: Record<string, unknown>; message: string }[] = [];
  lost = 0;
  answer: (signal: AbortSignal) => Promise<Delivery> = () => Promise.resolve(TAKEN);
  readonly queue = new SpanQueue({
    deliver: (spans, signal) => {
      this.batches.push(spans.length);
      return this.answer(signal);
    },
    metrics: { spansLost: (spans) => void (this.lost += spans) },
    clock: this.clock,
    random: () => 0.5,
    log: {
      warn: (fields, message) => void this.logged.push({ fields, message }),
    },
  });

  readonly #span: ReadableSpan;

  constructor(span: ReadableSpan) {
    this.#span = span;
  }

  put(spans: number): void {
    for (let count = 0; count < spans; count += 1) this.queue.onEnd(this.#span);
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }
}

describe('spans on their way to the collector', () => {
  let line: Line;
  let span: ReadableSpan;

  before(async () => {
    const { sdk } = await loadOpenTelemetry();
    const ended: ReadableSpan[] = [];
    const onEnd = (one: ReadableSpan): void => void ended.push(one);
    const nothing = (): Promise<void> => Promise.resolve();
    const processor = { onStart: () => {}, onEnd, forceFlush: nothing, shutdown: nothing };
    const provider = new sdk.TracerProvider({ spanProcessors: [processor] });
    provider.getTracer('test').startSpan('one').end();
    const [first] = ended;
    if (first === undefined) throw new Error('a span has ended');
    span = first;
  });
  beforeEach(() => {
    line = new Line(span);
  });

  it('wait for others, and go together', async () => {
    line.put(2);
    await line.advance(4_999);
    line.put(1);
    expect(line.batches).to.deep.equal([]);
    await line.advance(1);
    expect(line.batches).to.deep.equal([3]);
    await line.advance(60_000);
    expect(line.batches).to.deep.equal([3]);
  });

  it('go in batches of 512, one after another', async () => {
    const answers: Deferred<Delivery>[] = [];
    line.answer = () => {
      const answer = deferred<Delivery>();
      answers.push(answer);
      return answer.promise;
    };
    line.put(1_100);
    await line.advance(5_000);
    expect(line.batches).to.deep.equal([512]);
    answers[0]?.resolve(TAKEN);
    await turn();
    expect(line.batches).to.deep.equal([512, 512]);
    answers[1]?.resolve(TAKEN);
    await turn();
    answers[2]?.resolve(TAKEN);
    await turn();
    expect(line.batches).to.deep.equal([512, 512, 76]);
    expect(line.lost).to.equal(0);
  });

  it('are tried again, less and less often, while the collector is away, which is told once', async () => {
    line.answer = () => Promise.resolve(AWAY);
    line.put(3);
    await line.advance(5_000);
    await line.advance(60_000);
    expect(line.batches).to.have.length(5);
    await line.advance(60_000);
    expect(line.batches).to.have.length(6);
    expect(line.logged).to.deep.equal([
      { fields: { code: 'network.refused' }, message: 'the trace collector takes no spans' },
    ]);
    line.answer = () => Promise.resolve(TAKEN);
    await line.advance(60_000);
    await line.advance(600_000);
    expect(line.batches).to.have.length(7);
    expect(line.lost).to.equal(0);
  });

  it('come when the collector says', async () => {
    line.answer = () => Promise.resolve({ ...AWAY, waitMs: 30_000 });
    line.put(1);
    await line.advance(5_000);
    await line.advance(29_999);
    expect(line.batches).to.have.length(1);
    await line.advance(1);
    expect(line.batches).to.have.length(2);
  });

  it('are lost beyond 2,048, counted and told when the collector is back', async () => {
    line.answer = () => Promise.resolve(AWAY);
    line.put(2_048 + 7);
    expect(line.lost).to.equal(7);
    await line.advance(5_000);
    line.answer = () => Promise.resolve(TAKEN);
    await line.advance(60_000);
    expect(line.logged.at(-1)).to.deep.equal({ fields: { lostSpans: 7 }, message: 'spans were lost' });
  });

  it('are lost where the collector refuses them for good, and those behind them go on', async () => {
    const answers: Delivery[] = [
      { is: 'refused', code: 'http-400' },
      { is: 'taken', rejected: 2 },
    ];
    line.answer = () => Promise.resolve(answers.shift() ?? TAKEN);
    line.put(512 + 5);
    await line.advance(5_000);
    expect(line.batches).to.deep.equal([512, 5]);
    expect(line.lost).to.equal(514);
  });

  it('are still sent at the end', async () => {
    line.put(600);
    await line.queue[Symbol.asyncDispose]();
    expect(line.batches).to.deep.equal([512, 88]);
    expect(line.lost).to.equal(0);
  });

  it('hold up no end for longer than a moment', async () => {
    line.answer = (signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve(AWAY), { once: true });
      });
    line.put(600);
    const ended = line.queue[Symbol.asyncDispose]();
    await line.advance(1_500);
    await ended;
    expect(line.batches).to.deep.equal([512]);
    expect(line.lost).to.equal(600);
    expect(line.logged.at(-1)?.fields).to.deep.equal({ lostSpans: 600 });
  });

  it('that end after the end are lost', async () => {
    await line.queue.shutdown();
    line.put(1);
    await line.advance(60_000);
    expect(line.batches).to.deep.equal([]);
    expect(line.lost).to.equal(1);
  });
});
