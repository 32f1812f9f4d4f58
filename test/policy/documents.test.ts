import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { policyReport } from '../../src/cli/policy-check.ts';
import { explain, explanationReport } from '../../src/cli/policy-explain.ts';
import { POLICY_ERRORS } from '../../src/policy/errors.ts';
import { IMPLIED_TABLES } from '../../src/policy/file-policy.ts';
import { policyJsonSchema } from '../../src/policy/json-schema.ts';
import { defaultPolicy } from '../../src/policy/policy.ts';
import { remarksOn } from '../../src/policy/review.ts';
import { tellingDenials } from '../../src/policy/told-denials.ts';
import { plainTerminal } from '../cli/support.ts';
import {
  askFor,
  CHECK,
  complaintsOf,
  denialIn,
  fileOf,
  INSTANCE,
  policyFrom,
  rejectionOf,
  requestFor,
  VALIDATE,
} from './support.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const page = read('docs/policy.md');
const EXAMPLE = read('examples/policy.yaml');

describe('docs/policy.md', () => {
  it('has examples that are valid', () => {
    const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml = '']) => yaml);
    expect(blocks).to.have.length(1);
    for (const yaml of [...blocks, EXAMPLE]) expect(complaintsOf(yaml)).to.deep.equal([]);
  });

  it('explains every key of the schema, and no other', () => {
    const keys = new Set([...policyJsonSchema().matchAll(/"(\w+)": \{/g)].map(([, key = '']) => key));
    for (const word of ['properties', 'items', 'default', 'limits', 'network']) keys.delete(word);
    const explained = [...page.matchAll(/^\| `([\w.[\]]+)` +\| (?:yes|no) /gm)].map(([, path = '']) =>
      path.replace(/^.*\./, ''),
    );
    expect(new Set(explained)).to.deep.equal(keys);
  });

  it('names the tables that a task implies', () => {
    for (const [task, tables] of Object.entries(IMPLIED_TABLES)) {
      const line = page.split('\n').find((text) => text.startsWith(`| \`${task}\``)) ?? '';
      for (const table of tables) expect(line).to.contain(`\`${table}\``);
    }
  });
});

describe('policy check', () => {
  it('shows what the file allows, and what is worth a look', () => {
    const { document, hash } = fileOf(EXAMPLE);
    const remarks = remarksOn(document, [CHECK, VALIDATE]);
    const report = policyReport({ operand: 'policy.yaml', document, hash, remarks }, plainTerminal(100));
    expect(report).to.contain(`✓ policy.yaml is valid: ${hash}`);
    expect(report).to.contain('tokens from   https://adfs.example.com/adfs/oauth2/token');
    expect(report).to.contain('file:adfs/client.* → stays on this machine');
    expect(report).to.contain('signed tasks alone');
    expect(report).to.contain('! secrets[1]: env:ADFS_* is every secret that fits it');
  });

  it('remarks on what its owner may not have meant', () => {
    const { document } = fileOf(`version: 1
instances:
  - { url: 'http://127.0.0.1:8080', tasks: [], tables: [sys_user] }
  - { url: ${INSTANCE}, tasks: [${CHECK}, servicenow.ticket.delete], tables: [] }
tokenServers: [{ url: 'https://login.example' }]
secrets: [{ reference: 'env:*', hosts: [nowhere.example] }]
signedTasks: optional
`);
    expect(
      remarksOn(document, [CHECK, VALIDATE]).map(({ path, message }) => `${path}: ${message}`),
    ).to.deep.equal([
      'instances[0]: plain http: only with DELEGATE_ALLOW_LOOPBACK, and only for development',
      'instances[0]: it has no tasks, so that nothing is done there',
      'instances[0]: sys_user is a table of the platform, and none of tickets',
      'instances[1]: this version knows no task servicenow.ticket.delete',
      'instances[1]: it has no tables, so that no ticket is read there',
      'tokenServers[0]: no instance names it, so that nobody gets tokens there',
      'tokenServers[0]: it stands for every path of its host; the address of the token endpoint is narrower',
      'secrets[0]: env:* is every secret that fits it, those to come included',
      'secrets[0]: https://nowhere.example is neither an instance nor a token server, so that nothing is sent there',
      'signedTasks: unsigned tasks are taken: whoever gets hold of the manager may ask for all that is allowed here',
    ]);
    expect(remarksOn(fileOf(EXAMPLE.replaceAll('*', 'X')).document, [CHECK, VALIDATE])).to.deep.equal([]);
  });
});

