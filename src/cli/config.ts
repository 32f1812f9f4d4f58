import { readEnvironment } from '../config/environment.ts';
import { printableSettings, settingsReference } from '../config/load.ts';

/** `servicenow-delegate config`: what `run` would work with, or every complaint about it. */
export function config(args: readonly string[]): Promise<0> {
  if (args.includes('--help')) {
    for (const { key, env, flag, fallback, doc } of settingsReference()) {
      const names = [env, flag, `file: ${key}`].filter((name) => name !== '').join('  ');
      process.stdout.write(`${names}\n    ${doc} (default: ${fallback})\n`);
    }
    process.stdout.write(
      'DELEGATE_CONFIG  --config\n    YAML or JSON file with settings by their file keys.\n',
    );
    return Promise.resolve(0);
  }
  process.stdout.write(`${printableSettings({ args, environment: readEnvironment() })}\n`);
  return Promise.resolve(0);
}
