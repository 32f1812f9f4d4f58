export const HELP = `servicenow-delegate: runs in your network, takes tasks from a manager, calls your ServiceNow

  servicenow-delegate run [flags]      the delegate; "run --help" lists its settings
  servicenow-delegate config [flags]   print the effective settings, secrets masked
  servicenow-delegate validate FILE    test a connector from this machine, without a manager
  servicenow-delegate check FILE       look at an approval from this machine, without a manager
  servicenow-delegate policy …         check a policy file, or explain what it says of a task
  servicenow-delegate secrets check    where secrets come from and whether they resolve, never a value
  servicenow-delegate audit …          verify the audit log, or show what is in it
  servicenow-delegate rotate-key       have the delegate replace its own key
  servicenow-delegate manager          the reference manager alone (docs/manager.md)
  servicenow-delegate demo             the whole world on this machine, a story, and an end (not in the image)
  servicenow-delegate dev              the same world, left running, to play with (not in the image)
  servicenow-delegate --version

Each command explains itself: servicenow-delegate validate --help

Start the delegate with two settings:
  DELEGATE_MANAGER_URL=https://manager.example.com DELEGATE_ENROLMENT_TOKEN_FILE=/run/secrets/token servicenow-delegate run

Test a connector before any manager knows of it:
  DELEGATE_SECRET_SNOW_PASSWORD=… servicenow-delegate validate connector.yaml
`;

const LOCAL_SETTINGS = `Settings are the delegate's own, from flags, environment and file (servicenow-delegate config --help); those that only
a delegate in service needs, such as the manager's address, are not looked at. The log goes to standard error, from
level warn on (--log-level).`;

const LOCAL_FLAGS = `  --json               exactly what the task answers, or { "error": … }, instead of the report
  --timeout SECONDS    for each run of the task; default 60
  --verbose            say what is being done, on standard error; on a terminal that is the default`;