describe('policy explain', () => {
  const secrets = [
    { field: 'auth.spec.passwordRef', reference: 'sn.password', origins: [INSTANCE] },
    { field: 'auth.spec.keyRef', reference: 'file:keys/signing.pem', origins: [INSTANCE] },
  ];
  const names = { 'sn.password': 'env:SN_PASSWORD' };

  it('says thing by thing what is denied, why, and what would allow it', async () => {
    const explanation = await explain(
      { task: CHECK, asks: [askFor({ tables: ['incident'] })], secrets },
      policyFrom(),
      names,
    );
    expect(explanation.allowed).to.equal(false);
    expect(
      explanation.judgements.map(({ subject, allowed, code }) => [subject, allowed, code]),
    ).to.deep.equal([
      ['instance', true, undefined],
      ['task', true, undefined],
      ['table', false, 'policy.table-not-allowed'],
      ['secret', true, undefined],
      ['secret', false, 'policy.secret-not-allowed'],
    ]);
    const report = explanationReport(explanation, plainTerminal(120));
    expect(report).to.match(/^✗ servicenow\.approval\.check is denied\n/);
    expect(report).to.contain(`✓ secret        auth.spec.passwordRef env:SN_PASSWORD → ${INSTANCE}`);
    expect(report).to.contain('✗ table         incident');
    expect(report).to.contain('→ If it is to be allowed');
  });

  it('explains the default as well', async () => {
    const explanation = await explain(
      { task: CHECK, asks: [askFor({ tokenServer: 'https://login.example' })], secrets },
      defaultPolicy({ allowLoopback: false }),
      names,
    );
    expect(explanation.allowed).to.equal(true);
    expect(explanationReport(explanation, plainTerminal(120))).to.contain(
      '✓ servicenow.approval.check is allowed',
    );
  });
});

describe('the rule of the default', () => {
  for (const [allowLoopback, words] of [
    [false, 'metadata and loopback addresses'],
    [true, 'DELEGATE_ALLOW_LOOPBACK'],
  ] as const) {
    it(`says what is in force ${allowLoopback ? 'in development' : 'in production'}: it stands in the audit log`, () => {
      const [rule] = defaultPolicy({ allowLoopback }).authorize(askFor({}));
      expect(rule).to.contain(words);
    });
  }
});

describe('a denial', () => {
  it('is told once at each border, with its rule', async () => {
    const told: string[] = [];
    const policy = tellingDenials(policyFrom(), ({ code, details }) => {
      expect(details?.['rule']).to.be.a('string');
      told.push(code);
    });
    denialIn(() => policy.authorize(askFor({ task: VALIDATE })));
    denialIn(() => policy.assertUrl(new URL('https://evil.example')));
    denialIn(() => policy.assertRequest(requestFor(`${INSTANCE}/x`)));
    denialIn(() => policy.assertAddress('169.254.169.254'));
    await rejectionOf(policy.admitSecret('env:OTHER', [], new AbortController().signal));
    policy.authorize(askFor({}));
    expect(told).to.deep.equal([
      'policy.task-not-allowed',
      'policy.destination-not-allowed',
      'policy.request-not-allowed',
      'policy.address-refused',
      'policy.secret-not-allowed',
    ]);
    for (const code of told) expect(POLICY_ERRORS).to.have.property(code);
  });
});
