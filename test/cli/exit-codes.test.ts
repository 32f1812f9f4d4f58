import { expect } from 'chai';
import { approvalExitCode } from '../../src/cli/check.ts';
import { LOCAL_ERRORS } from '../../src/cli/local/errors.ts';
import { validationExitCode } from '../../src/cli/validate.ts';
import type { Ran } from '../../src/cli/local/task.ts';
import type { WireError } from '../../src/kit/errors.ts';
import { FAILURE, LOOK, SUCCESS } from './reports.ts';

const error = (code: string, retryable: boolean): WireError => ({
  code,
  message: 'm',
  category: 'unavailable',
  retryable,
});
const failed = (retryable: boolean): Ran => ({
  outcome: { outcome: 'failed', error: error('timeout', retryable) },
  answer: undefined,
});
/** What is shown of it may be masked beyond recognition. */
const answered = (answer: unknown): Ran => ({
  outcome: { outcome: 'succeeded', output: { '[secret]': '[secret]' } },
  answer,
});

describe('the exit code of validate', () => {
  it('is 0 for a connector that works, and 1 for one that does not', () => {
    expect(validationExitCode(answered(SUCCESS))).to.equal(0);
    expect(validationExitCode(answered(FAILURE))).to.equal(1);
  });

  it('is 3 if that could not be found out', () => {
    expect(validationExitCode(failed(true))).to.equal(3);
    expect(validationExitCode(failed(false))).to.equal(3);
  });

  for (const code of Object.keys(LOCAL_ERRORS)) {
    it(`is 3 if this machine held the test back (${code})`, () => {
      expect(validationExitCode(answered({ ...FAILURE, errors: [error(code, false)] }))).to.equal(3);
    });
  }
});

describe('the exit code of check', () => {
  for (const [decision, code] of [
    ['approved', 0],
    ['pending', 10],
    ['rejected', 11],
  ] as const) {
    it(`is ${code} for ${decision}`, () => {
      expect(approvalExitCode(answered({ ...LOOK, decision }))).to.equal(code);
    });
  }

  it('tells a script whether a failure may pass by itself', () => {
    expect(approvalExitCode(failed(false))).to.equal(1);
    expect(approvalExitCode(failed(true))).to.equal(3);
  });
});