const HELP_OF: Readonly<Record<string, string>> = {
  run: `servicenow-delegate run [flags]

Enrols with the manager at its first start, then takes tasks from it until a signal. Its settings:

  servicenow-delegate run --manager-url=https://manager.example.com --enrolment-token-file=/run/secrets/token

`,
  config: `servicenow-delegate config [flags]

Prints the settings that "run" would work with, secrets masked, or every mistake in them. All settings:

  servicenow-delegate config --capacity=32

`,
  validate: `servicenow-delegate validate FILE [flags]

Tests a connector the way it will be used, and says which step fails and what to do about it. Reads only.
FILE is YAML or JSON: the connector, alone or below "connector:", or an approval that has one. "-" is standard input.

${LOCAL_FLAGS}

Exit code: 0 it works, 1 it doesn't, 2 command line, file or settings are wrong, 3 the test could not be made.

  servicenow-delegate validate connector.yaml
  servicenow-delegate validate connector.yaml --secrets-dir=/run/secrets/servicenow --timeout=20
  servicenow-delegate validate - --json < connector.yaml | jq .errorSummary

${LOCAL_SETTINGS}
Examples of files are in examples/; docs/local-use.md has more.
`,
  check: `servicenow-delegate check FILE [flags]

Looks at a ticket and says whether it is approved, rejected or pending, and why. Reads only.
FILE is YAML or JSON with connector, ticket, approvalCriteria and, if wanted, rejectionCriteria and changeWindow.
"connector" may be the path of a connector's file, seen from FILE. "-" is standard input.

  --ticket NUMBER      this ticket instead of the one in FILE
  --wait SECONDS       look again until there is a decision, at most for this long; default: one look
  --interval SECONDS   between two looks, at least 10; default 60
${LOCAL_FLAGS}

Exit code: 0 approved, 10 pending, 11 rejected, 1 failed, 2 command line, file or settings are wrong,
3 failed, and may succeed later with nothing changed.

  servicenow-delegate check approval.yaml --ticket=CHG0030001
  servicenow-delegate check approval.yaml --ticket=CHG0030001 --wait=7200 --interval=60 && ./deploy.sh

${LOCAL_SETTINGS}
Examples of files are in examples/; docs/local-use.md has more.
`,
  policy: `servicenow-delegate policy check FILE
servicenow-delegate policy explain TASK [flags]

check reads a policy file (docs/policy.md) and says every mistake with its line, or what the file allows and what
in it is worth a second look. explain says of a task, thing by thing, which rule allows or denies it: instance, task,
tables, token server, and where each secret may go. It reads no secret, and asks nobody.

TASK is YAML or JSON: a task with name and input, as a manager assigns it, an approval, or a connector. "-" is
standard input. Without a policy file, what holds by default is explained, with the pins of the state folder.

  --policy-file FILE   for explain: another one than DELEGATE_POLICY_FILE
  --json               the same for a program

Exit code: 0 valid, or allowed; 1 not valid, or denied; 2 command line, task or settings are wrong.

  servicenow-delegate policy check examples/policy.yaml
  servicenow-delegate policy explain examples/approval.yaml --policy-file=examples/policy.yaml
`,
  secrets: `servicenow-delegate secrets check [REFERENCE…] [flags]
servicenow-delegate secrets pins [flags]
servicenow-delegate secrets allow REFERENCE ORIGIN
servicenow-delegate secrets forget REFERENCE

check reads each secret and says where it came from, whether it is there, what is odd about it, and where it may go;
never its value. Without references, and without a connector, it checks those that secretNames maps. References stand
before flags. pins shows where each secret may go, by where it first went; allow adds a place, forget lets a secret be
pinned anew at its next use. They may be used while the delegate runs, as its user (docs/secrets.md, docs/policy.md).

  --connector FILE     for check: the secrets that a connector or an approval names, and whether each may go there
  --json               for check and pins: the same for a program
  --state-dir FOLDER   another one than DELEGATE_STATE_DIR, where pins are

Exit code: 0 all is in order, 1 a secret is not there or may not go where it would, 2 command line or settings are
wrong.

  servicenow-delegate secrets check env:SNOW_PASSWORD vault:kv/servicenow#password
  servicenow-delegate secrets check --connector=examples/connector-password.yaml
  servicenow-delegate secrets allow env:SNOW_PASSWORD https://acme.service-now.com

${LOCAL_SETTINGS}
`,
  audit: `servicenow-delegate audit verify [flags]
servicenow-delegate audit show [flags]

verify follows the hash chain of the audit log in the state folder and names file and line of what was changed,
removed or put in. show prints its records. Both read only, and may be used while the delegate runs (docs/audit.md).

  --head SEQ:HASH      for verify: a record that the log must hold, from "audit log head" in the delegate's shipped log
  --since TIME         for show: records from then on, as 2026-11-23 or 2026-11-23T13:10:00Z
  --task ID            for show: records of this task
  --json               for verify: the same for a program; for show: the records as they stand in the files
  --state-dir FOLDER   another one than DELEGATE_STATE_DIR

Exit code: 0 nothing is wrong with it, 1 something is, or it cannot be read, 2 command line or settings are wrong.

  servicenow-delegate audit verify --state-dir=/var/lib/servicenow-delegate
  servicenow-delegate audit show --since=2026-11-23 --task=chg-0030001
`,
  'rotate-key': `servicenow-delegate rotate-key [flags]

Asks the delegate of the state folder for a new key of its own, also before it is due by DELEGATE_KEY_ROTATION_DAYS. The
delegate makes it, has the manager agree, and lets go of the old one when it has connected with the new; nothing that
runs is disturbed. It may run or be started later. Run this as its user; of the settings only the state folder counts.

Exit code: 0 asked for, 1 the folder takes no file, 2 command line or settings are wrong.

  servicenow-delegate rotate-key --state-dir=/var/lib/servicenow-delegate
`,
  manager: `servicenow-delegate manager

The reference manager alone, until a signal. It takes no flags; docs/manager.md lists its variables.

  MANAGER_HTTP_PORT=8081 MANAGER_API_TOKEN_FILE=/run/secrets/api-token servicenow-delegate manager
`,
  demo: `servicenow-delegate demo [--verbose]

Starts manager, ServiceNow, AD FS and two delegates on this machine, tells a story with them, and ends.
--verbose shows what every process writes.

  servicenow-delegate demo --verbose
`,
  dev: `servicenow-delegate dev [--verbose]

The world of the demo, left running until Ctrl+C, with its addresses and some lines to try.
--verbose shows what every process writes.

  servicenow-delegate dev
`,
};

/** What one command does, takes and answers, with an example; undefined of a command that is for nobody to type. */
export function helpOf(name: string): string | undefined {
  return Object.hasOwn(HELP_OF, name) ? HELP_OF[name] : undefined;
}
