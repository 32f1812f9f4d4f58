export const HELP = `servicenow-delegate: runs in your network, takes tasks from a manager, calls your ServiceNow

  servicenow-delegate run [flags]      the delegate; "run --help" lists its settings
  servicenow-delegate config [flags]   print the effective settings, secrets masked
  servicenow-delegate validate FILE    test a connector from this machine, without a manager
  servicenow-delegate check FILE       look at an approval from this machine, without a manager
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
