import { labelOf } from '../../../config/leaves.ts';
import { ConfigurationError } from '../../../config/load.ts';
import { TASK_NAMES } from '../../../connectors/index.ts';
import { complaintText, readPolicyFile } from '../../../policy/read-policy.ts';
import { remarksOn } from '../../../policy/review.ts';
import { fail, failure, pass, warn, type Finding } from '../finding.ts';

const SETTINGS_HELP = 'servicenow-delegate config --help lists every setting.';

/** Of settings that are valid: what is odd about them. */
export function judgeWarnings(warnings: readonly string[]): Finding {
  if (warnings.length === 0) return pass('The settings are valid.');
  const count = warnings.length === 1 ? 'one thing' : `${warnings.length} things`;
  return warn(
    `The settings are valid; ${count} in them may not be meant.`,
    'Correct or remove what is named.',
    warnings,
  );
}

/** Of settings that are not: every mistake. */
export function judgeMistakes(thrown: unknown): Finding {
  if (!(thrown instanceof ConfigurationError)) return failure(thrown);
  const { complaints, code, hint } = thrown;
  const count = complaints.length === 1 ? 'one mistake' : `${complaints.length} mistakes`;
  const finding = fail(`There is ${count} in the settings.`, hint ?? SETTINGS_HELP, complaints);
  return { ...finding, code };
}

export interface PolicySettings {
  readonly policyFile: string | undefined;
  readonly allowLoopback: boolean;
}

/** The policy file: whether it is valid, and what its owner may not have meant. */
export function checkPolicy({ policyFile, allowLoopback }: PolicySettings): Finding {
  if (policyFile === undefined) {
    const hosts = allowLoopback
      ? 'any host, and this machine itself,'
      : 'any host of the network but loopback';
    return warn(
      `There is no policy file: the manager may have ${hosts} called over https, and a secret goes where it first went.`,
      `Say what is allowed in a file, and name it in ${labelOf('policyFile')}: docs/policy.md.`,
    );
  }
  const reading = readPolicyFile(policyFile);
  if (!reading.ok) {
    return fail(
      `The policy file ${policyFile} is not valid, and the delegate does not start with it.`,
      'Correct each line that is named; docs/policy.md explains the keys.',
      reading.complaints.map(complaintText),
    );
  }
  const { document, hash } = reading.file;
  const remarks = remarksOn(document, TASK_NAMES, { allowLoopback }).map(
    ({ path, message }) => `${path}: ${message}`,
  );
  if (remarks.length === 0) return pass(`The policy file ${policyFile} is valid (${hash}).`);
  return warn(
    `The policy file ${policyFile} is valid (${hash}); some of it is worth a second look.`,
    'See whether it is meant so; servicenow-delegate policy check shows what the file allows.',
    remarks,
  );
}
