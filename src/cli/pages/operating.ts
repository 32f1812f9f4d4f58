import type { Page } from './page.ts';

const STATE_DIR = { kind: 'setting', value: 'FOLDER', doc: 'another one than DELEGATE_STATE_DIR' } as const;

/** Beside a delegate that runs. */
export const OPERATING = {
  status: {
    summary: 'how the delegate that runs here is doing, and why it is not ready',
    usage: ['status [flags]'],
    about: [
      'Asks the delegate on this machine, at DELEGATE_HTTP_HOST and DELEGATE_HTTP_PORT, and shows at a glance whether it is ready and what keeps it from it, its connection, tasks, waiting results, last failure and versions.',
    ],
    flags: {
      url: {
        kind: 'text',
        value: 'URL',
        doc: 'another address, such as http://127.0.0.1:8080 of a forwarded port',
      },
      json: { kind: 'switch', doc: 'exactly what the delegate answers' },
      'http-port': { kind: 'setting', value: 'PORT', doc: 'another one than DELEGATE_HTTP_PORT' },
    },
    settings: 'listed',
    exitCodes: [
      [0, 'ready'],
      [1, 'not ready, or no answer'],
      [2, 'command line or settings are wrong'],
    ],
    examples: ['servicenow-delegate status', 'servicenow-delegate status --url=http://127.0.0.1:8080 --json'],
    readOn: ['docs/observability.md', 'docs/operating.md'],
  },
  healthcheck: {
    summary: 'whether the delegate that runs here is alive, for the health check of a container',
    usage: ['healthcheck [flags]'],
    about: [
      'Asks /livez of the delegate on this machine, at DELEGATE_HTTP_HOST and DELEGATE_HTTP_PORT, for 2.5 s at most, and says nothing if all is well. A manager that cannot be reached is no reason to fail: a restart would not bring it back.',
    ],
    flags: { 'http-port': { kind: 'setting', value: 'PORT', doc: 'another one than DELEGATE_HTTP_PORT' } },
    settings: 'listed',
    exitCodes: [
      [0, 'alive'],
      [1, 'not alive, or the settings are wrong'],
    ],
    examples: ['servicenow-delegate healthcheck'],
    readOn: ['docs/observability.md'],
  },
  'support-bundle': {
    summary: 'put what a helper needs to know into one file that can be read before it is sent',
    usage: ['support-bundle [flags]'],
    about: [
      'Writes one text file: version, settings with secrets masked, the report of doctor, the status of the delegate that runs, what lies in its state folder, a summary of policy and audit log, and names of environment variables.',
      'Every secret that can be found is masked, and the file is searched for all of them before it is written; one that can be read keeps it from being written. Host names, paths and user names of connectors stay: read it first.',
    ],
    flags: {
      output: {
        kind: 'text',
        value: 'FILE',
        doc: 'where to; "-" is standard output. Default: a name with the time, in this folder',
      },
      force: { kind: 'switch', doc: 'overwrite a file that is there' },
      log: { kind: 'text', value: 'FILE', doc: 'add the last lines of this log, scrubbed' },
    },
    settings: 'all',
    exitCodes: [
      [0, 'written'],
      [1, 'not written: something in it could be read that must not be'],
      [2, 'command line is wrong, or the file cannot be made'],
    ],
    examples: [
      'servicenow-delegate support-bundle',
      'servicenow-delegate support-bundle --output=bundle.txt --log=/var/log/servicenow-delegate.log',
    ],
    readOn: ['docs/support-bundle.md'],
  },
  audit: {
    summary: 'verify the audit log, or show what is in it',
    usage: ['audit verify [flags]', 'audit show [flags]'],
    about: [
      'verify follows the hash chain of the audit log in the state folder and names file and line of what was changed, removed or put in. show prints its records. Both read only, and may be used while the delegate runs.',
    ],
    flags: {
      head: {
        kind: 'text',
        value: 'SEQ:HASH',
        doc: 'a record that the log must hold, from "audit log head" in the delegate\'s shipped log',
        for: ['verify'],
      },
      since: {
        kind: 'text',
        value: 'TIME',
        doc: 'records from then on, as 2026-11-23 or 2026-11-23T13:10:00Z',
        for: ['show'],
      },
      task: { kind: 'text', value: 'ID', doc: 'records of this task', for: ['show'] },
      json: {
        kind: 'switch',
        doc: 'of verify, the same for a program; of show, the records as they stand in the files',
      },
      'state-dir': STATE_DIR,
    },
    settings: 'listed',
    subcommands: { verify: {}, show: {} },
    exitCodes: [
      [0, 'nothing is wrong with it'],
      [1, 'something is, or it cannot be read'],
      [2, 'command line or settings are wrong'],
    ],
    examples: [
      'servicenow-delegate audit verify --state-dir=/var/lib/servicenow-delegate',
      'servicenow-delegate audit show --since=2026-11-23 --task=chg-0030001',
    ],
    readOn: ['docs/audit.md'],
  },
  'rotate-key': {
    summary: 'have the delegate replace its own key',
    usage: ['rotate-key [flags]'],
    about: [
      'Asks the delegate of the state folder for a new key of its own, also before it is due by DELEGATE_KEY_ROTATION_DAYS. The delegate makes it, has the manager agree, and lets go of the old one when it has connected with the new; nothing that runs is disturbed. It may run or be started later. Run this as its user; of the settings only the state folder counts.',
    ],
    flags: { 'state-dir': STATE_DIR },
    settings: 'listed',
    exitCodes: [
      [0, 'asked for'],
      [1, 'the folder takes no file'],
      [2, 'command line or settings are wrong'],
    ],
    examples: ['servicenow-delegate rotate-key --state-dir=/var/lib/servicenow-delegate'],
    readOn: ['docs/security.md'],
  },
} as const satisfies Readonly<Record<string, Page>>;
