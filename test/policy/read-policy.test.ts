import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { policyJsonSchema } from '../../src/policy/json-schema.ts';
import { MAX_POLICY_BYTES, readPolicyFile } from '../../src/policy/read-policy.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { complaintsOf, fileOf, INSTANCE, POLICY } from './support.ts';

const MINIMAL = `version: 1
instances: []
secrets: []
signedTasks: optional
`;

/** The minimal file with one section in another's place. */
function withSection(name: string, yaml: string): string {
  return MINIMAL.replace(new RegExp(`^${name}:.*\\n`, 'm'), '') + `${name}: ${yaml}\n`;
}

describe('a policy file', () => {
  it('becomes a document without optional fields', () => {
    expect(fileOf(MINIMAL).document).to.deep.equal({
      version: 1,
      instances: [],
      tokenServers: [],
      secrets: [],
      limits: { maxRows: 1_000, maxAnswerBytes: 16_777_216 },
      signedTasks: 'optional',
      network: { deniedAddresses: [] },
    });
  });

  it('is known by the hash of its bytes', () => {
    const hash = createHash('sha256').update(POLICY).digest('base64url');
    expect(fileOf(POLICY).hash).to.equal(`sha-256:${hash}`);
    expect(fileOf(`${POLICY}# a comment\n`).hash).to.not.equal(`sha-256:${hash}`);
  });

  it('may be JSON', () => {
    expect(fileOf(JSON.stringify(fileOf(POLICY).document)).document).to.deep.equal(fileOf(POLICY).document);
  });

  it('is told all of its mistakes at once, each with its place', () => {
    expect(
      complaintsOf(`version: 2
allow: everything
instances:
  - url: https://acme.service-now.com/
    tasks: servicenow.approval.check
    tables: [Change_Request, 3]
    proxyy: direct
secrets:
  - { reference: 'SN_PASSWORD', hosts: [https://acme.service-now.com/path] }
limits: { maxRows: 1 }
`),
    ).to.deep.equal([
      '1:1 signedTasks: is missing',
      '1:10 version: must be 1',
      '2:1 there is no "allow" here',
      '4:10 instances[0].url: must be the address of an instance in small letters, such as https://acme.service-now.com, with its context path if it has one, and nothing behind it',
      '5:12 instances[0].tasks: must be a list',
      '6:14 instances[0].tables[0]: must be the name of a table, such as change_request',
      '6:30 instances[0].tables[1]: must be text; a number, true or false needs quotes',
      '7:5 instances[0]: there is no "proxyy" here',
      '9:18 secrets[0].reference: must be a secret reference, such as env:SN_PASSWORD or file:servicenow/*',
      '9:41 secrets[0].hosts[0]: must be a host or an origin in small letters, such as acme.service-now.com',
      '10:20 limits.maxRows: must be a whole number from 2 to 10000',
    ]);
  });

  const refused: readonly [what: string, yaml: string | Uint8Array, complaint: RegExp][] = [
    ['nothing at all', '', /^must be a mapping of keys$/],
    ['a list', '- 1', /must be a mapping of keys/],
    ['bytes that are not UTF-8', Buffer.from([0x76, 0xff, 0xfe]), /^is not text in UTF-8$/],
    ['more than 256 KiB', Buffer.alloc(MAX_POLICY_BYTES + 1, '#'), /^has more than 262144 bytes$/],
    ['the same key twice', `${MINIMAL}secrets: []\n`, /^5:1 the same key stands here twice$/],
    ['an alias', withSection('secrets', '&a []\nlimits: *a'), /anchors and aliases .* are not taken/],
    ['an anchor that nobody uses', withSection('secrets', '&a []'), /anchors and aliases .* are not taken/],
    ['a tag', withSection('secrets', '!!set {}'), /tags \(!name\) are not taken/],
    ['a tag that says what is so anyway', withSection('secrets', '!!seq []'), /tags \(!name\) are not taken/],
    // Of another version, YAML has merge keys, and takes `on` for true.
    [
      'a directive',
      `%YAML 1.1\n---\n${MINIMAL}<<: { limits: { maxRows: 9999 } }\n`,
      /directives \(%NAME\) are not/,
    ],
    [
      'a directive of its own',
      `%TAG ! tag:acme.example,2026:\n---\n${MINIMAL}`,
      /directives \(%NAME\) are not/,
    ],
    ['an unknown tag', withSection('secrets', '!include other.yaml'), /tags \(!name\) are not taken/],
    ['two documents', `${MINIMAL}---\n${MINIMAL}`, /a second document begins here/],
    ['a merge key', `${MINIMAL}<<: { secrets: [] }\n`, /there is no "<<" here/],
    ['__proto__', `${MINIMAL}__proto__: { signedTasks: optional }\n`, /there is no "__proto__" here/],
    ['an open bracket', withSection('secrets', '['), /indentation does not fit/],
    ['a depth of 100,000', '['.repeat(100_000), /nested too deeply|not valid YAML/],
    ['a depth of 50 that is closed', `${'['.repeat(50)}${']'.repeat(50)}`, /nested too deeply/],
    ['a null', withSection('secrets', 'null'), /secrets: must be a list/],
  ];
  for (const [what, yaml, complaint] of refused) {
    it(`is not taken with ${what}`, () => {
      const complaints = complaintsOf(yaml);
      expect(complaints.join('\n')).to.match(complaint);
      expect(complaints.length).to.be.at.most(51);
    });
  }

  it('is not quoted where it is no policy: a key file may have been given in its place', () => {
    const secret = 'c0rrect-h0rse';
    for (const text of [secret, `password: ${secret} : x`, `a: [${secret}\nb: "`, `version: ${secret}`]) {
      const complaints = complaintsOf(text);
      expect(complaints).to.not.deep.equal([]);
      expect(complaints.join('\n')).to.not.contain(secret);
    }
  });

  const spellings: readonly [field: string, text: string, complaint: string][] = [
    ['capital letters', 'https://ACME.service-now.com', 'in small letters'],
    ['a slash at the end', 'https://acme.service-now.com/', 'nothing behind it'],
    [
      'the default port',
      'https://acme.service-now.com:443',
      'must be written as https://acme.service-now.com',
    ],
    ['a dot at the end', 'https://acme.service-now.com.', 'without the dot at its end'],
    ['a user name', 'https://acme@service-now.com', 'small letters'],
    ['a wildcard', 'https://*.service-now.com', 'small letters'],
    ['a query', 'https://acme.service-now.com?x=1', 'small letters'],
    ['a fragment', 'https://acme.service-now.com#x', 'small letters'],
    ['an encoded path', 'https://acme.service-now.com/%2e%2e/x', 'small letters'],
    [
      'a moving path',
      'https://acme.service-now.com/a/../b',
      'must be written as https://acme.service-now.com/b',
    ],
    ['a doubled slash', 'https://acme.service-now.com//itsm', 'small letters'],
    ['letters that look alike', 'https://аcme.service-now.com', 'small letters'],
    ['a number for an address', 'https://2130706433', 'must be written as https://127.0.0.1'],
    ['plain http', 'http://acme.service-now.com', 'must be https'],
    ['no scheme', 'acme.service-now.com', 'small letters'],
    ['another scheme', 'ftp://acme.service-now.com', 'small letters'],
    ['a line break', '"https://acme.service-now.com\\n"', 'small letters'],
  ];
  for (const [what, text, complaint] of spellings) {
    it(`has one spelling for an instance, and not ${what}`, () => {
      const section = `[{ url: ${text.startsWith('"') ? text : `'${text}'`}, tasks: [], tables: [] }]`;
      expect(complaintsOf(withSection('instances', section)).join('\n')).to.contain(complaint);
    });
  }

  for (const [what, reference] of [
    ['a moving segment', 'file:a/../b'],
    ['an empty segment', 'file:a//b'],
    ['the second name of a Kubernetes mount', 'file:sn/..data/password'],
    ['no provider', '*'],
    ['a wildcard for the provider', '*:SN_PASSWORD'],
  ] as const) {
    it(`has no secret reference with ${what}`, () => {
      const section = `[{ reference: '${reference}', hosts: [] }]`;
      expect(complaintsOf(withSection('secrets', section))).to.have.length(1);
    });
  }

  it('contradicts itself in no rule', () => {
    const twice = `  - { url: ${INSTANCE}, tasks: [], tables: [], tokenServers: [https://a.example] }\n`;
    const complaints = complaintsOf(`version: 1
instances:
${twice}${twice}tokenServers:
  - { url: https://b.example, proxy: direct }
  - { url: https://b.example/token, proxy: 'http://proxy.example:3128' }
secrets:
  - { reference: 'env:A', hosts: [] }
  - { reference: 'env:A', hosts: [b.example] }
signedTasks: optional
`);
    expect(complaints.map((complaint) => complaint.replace(/^[\d:]+ /, ''))).to.have.members([
      'instances[1].url: is in instances[0] already',
      'instances[0].tokenServers[0]: is not the url of any entry of tokenServers',
      'instances[1].tokenServers[0]: is not the url of any entry of tokenServers',
      'tokenServers[1].proxy: another rule for https://b.example names another proxy',
      'secrets[1].reference: is in secrets[0] already',
    ]);
  });

  for (const [what, proxy] of [
    ['a password', 'http://user:secret@proxy.example:3128'],
    ['no port', 'http://proxy.example'],
    ['another protocol', 'socks5://proxy.example:1080'],
  ] as const) {
    it(`names no proxy with ${what}`, () => {
      const section = `[{ url: ${INSTANCE}, tasks: [], tables: [], proxy: '${proxy}' }]`;
      const complaints = complaintsOf(withSection('instances', section)).join('\n');
      expect(complaints).to.contain('proxy: must be direct, or the address of a proxy with its port');
      expect(complaints).to.not.contain('secret@');
    });
  }
});

