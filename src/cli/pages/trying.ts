import type { Page } from './page.ts';

/** Nobody needs a manager or an instance for these. */
export const TRYING = {
  demo: {
    summary: 'the whole world on this machine, a story, and an end (not in the image)',
    usage: ['demo [--verbose]'],
    about: [
      'Starts manager, ServiceNow, AD FS and two delegates on this machine, tells a story with them, and ends.',
    ],
    flags: { verbose: { kind: 'switch', doc: 'what every process writes, on standard error' } },
    exitCodes: [
      [0, 'everything went as told'],
      [1, 'something did not'],
    ],
    examples: ['servicenow-delegate demo', 'servicenow-delegate demo --verbose'],
    readOn: ['README.md'],
  },
  dev: {
    summary: 'the same world, left running, to play with (not in the image)',
    usage: ['dev [--verbose]'],
    about: ['The world of the demo, left running until Ctrl+C, with its addresses and some lines to try.'],
    flags: { verbose: { kind: 'switch', doc: 'what every process writes, on standard error' } },
    examples: ['servicenow-delegate dev'],
    readOn: ['README.md'],
  },
} as const satisfies Readonly<Record<string, Page>>;
