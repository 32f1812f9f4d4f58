import type { Page } from './page.ts';

export const INSTALLING = {
  config: {
    summary: 'print the effective settings, secrets masked; "config --help" lists all',
    usage: ['config [flags]'],
    about: ['Prints the settings that "run" would work with, secrets masked, or every mistake in them.'],
    settings: 'explained',
    exitCodes: [
      [0, 'the settings are valid'],
      [2, 'command line or settings are wrong'],
    ],
    examples: [
      'servicenow-delegate config --manager-url=https://manager.example.com --capacity=32',
      'servicenow-delegate config --config=config/delegate.example.yaml',
    ],
    readOn: ['docs/configuration.md'],
  },
  run: {
    summary: 'the delegate itself, until a signal',
    usage: ['run [flags]'],
    about: [
      'Enrols with the manager at its first start, then takes tasks from it until a signal. The first asks it to stop in order, the second ends it at once.',
    ],
    settings: 'explained',
    exitCodes: [
      [0, 'stopped by a signal'],
      [1, 'failed in a way that trying again cannot mend; the log says how'],
      [2, 'command line or settings are wrong'],
    ],
    examples: [
      'servicenow-delegate run --manager-url=https://manager.example.com --enrolment-token-file=/run/secrets/token',
    ],
    readOn: ['docs/configuration.md', 'docs/state-folder.md'],
  },
  completion: {
    summary: 'a script that completes commands and flags in your shell',
    usage: ['completion bash|zsh|fish'],
    about: [
      'Prints a script for the shell, made of the very table that this help is made of. Load it as the examples show, or put it where your shell looks for completions.',
    ],
    operand: ['bash', 'zsh', 'fish'],
    exitCodes: [
      [0, 'printed'],
      [2, 'there is none for such a shell'],
    ],
    examples: [
      'source <(servicenow-delegate completion bash)',
      'source <(servicenow-delegate completion zsh)',
      'servicenow-delegate completion fish > ~/.config/fish/completions/servicenow-delegate.fish',
    ],
    readOn: [],
  },
  manager: {
    summary: 'the reference manager alone, for vendors and tests',
    usage: ['manager'],
    about: ['The reference manager alone, until a signal. It takes no flags; its settings are variables.'],
    exitCodes: [
      [0, 'stopped by a signal'],
      [1, 'failed'],
      [2, 'command line or settings are wrong'],
    ],
    examples: [
      'MANAGER_HTTP_PORT=8081 MANAGER_API_TOKEN_FILE=/run/secrets/api-token servicenow-delegate manager',
    ],
    readOn: ['docs/manager.md'],
  },
} as const satisfies Readonly<Record<string, Page>>;
