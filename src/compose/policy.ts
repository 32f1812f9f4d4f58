import { labelOf } from '../config/leaves.ts';
import { ConfigurationError, type TaskConfiguration } from '../config/load.ts';
import { filePolicy } from '../policy/file-policy.ts';
import type { SecretPins } from '../policy/pins.ts';
import { defaultPolicy, type Policy } from '../policy/policy.ts';
import { complaintText, readPolicyFile } from '../policy/read-policy.ts';

/**
 * What the customer allows: by the policy file, or else by default. Throws a `ConfigurationError` with every mistake of
 * the file.
 *
 * @param pins where secrets may go by default; left out for what this machine's own user asks for
 */
export function policyOf({ allowLoopback, policyFile }: TaskConfiguration, pins?: SecretPins): Policy {
  if (policyFile === undefined) return defaultPolicy({ allowLoopback }, pins);
  const reading = readPolicyFile(policyFile);
  if (reading.ok) return filePolicy(reading.file, { allowLoopback });
  throw new ConfigurationError(
    reading.complaints.map((complaint) => `${labelOf('policyFile')}: ${complaintText(complaint)}`),
    `servicenow-delegate policy check ${policyFile} says the same; docs/policy.md explains each key.`,
  );
}
