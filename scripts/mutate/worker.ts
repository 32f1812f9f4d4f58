import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';
import * as fc from 'fast-check';
import Mocha from 'mocha';
import { jobSchema, type Answer, type Job } from './messages.ts';

/**
 * Runs the tests of one bundle, again and again, each time as another mutant. A process of its own, because a
 * mutant may never end.
 */

/** The same inputs for every mutant, and no search for the smallest: that a property fails is all that counts. */
fc.configureGlobal({ seed: 20, endOnFailure: true });

const TEST_TIMEOUT_MS = 20_000;

const [bundlePath = ''] = process.argv.slice(2);
const script = new Script(readFileSync(bundlePath, 'utf8'), { filename: bundlePath });
const require = createRequire(import.meta.url);

process.on('message', (message) => {
  void run(jobSchema.parse(message)).then((answer) => process.send?.(answer));
});

async function run(job: Job): Promise<Answer> {
  const active = job.task === 'challenge' ? job.mutant : undefined;
  const tests: Answer['tests'] = {};
  let reachedNow = new Set<number>();
  const mocha = new Mocha({ ui: 'bdd', bail: true, timeout: TEST_TIMEOUT_MS, reporter: Silent });
  mocha.suite.emit('pre-require', globalThis, '', mocha);
  try {
    const load: unknown = script.runInThisContext();
    if (typeof load !== 'function') throw new TypeError('the bundle is no function');
    load(require, (number: number): boolean => {
      reachedNow.add(number);
      return number === active;
    });
  } catch (error) {
    return { failure: `loading: ${String(error)}`, tests, atLoad: [] };
  }
  const atLoad = [...reachedNow];
  if (job.task === 'challenge') {
    const skip = new Set(job.skip);
    remove(mocha.suite, (title) => skip.has(title));
  } else {
    mocha.suite.beforeEach(() => {
      reachedNow = new Set();
    });
    mocha.suite.afterEach(function () {
      const title = this.currentTest?.fullTitle() ?? '';
      // Several tests may have one title; they are taken for one.
      const before = tests[title] ?? { reached: [], durationMs: 0 };
      tests[title] = {
        reached: [...new Set([...before.reached, ...reachedNow])],
        durationMs: before.durationMs + (this.currentTest?.duration ?? 0),
      };
    });
  }
  return { failure: await firstFailure(mocha), tests, atLoad };
}

function remove(suite: Mocha.Suite, isRemoved: (title: string) => boolean): void {
  suite.tests = suite.tests.filter((test) => !isRemoved(test.fullTitle()));
  for (const inner of suite.suites) remove(inner, isRemoved);
}

async function firstFailure(mocha: Mocha): Promise<string | null> {
  let failure: string | null = null;
  await new Promise<void>((resolve) => {
    const runner = mocha.run(() => resolve());
    runner.once('fail', (test) => {
      failure = test.fullTitle();
    });
  });
  return failure;
}

class Silent extends Mocha.reporters.Base {}
