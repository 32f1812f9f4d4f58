import type { FlagPage, Page } from './page.ts';

/** A test of a connector keeps the last second for its report. */
const MIN_TIMEOUT_S = 2;
/** What a manager may give a task is of this order, too. */
const MAX_TIMEOUT_S = 3_600;
/** A look is a request to the instance; a manager does not look more often either. */
const MIN_INTERVAL_S = 10;
const MAX_INTERVAL_S = 3_600;
/** A week: longer than an approval waits, and short enough to end. */
const MAX_WAIT_S = 604_800;

/** For a network that is slow beyond measure. */
const MAX_DOCTOR_TIMEOUT_S = 60;

const LOCAL_FLAGS = {
  json: {
    kind: 'switch',
    doc: 'exactly what the task answers, or { "error": … }, instead of the report',
  },
  timeout: {
    kind: { leastSeconds: MIN_TIMEOUT_S, mostSeconds: MAX_TIMEOUT_S },
    value: 'SECONDS',
    doc: 'for each run of the task; default 60',
  },
  verbose: {
    kind: 'switch',
    doc: 'say what is being done, line by line on standard error; a terminal shows one line of it by default',
  },
} as const satisfies Readonly<Record<string, FlagPage>>;

/** What may be asked before a delegate runs, or beside one. */
export const CHECKING = {
  doctor: {
    summary: 'look at all that a delegate with these settings needs, and say what to do',
    usage: ['doctor [CONNECTOR FILE…] [flags]'],
    about: [
      'Looks at settings, policy, state folder, disk, the way to the manager step by step, clock, enrolment, each secret that is mapped, and each connector that is given. Every check says PASS, WARN, FAIL or SKIP, and what to do.',
      'Starts no delegate, writes nothing and uses no enrolment token: it may be run before the first start, and beside a delegate that runs.',
    ],
    flags: {
      long: { kind: 'switch', doc: 'hold a connection at rest for a minute, too' },
      timeout: {
        kind: { leastSeconds: MIN_TIMEOUT_S, mostSeconds: MAX_DOCTOR_TIMEOUT_S },
        value: 'SECONDS',
        doc: 'for all checks, which run side by side; default 7',
      },
      json: { kind: 'switch', doc: 'the same for a program' },
    },
    settings: 'all',
    operand: 'file',
    exitCodes: [
      [0, 'nothing failed'],
      [1, 'something did'],
      [2, 'command line, settings or policy are wrong'],
    ],
    examples: [
      'servicenow-delegate doctor',
      'servicenow-delegate doctor connector.yaml --long',
      'servicenow-delegate doctor --json --config=/etc/servicenow-delegate/delegate.yaml',
    ],
    readOn: ['docs/doctor.md'],
  },
  validate: {
    summary: 'test a connector from this machine, without a manager',
    usage: ['validate FILE [flags]'],
    about: [
      'Tests a connector the way it will be used, and says which step fails and what to do about it. Reads only.',
      'FILE is YAML or JSON: the connector, alone or below "connector:", or an approval that has one. "-" is standard input.',
    ],
    flags: LOCAL_FLAGS,
    settings: 'local',
    operand: 'file',
    exitCodes: [
      [0, 'it works'],
      [1, 'it does not'],
      [2, 'command line, file or settings are wrong'],
      [3, 'the test could not be made'],
    ],
    examples: [
      'servicenow-delegate validate examples/connector-password.yaml',
      'servicenow-delegate validate connector.yaml --secrets-dir=/run/secrets/servicenow --timeout=20',
      'servicenow-delegate validate - --json < connector.yaml | jq .errorSummary',
    ],
    readOn: ['docs/local-use.md', 'examples/'],
  },
  check: {
    summary: 'look at an approval from this machine, without a manager',
    usage: ['check FILE [flags]'],
    about: [
      'Looks at a ticket and says whether it is approved, rejected or pending, and why. Reads only.',
      'FILE is YAML or JSON with connector, ticket, approvalCriteria and, if wanted, rejectionCriteria and changeWindow. "connector" may be the path of a connector\'s file, seen from FILE. "-" is standard input.',
    ],
    flags: {
      ticket: { kind: 'text', value: 'NUMBER', doc: 'this ticket instead of the one in FILE' },
      wait: {
        kind: { leastSeconds: 1, mostSeconds: MAX_WAIT_S },
        value: 'SECONDS',
        doc: 'look again until there is a decision, at most for this long; default: one look',
      },
      interval: {
        kind: { leastSeconds: MIN_INTERVAL_S, mostSeconds: MAX_INTERVAL_S },
        value: 'SECONDS',
        doc: 'between two looks, at least 10; default 60',
      },
      ...LOCAL_FLAGS,
    },
    settings: 'local',
    operand: 'file',
    exitCodes: [
      [0, 'approved'],
      [10, 'pending'],
      [11, 'rejected'],
      [1, 'failed'],
      [2, 'command line, file or settings are wrong'],
      [3, 'failed, and may succeed later with nothing changed'],
    ],
    examples: [
      'servicenow-delegate check examples/approval.yaml --ticket=CHG0030001',
      'servicenow-delegate check approval.yaml --ticket=CHG0030001 --wait=7200 --interval=60 && ./deploy.sh',
    ],
    readOn: ['docs/local-use.md', 'docs/approvals.md', 'examples/'],
  },
  policy: {
    summary: 'check a policy file, or explain what it says of a task',
    usage: ['policy check FILE [flags]', 'policy explain TASK [flags]'],
    about: [
      'check reads a policy file and says every mistake with its line, or what the file allows and what in it is worth a second look. explain says of a task, thing by thing, which rule allows or denies it: instance, task, tables, token server, and where each secret may go. It reads no secret, and asks nobody.',
      'TASK is YAML or JSON: a task with name and input, as a manager assigns it, an approval, or a connector. "-" is standard input. Without a policy file, what holds by default is explained, with the pins of the state folder.',
    ],
    flags: {
      json: { kind: 'switch', doc: 'the same for a program' },
      'policy-file': {
        kind: 'setting',
        value: 'FILE',
        doc: 'another one than DELEGATE_POLICY_FILE',
        for: ['explain'],
      },
    },
    settings: 'local',
    subcommands: { check: { operand: 'file', takesSettings: false }, explain: { operand: 'file' } },
    exitCodes: [
      [0, 'valid, or allowed'],
      [1, 'not valid, or denied'],
      [2, 'command line, task or settings are wrong'],
    ],
    examples: [
      'servicenow-delegate policy check examples/policy.yaml',
      'servicenow-delegate policy explain examples/approval.yaml --policy-file=examples/policy.yaml',
    ],
    readOn: ['docs/policy.md'],
  },
  secrets: {
    summary: 'where secrets come from, whether they resolve, and where they may go; never a value',
    usage: [
      'secrets check [REFERENCE…] [flags]',
      'secrets pins [flags]',
      'secrets allow REFERENCE ORIGIN',
      'secrets forget REFERENCE',
    ],
    about: [
      'check reads each secret and says where it came from, whether it is there, what is odd about it, and where it may go; never its value. Without references, and without a connector, it checks those that secretNames maps.',
      'pins shows where each secret may go, by where it first went; allow adds a place, forget lets a secret be pinned anew at its next use. They may be used while the delegate runs, as its user.',
    ],
    flags: {
      connector: {
        kind: 'text',
        value: 'FILE',
        doc: 'the secrets that a connector or an approval names, and whether each may go there',
        for: ['check'],
      },
      json: { kind: 'switch', doc: 'the same for a program', for: ['check', 'pins'] },
      'state-dir': {
        kind: 'setting',
        value: 'FOLDER',
        doc: 'another one than DELEGATE_STATE_DIR, where pins are',
      },
    },
    settings: 'local',
    subcommands: { check: {}, pins: {}, allow: {}, forget: {} },
    exitCodes: [
      [0, 'all is in order'],
      [1, 'a secret is not there or may not go where it would'],
      [2, 'command line or settings are wrong'],
    ],
    examples: [
      'servicenow-delegate secrets check env:SNOW_PASSWORD vault:kv/servicenow#password',
      'servicenow-delegate secrets check --connector=examples/connector-password.yaml',
      'servicenow-delegate secrets allow env:SNOW_PASSWORD https://acme.service-now.com',
    ],
    readOn: ['docs/secrets.md', 'docs/policy.md'],
  },
} as const satisfies Readonly<Record<string, Page>>;
