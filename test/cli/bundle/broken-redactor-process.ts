import { KnownSecrets } from '../../../src/cli/bundle/known-secrets.ts';
import { supportBundle } from '../../../src/cli/support-bundle.ts';
import { wrap } from '../../../src/kit/errors.ts';

/** Knows its secrets, and masks none of them. */
class Broken extends KnownSecrets {
  override scrub(text: string): string {
    return text;
  }
}

try {
  process.exitCode = await supportBundle(process.argv.slice(2), new Broken());
} catch (thrown) {
  process.stderr.write(`${wrap(thrown).code}\n`);
  process.exitCode = 1;
}
