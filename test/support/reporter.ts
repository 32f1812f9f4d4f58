import Mocha from 'mocha';

/**
 * Mocha's dots, a line for what was skipped, and a last line of fixed form that other programs can read:
 * `N passed, N failed`.
 */
export default class Reporter extends Mocha.reporters.Dot {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.once('end', () => {
      const { passes, failures, pending } = runner.stats ?? { passes: 0, failures: 0, pending: 0 };
      process.stdout.write(`${pending} skipped\n${passes} passed, ${failures} failed\n`);
    });
  }
}