describe('the policy file on the disk', () => {
  const directory = tempDirs();

  leavesNothingOpen();

  it('is read', async () => {
    const path = join(await directory(), 'policy.yaml');
    await writeFile(path, POLICY);
    const linked = join(await directory(), 'link.yaml');
    await symlink(path, linked);
    expect(readPolicyFile(path)).to.deep.equal({ ok: true, file: fileOf(POLICY) });
    expect(readPolicyFile(linked).ok).to.equal(true);
  });

  it('is a complaint if it is not there, a folder, or without an end', async () => {
    const folder = await directory();
    await mkdir(join(folder, 'folder'));
    for (const [path, message] of [
      [join(folder, 'missing.yaml'), 'there is no such file'],
      [join(folder, 'folder'), 'this is a folder, or no plain file'],
      ['/dev/zero', 'this is a folder, or no plain file'],
    ] as const) {
      const reading = readPolicyFile(path);
      expect(reading.ok ? [] : reading.complaints.map((complaint) => complaint.message)).to.deep.equal([
        message,
      ]);
    }
  });
});

describe('config/policy.schema.json', () => {
  it('is what scripts/write-policy-schema.ts makes of the code', () => {
    const shipped = readFileSync(new URL('../../config/policy.schema.json', import.meta.url), 'utf8');
    expect(JSON.parse(shipped)).to.deep.equal(JSON.parse(policyJsonSchema()));
  });
});
