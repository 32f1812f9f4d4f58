import { DEPLOYING } from './deploying.ts';
import type { RunOptions, Sandbox } from './sandbox.ts';
import { ROOT } from './statements.ts';

/**
 * What shows that a command of the documents works. A command that is new, or was changed, has no entry here and fails
 * its test; an entry whose command is gone fails too.
 */
export type Proof =
  | ({
      /** It is run, as it stands, in the sandbox. */
      readonly by: 'running';
      /** Default: 0. Of one that is asked to stop, after that. */
      readonly exit?: number;
      /** What its output has. */
      readonly says?: RegExp;
      /** A tool that it needs and that not every machine has: without it, it is skipped. */
      readonly needs?: string;
      /** What can't be known before: puts the sandbox's own values in the place of the text's. */
      readonly with?: (command: string, sandbox: Sandbox) => string | Promise<string>;
    } & RunOptions)
  | {
      /** Another test runs it, or the very thing that it stands for. */
      readonly by: 'test';
      readonly file: string;
      /** What that file has, word for word. */
      readonly holds: string;
    }
  | {
      /** It can't be run where tests run. */
      readonly by: 'stand-in';
      readonly since: `2026-${string}`;
      readonly why: string;
      /** What is looked at in its place: files of this repository, and what they hold. */
      readonly looks: readonly (readonly [file: string, holds: RegExp])[];
    };

const running = (more: Omit<Extract<Proof, { by: 'running' }>, 'by'> = {}): Proof => ({
  by: 'running',
  ...more,
});
const test = (file: string, holds: string): Proof => ({ by: 'test', file, holds });

/** A delegate in service: it is there when the manager has welcomed it. */
const READY = /"to":"ready"/;
const delegate = (env: Readonly<Record<string, string>> = {}): Proof => running({ until: READY, env });

const CI = '.ci/run';

/** A line whose flag the program has. */
const bench = (holds: RegExp, file = 'scripts/bench.ts'): Proof => ({
  by: 'stand-in',
  since: '2026-11-24',
  why: 'it takes from one to thirteen minutes, and an idle machine',
  looks: [[file, holds]],
});

/** Pages of which a test runs every command in its order, but for those of npm. */
export const PAGES_IN_ORDER: Readonly<Record<string, string>> = {
  'docs/quick-start.md': 'test/docs/quick-start.test.ts',
};

