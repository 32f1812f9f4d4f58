import { inspect } from 'node:util';
import { Delegate, type DelegateOptions } from '../../src/delegate/delegate.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { Redactor, Secret } from '../../src/kit/secret.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { ScriptedManager, type ManagerScript } from '../support/scripted-manager.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { within } from '../support/until.ts';
import { Workshop } from './work.ts';
import { delegateOptions } from '../support/delegate-options.ts';

export const ENROLMENT_TOKEN = 'enrolment-token-for-tests';

/** A real delegate beside a manager by hand, over real sockets. Back-off is drawn as 0 unless a test wants it. */
export interface UnderTest {
  readonly manager: ScriptedManager;
  readonly workshop: Workshop;
  readonly delegate: Delegate;
  /** Log lines, parsed no further. */
  readonly log: readonly string[];
  /** The end of `run`: undefined, or what it rejected with. */
  readonly ended: () => Promise<unknown>;
}

/** Delegates and managers of one test file, all ended after their test. */
export function delegatesUnderTest(): (
  options?: Partial<DelegateOptions>,
  script?: Partial<ManagerScript>,
) => Promise<UnderTest> {
  const started: UnderTest[] = [];
  afterEach(async () => {
    for (const { delegate, workshop, manager, ended } of started.splice(0)) {
      workshop.finishAll();
      await within('the delegate to stop', delegate.stop('the test is over', 0));
      await ended();
      await manager[Symbol.asyncDispose]();
    }
  });
  // Behind the other hook: a delegate that still runs would write into a folder that is being removed.
  const stateDir = tempDirs();
  return async (options = {}, script = {}) => {
    const manager = await ScriptedManager.start(script);
    const workshop = new Workshop();
    const redactor = new Redactor();
    const log: string[] = [];
    const logger = await createLogger({
      level: 'debug',
      format: 'json',
      redactor,
      destination: { write: (line) => void log.push(line) },
    });
    const delegate = new Delegate(
      delegateOptions({
        managerUrl: manager.url,
        enrolmentToken: new Secret(ENROLMENT_TOKEN),
        tags: ['eu'],
        stateDir: await stateDir(),
        taskTypes: workshop.types,
        capabilities: ['test.capability'],
        redactor,
        log: logger,
        ...options,
      }),
    );
    const run = delegate.run().then(
      () => undefined,
      (error: unknown) => error,
    );
    const underTest = { manager, workshop, delegate, log, ended: () => within('run to end', run) };
    started.push(underTest);
    return underTest;
  };
}

/** The code of what `run` rejected with; undefined if it resolved. */
export async function failureCode(underTest: UnderTest): Promise<string | undefined> {
  const error = await underTest.ended();
  if (error === undefined) return undefined;
  return error instanceof DelegateError ? error.code : inspect(error);
}
