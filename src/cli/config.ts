import { readEnvironment } from '../config/environment.ts';
import { printableSettings, settingsReference } from '../config/load.ts';
import { CONFIG_FILE_FLAG, CONFIG_FILE_VARIABLE } from '../config/schema.ts';
import { complain } from './complaint.ts';
import { harmlessJson } from './report/layout.ts';

/** `servicenow-delegate config`: what `run` would work with, or every complaint about it. */
export function config(args: readonly string[]): Promise<0> {
  const { text, warnings } = printableSettings({ args, environment: readEnvironment() });
  for (const warning of warnings) complain({ message: warning });
  process.stdout.write(`${harmlessJson(text)}\n`);
  return Promise.resolve(0);
}

/** Every setting as Markdown, for `docs/configuration.md`. */
export function configurationReference(): string {
  const code = (text: string): string => (text === '' ? '' : `\`${text}\``);
  const rows = settingsReference().map(
    ({ key, env, flag, fallback, doc }) =>
      `| ${code(env)} | ${code(flag)} | ${code(key)} | ${code(fallback)} | ${doc.replaceAll('|', '\\|')} |`,
  );
  return `# Configuration

Flags win over the environment, the environment over the file, the file over defaults. Unknown keys and flags are refused, and every mistake is in one report. \`servicenow-delegate config\` prints the effective settings with secrets masked.

Name the file, YAML or JSON, with \`${CONFIG_FILE_VARIABLE}\` or \`--${CONFIG_FILE_FLAG}\`; [config/delegate.example.yaml](../config/delegate.example.yaml) shows one.

| variable | flag | file key | default | meaning |
| --- | --- | --- | --- | --- |
${rows.join('\n')}

A variable \`DELEGATE_SECRET_NAME\` is no setting: it is the value behind the secret reference \`env:NAME\`.
`;
}