export const PROOFS: Readonly<Record<string, Proof>> = {
  ...DEPLOYING,
  // Installing and developing
  'npm ci && npm run demo': test('test/system/demo.test.ts', "runCli(['demo'])"),
  'npm ci && npm test': test(CI, 'npm test'),
  'npm ci && npm link': test('test/docs/commands.test.ts', 'is what the package puts on the PATH'),
  'npm ci': test(CI, 'npm ci'),
  'npm run dev': test('test/docs/dev-world.test.ts', 'the lines that `npm run dev` prints'),
  'npm test': test(CI, 'npm test'),
  'npm run check': test(CI, 'npm run check'),
  'npm run format': test(CI, 'npm run check'),
  'npm run audit': test(CI, 'npm run audit'),
  'npm run sbom --silent': running({
    with: (command) => `cd ${ROOT} && ${command}`,
    says: /"bomFormat": "CycloneDX"/,
  }),
  'npx mocha test/examples/connector.test.ts': test(CI, 'npm test'),
  'npx mocha test/examples/manager.test.ts': test(CI, 'npm test'),

  // The delegate in service
  'DELEGATE_MANAGER_URL=https://manager.example.com DELEGATE_ENROLMENT_TOKEN_FILE=/run/secrets/enrolment-token DELEGATE_STATE_DIR=/var/lib/servicenow-delegate servicenow-delegate run':
    delegate(),
  'DELEGATE_POLICY_FILE=/etc/servicenow-delegate/policy.yaml servicenow-delegate run': delegate(),

  'servicenow-delegate rotate-key --state-dir=/var/lib/servicenow-delegate': running(),
  'servicenow-delegate status': test('docs/quick-start.md', '\nservicenow-delegate status\n'),
  'servicenow-delegate doctor': running({ says: /^\W*PASS/m }),

  'servicenow-delegate doctor connector.yaml': running({ says: /^\W*PASS +connector/m }),
  'servicenow-delegate doctor connector.yaml --long': running({
    // The minute that it holds a connection for has a test with a clock of its own.
    with: (command) => command.replace(' --long', ''),
    says: /^\W*PASS +connector/m,
  }),
  [`servicenow-delegate doctor --json | jq '.checks[] | select(.status == "FAIL")'`]: running({
    needs: 'jq',
  }),
  'servicenow-delegate support-bundle': running(),
  'servicenow-delegate support-bundle --output=bundle.txt --log=/var/log/servicenow-delegate.log': running(),
  'servicenow-delegate support-bundle --output=- | less': running(),

  // Without a manager
  'servicenow-delegate validate connector.yaml': running({ says: /^SUCCESS: The connector works/m }),
  'servicenow-delegate validate examples/connector-password.yaml': running({ says: /^SUCCESS/m }),
  'servicenow-delegate check approval.yaml --ticket=CHG0030001': running({ exit: 10, says: /^… /m }),
  'read -rs DELEGATE_SECRET_SNOW_PASSWORD && export DELEGATE_SECRET_SNOW_PASSWORD': running({
    input: 'secret\n',
  }),
  'docker exec -i servicenow-delegate servicenow-delegate validate - < connector.yaml': running({
    says: /^SUCCESS/m,
  }),
  'kubectl exec -i deploy/servicenow-delegate -- servicenow-delegate check - --ticket=CHG0030001 < approval.yaml':
    running({ exit: 10 }),
  [`servicenow-delegate check approval.yaml --ticket="$CHANGE" --wait=7200
case $? in
  0) ./deploy.sh ;;
  10) echo "$CHANGE was not approved in time" ;;
  11) echo "$CHANGE was rejected" ;;
  *) exit 1 ;;
esac`]: running({ says: /^deployed$/m }),

  // Policy, secrets, audit
  'servicenow-delegate policy check policy.yaml': running(),
  'servicenow-delegate policy check /etc/servicenow-delegate/policy.yaml': running(),
  'servicenow-delegate policy explain task.json --policy-file=policy.yaml': running(),
  'servicenow-delegate secrets pins': running(),
  'servicenow-delegate secrets allow env:SN_PASSWORD https://acme-test.service-now.com': running(),
  'servicenow-delegate secrets forget env:SN_PASSWORD': running(),
  'servicenow-delegate secrets check env:SNOW_PASSWORD vault:kv/servicenow#password': running(),
  'servicenow-delegate secrets check --connector=connector.yaml': running(),
  'servicenow-delegate secrets check': running({ says: /account\.snow_password/ }),
  'kubectl exec deploy/servicenow-delegate -- servicenow-delegate secrets check vault:kv/servicenow#password':
    running(),
  'servicenow-delegate audit show --since=2026-11-23': running({ says: /started/ }),
  'servicenow-delegate audit show --task=chg-0030001 --json': running(),
  'servicenow-delegate audit verify': running(),
  'servicenow-delegate audit verify --head=1204:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef':
    running({ with: async (command, sandbox) => command.replace(/1204:\w{64}/, await sandbox.auditHead()) }),
  [`while IFS= read -r line; do
  printf '%s' "$line" | sed -E 's/,"hash":"[0-9a-f]{64}"\\}$/}/' | sha256sum | cut -d' ' -f1
done < audit-0000000001.ndjson`]: running({
    with: async (command, sandbox) => {
      const [, hash = ''] = (await sandbox.auditHead()).split(':');
      return `cd "$DELEGATE_STATE_DIR/audit" && ${command.replace(/\ndone/, '\ndone')} | grep -x ${hash}`;
    },
  }),

  // The reference manager
  'export MANAGER_API_TOKEN="$(openssl rand -hex 16)"': running(),
  'servicenow-delegate manager': running({ until: /"manager ready"/ }),
  [`curl -sS http://127.0.0.1:8081/api/v1/enrolment-tokens -H "Authorization: Bearer $MANAGER_API_TOKEN" -H 'Content-Type: application/json' -d '{"label": "eu-1"}'`]:
    running({ says: /"value": ?"/ }),
  "DELEGATE_MANAGER_URL=http://127.0.0.1:8081 DELEGATE_ENROLMENT_TOKEN='<value>' DELEGATE_STATE_DIR=./delegate-state servicenow-delegate run":
    running({
      until: READY,
      with: (command, sandbox) => command.replace('<value>', sandbox.enrolmentToken()),
    }),
  'curl -sS -X POST http://127.0.0.1:8081/api/v1/task-signing-keys -H "Authorization: Bearer $MANAGER_API_TOKEN"':
    running({ says: /"kid"/ }),
  'curl -sS -X DELETE http://127.0.0.1:8081/api/v1/task-signing-keys/<kid of the old one> -H "Authorization: Bearer $MANAGER_API_TOKEN"':
    running({
      with: async (command, sandbox) =>
        command.replace('<kid of the old one>', await sandbox.oldSigningKey()),
    }),

  // A manager of one's own
  'openssl rand -hex 16 > own-token': running(),
  'node --import tsx examples/manager/manager.ts own-token examples/task.json': test(
    'test/examples/manager.test.ts',
    "['--import', 'tsx', 'examples/manager/manager.ts', token, file, '0']",
  ),
  'DELEGATE_MANAGER_URL=http://127.0.0.1:8081 DELEGATE_ENROLMENT_TOKEN_FILE=./own-token DELEGATE_STATE_DIR=./delegate-state servicenow-delegate run':
    running({
      until: READY,
      with: (command) => command.replace('./own-token', '/run/secrets/more'),
    }),

  // The fake ServiceNow
  [`curl -d '{"table":"change_request","key":"CHG0030004","state":"Implement"}' $ADMIN/__sim/tickets/move`]:
    running(),
  [`curl -d '{"fault":"rate-limit","seconds":30,"times":1}' $ADMIN/__sim/faults/add`]: running(),
  [`curl -d '{"userName":"svc_deploy","changes":{"lockedOut":true}}' $ADMIN/__sim/users/update`]: running(),
  [`curl -d '[{"role":"itil","requestsPerHour":100}]' $ADMIN/__sim/rate-limits/set`]: running(),
  'curl -X POST $ADMIN/__sim/journal/read': running(),

  // The bench: the last line is run, for a second; the others are the same program with more to do
  'npm run bench': bench(/"bench": .*scripts\/bench\.ts"/, 'package.json'),
  'npm run bench -- --quick': bench(/quick: \{ type: 'boolean'/),
  'npm run bench -- --only=a,c': bench(/only: \{ type: 'string'/),
  'npm run bench -- --json=results.json': bench(/json: \{ type: 'string'/),
  "npm run bench -- --only=a --loads=64 --contestants=delegate --seconds=10 --repetitions=1 --node-arguments='--cpu-prof --cpu-prof-dir=bench-results'":
    running({
      with: (command, sandbox) =>
        command
          .replace('npm run bench --', `cd ${ROOT} && node --import tsx scripts/bench.ts`)
          .replace(
            '--seconds=10',
            `--seconds=1 --folder=${sandbox.path('bench')} --json=${sandbox.path('bench.json')}`,
          )
          .replace('dir=bench-results', `dir=${sandbox.path('bench')}`),
      says: /^\| delegate, 64 in flight \| [\d,]+ \|/m,
    }),

  // Engines and clouds that are not there
  'docker build -t servicenow-delegate .': {
    by: 'stand-in',
    since: '2026-11-24',
    why: 'no Docker engine where tests run',
    looks: [['Dockerfile', /^FROM /m]],
  },
  'docker run --stop-timeout 30 -e DELEGATE_MANAGER_URL=https://manager.example.com -e DELEGATE_ENROLMENT_TOKEN_FILE=/run/secrets/enrolment-token -v "$PWD/enrolment-token:/run/secrets/enrolment-token:ro" -v delegate-state:/var/lib/servicenow-delegate servicenow-delegate':
    {
      by: 'stand-in',
      since: '2026-11-24',
      why: 'no Docker engine where tests run',
      looks: [['Dockerfile', /\/var\/lib\/servicenow-delegate/]],
    },
  'az role assignment create --role "Key Vault Secrets User" --assignee CLIENT_ID --scope /subscriptions/…/vaults/contoso-itsm/secrets/servicenow-password':
    {
      by: 'stand-in',
      since: '2026-11-24',
      why: 'a subscription of Azure, and its command line',
      looks: [['src/secrets/azure-refusals.ts', /Key Vault Secrets /]],
    },
  'gcloud secrets add-iam-policy-binding servicenow-password --role=roles/secretmanager.secretAccessor --member=serviceAccount:delegate@my-project.iam.gserviceaccount.com':
    {
      by: 'stand-in',
      since: '2026-11-24',
      why: 'a project of Google Cloud, and its command line',
      looks: [['src/secrets/gcp-refusals.ts', /Secret Manager Secret Accessor/]],
    },
};
