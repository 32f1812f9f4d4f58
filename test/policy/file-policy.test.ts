import { expect } from 'chai';
import * as fc from 'fast-check';
import { IMPLIED_TABLES } from '../../src/policy/file-policy.ts';
import { asked, type Judged } from './judged.ts';
import {
  askFor,
  CHECK,
  denialIn,
  fateOf,
  INSTANCE,
  policyFrom,
  rejectionOf,
  requestFor,
  TOKEN_SERVER,
  VALIDATE,
} from './support.ts';

const SIGNAL = new AbortController().signal;
const TABLE = `${INSTANCE}/api/now/table/change_request`;

describe('a policy by file', () => {
  const policy = policyFrom();

  it('says what it is', () => {
    expect(policy.hash).to.match(/^sha-256:[\w-]{43}$/);
    expect(policy.requireSignedTasks).to.equal(true);
    expect(policy.maxRows).to.equal(50);
    expect(policy.maxAnswerBytes).to.equal(16 * 1_048_576);
    expect(policy.summary).to.deep.equal({
      policy: 'file',
      hash: policy.hash,
      instances: 2,
      tokenServers: 2,
      secrets: 3,
      signedTasks: 'required',
    });
  });

  it('names the rules that allow a task', () => {
    expect(policy.authorize(askFor({ tokenServer: TOKEN_SERVER }))).to.deep.equal([
      `instances[0] ${INSTANCE}`,
      `instances[0] ${INSTANCE}: tasks`,
      `instances[0] ${INSTANCE}: tables`,
      `tokenServers[0] ${TOKEN_SERVER}, for instances[0] ${INSTANCE}`,
    ]);
  });

  describe('and a task', () => {
    const denied: readonly [what: string, ask: Parameters<typeof askFor>[0], code: string][] = [
      ['another instance', { instance: 'https://evil.example' }, 'policy.instance-not-allowed'],
      ['a context path that no rule has', { instance: `${INSTANCE}/itsm` }, 'policy.instance-not-allowed'],
      [
        'the origin of a rule with a path',
        { instance: 'https://acme.example' },
        'policy.instance-not-allowed',
      ],
      ['another port', { instance: `${INSTANCE}:8443` }, 'policy.instance-not-allowed'],
      [
        'a host that ends alike',
        { instance: 'https://evil-acme.service-now.com' },
        'policy.instance-not-allowed',
      ],
      ['a host that begins alike', { instance: `${INSTANCE}.evil.example` }, 'policy.instance-not-allowed'],
      ['plain http', { instance: 'http://acme.service-now.com' }, 'policy.https-required'],
      ['loopback', { instance: 'https://127.0.0.1' }, 'policy.loopback-refused'],
      ['a network that is denied', { instance: 'https://10.1.2.3' }, 'policy.address-refused'],
      ['another task', { task: VALIDATE }, 'policy.task-not-allowed'],
      ['a task of a later version', { task: `${CHECK}.all` }, 'policy.task-not-allowed'],
      ['another table', { tables: ['incident'] }, 'policy.table-not-allowed'],
      ['one table too many', { tables: ['change_request', 'sys_user'] }, 'policy.table-not-allowed'],
      [
        'another token server',
        { tokenServer: 'https://evil.example/token' },
        'policy.token-server-not-allowed',
      ],
      [
        'another path there',
        { tokenServer: 'https://login.acme.example/other' },
        'policy.token-server-not-allowed',
      ],
      ['a query there', { tokenServer: `${TOKEN_SERVER}?to=evil` }, 'policy.token-server-not-allowed'],
      ['a path behind it', { tokenServer: `${TOKEN_SERVER}/x` }, 'policy.token-server-not-allowed'],
      [
        'a token server of no instance',
        { tokenServer: 'https://unused.example/token' },
        'policy.token-server-not-allowed',
      ],
      [
        'the instance itself for tokens',
        { tokenServer: `${INSTANCE}/oauth_token.do` },
        'policy.token-server-not-allowed',
      ],
    ];
    for (const [what, ask, code] of denied) {
      it(`with ${what} is denied, with the rule and what to add`, () => {
        const denial = denialIn(() => policy.authorize(askFor(ask)));
        expect(denial?.code).to.equal(code);
        expect(denial?.category).to.equal('policy');
        expect(denial?.retryable).to.equal(false);
        expect(denial?.details?.['rule']).to.be.a('string');
        if (code.endsWith('-not-allowed')) expect(denial?.hint).to.match(/adds .+ to .+ and restarts/);
      });
    }

    it('names the line that would allow it', () => {
      const denial = denialIn(() =>
        policy.authorize(askFor({ instance: 'https://new.example', tables: ['a'] })),
      );
      expect(denial?.hint).to.contain(
        `{ url: https://new.example, tasks: [${CHECK}], tables: [a] } to instances`,
      );
    });

    it('is explained thing by thing', () => {
      const judged = policy.explain(askFor({ task: VALIDATE, tables: ['incident', 'change_request'] }));
      expect(judged.map(asked)).to.deep.equal([
        ['instance', INSTANCE, true],
        ['task', VALIDATE, false],
        ['table', 'incident', false],
        ['table', 'change_request', true],
      ] satisfies Judged[]);
    });
  });

  /** Spellings of the instance that other programs take for another one, or for the same. */
  const spellings: readonly [what: string, url: string, isAllowed: boolean][] = [
    ['as the rule has it', INSTANCE, true],
    ['in capitals, which a URL makes small', 'HTTPS://ACME.Service-Now.COM', true],
    ['with the default port, which a URL leaves out', `${INSTANCE}:443`, true],
    ['with full-width letters, which a URL makes plain', 'https://ａｃｍｅ.service-now.com', true],
    ['with an ideographic full stop, which a URL makes a dot', 'https://acme。service-now.com', true],
    ['with a dot at the end', 'https://acme.service-now.com.', false],
    ['with a Cyrillic letter', 'https://аcme.service-now.com', false],
    ['as punycode of that', 'https://xn--cme-5cd.service-now.com', false],
    ['as a user name', 'https://acme.service-now.com@evil.example', false],
    ['with a backslash', 'https://evil.example\\@acme.service-now.com', false],
    ['with a hyphen that is soft', 'https://ac\u00ADme.service-now.com', true],
    ['below a host of the attacker', 'https://acme.service-now.com.evil.example', false],
  ];
  for (const [what, url, isAllowed] of spellings) {
    it(`compares what is sent: ${what}`, () => {
      const target = new URL(`${url.replace(/\/$/, '')}/api/now/table/change_request?sysparm_limit=1`);
      // What the sender makes of it is the only reading that counts.
      expect(isAllowed).to.equal(target.origin === INSTANCE);
      expect(fateOf(policy, requestFor(target)) === 'sent').to.equal(isAllowed);
      expect(denialIn(() => policy.authorize(askFor({ instance: url }))) === undefined).to.equal(isAllowed);
    });
  }

  describe('and a request', () => {
    const sent: readonly [what: string, url: string, method?: 'POST'][] = [
      ['a read of a table', `${TABLE}?sysparm_limit=50`],
      ['a read by a query', `${TABLE}?sysparm_query=number%3DCHG1%5EORDERBYsys_id&sysparm_limit=2`],
      ['a read below a context path', 'https://acme.example/itsm/api/now/table/task?sysparm_limit=1'],
      ['a POST to a token endpoint', TOKEN_SERVER, 'POST'],
      ['a POST anywhere at an origin that is listed whole', 'https://unused.example/a/b?c=d', 'POST'],
    ];
    for (const [what, url, method = 'GET'] of sent) {
      it(`is sent: ${what}`, () => {
        expect(fateOf(policy, requestFor(url, { method }))).to.equal('sent');
      });
    }

    const NO = 'policy.request-not-allowed';
    const refused: readonly [what: string, url: string, code: string, method?: 'POST' | 'HEAD'][] = [
      ['to a stranger', 'https://evil.example/x?sysparm_limit=1', 'policy.destination-not-allowed'],
      ['a read without a limit', TABLE, NO],
      ['a read of too many rows', `${TABLE}?sysparm_limit=51`, NO],
      ['a read with two limits', `${TABLE}?sysparm_limit=1&sysparm_limit=9999`, NO],
      ['a read with a limit that is none', `${TABLE}?sysparm_limit=-1`, NO],
      ['a read with a limit in another notation', `${TABLE}?sysparm_limit=1e4`, NO],
      ['a read of another table', `${INSTANCE}/api/now/table/sys_user?sysparm_limit=1`, NO],
      ['a read of one record', `${TABLE}/${'0'.repeat(32)}?sysparm_limit=1`, NO],
      ['a read below a path of nobody', `${INSTANCE}/x/api/now/table/change_request?sysparm_limit=1`, NO],
      [
        'a read at the origin of a rule with a path',
        'https://acme.example/api/now/table/task?sysparm_limit=1',
        NO,
      ],
      ['a read of another API', `${INSTANCE}/api/now/attachment?sysparm_limit=1`, NO],
      ['a read of a page', `${INSTANCE}/sys_user_list.do?sysparm_limit=1`, NO],
      ['a read of a token server', `${TOKEN_SERVER}?sysparm_limit=1`, NO],
      ['a POST to a table', `${TABLE}?sysparm_limit=1`, NO, 'POST'],
      ['a POST to the instance', `${INSTANCE}/oauth_token.do`, NO, 'POST'],
      ['a POST to another path of a token server', 'https://login.acme.example/other', NO, 'POST'],
      ['a HEAD', `${TABLE}?sysparm_limit=1`, NO, 'HEAD'],
      [
        'a POST to the API at an origin that is listed whole',
        'https://unused.example/api/now/table/x',
        NO,
        'POST',
      ],
      ['a table in capitals', `${INSTANCE}/api/now/table/CHANGE_REQUEST?sysparm_limit=1`, NO],
    ];
    for (const [what, url, code, method = 'GET'] of refused) {
      it(`is not sent: ${what}`, () => {
        expect(fateOf(policy, requestFor(url, { method }))).to.equal(code);
      });
    }

    it('may read what a task reads that is allowed there, and only there', () => {
      for (const table of IMPLIED_TABLES[VALIDATE] ?? []) {
        const path = `/api/now/table/${table}?sysparm_limit=1`;
        expect(fateOf(policy, requestFor(`https://acme.example/itsm${path}`))).to.equal('sent');
        if (table === 'change_request') continue;
        expect(fateOf(policy, requestFor(INSTANCE + path))).to.equal(NO);
      }
    });
  });

  it('denies networks beside those that nobody may reach, by every address that leads there', () => {
    for (const address of ['10.0.0.1', '::ffff:10.0.0.1', '64:ff9b::a00:1', '2002:a00:1::', 'fd00:1234::1']) {
      expect(denialIn(() => policy.assertAddress(address))?.details).to.deep.equal({
        rule: 'network.deniedAddresses',
        address,
      });
    }
    expect(denialIn(() => policy.assertAddress('169.254.169.254'))?.details?.['rule']).to.equal(
      'address-refused',
    );
    expect(denialIn(() => policy.assertAddress('192.0.2.1'))).to.equal(undefined);
    expect(denialIn(() => policy.assertAddress('fd00:1235::1'))).to.equal(undefined);
  });

  it('can not allow loopback: only the operator can', () => {
    const local = `version: 1
instances: [{ url: 'http://127.0.0.1:8080', tasks: [${CHECK}], tables: [change_request] }]
secrets: []
signedTasks: optional
`;
    const ask = askFor({ instance: 'http://127.0.0.1:8080' });
    expect(denialIn(() => policyFrom(local).authorize(ask))?.code).to.equal('policy.loopback-refused');
    expect(denialIn(() => policyFrom(local, true).authorize(ask))).to.equal(undefined);
  });

  it('says which proxy an origin has', () => {
    const proxied = policyFrom(`version: 1
instances: [{ url: '${INSTANCE}', tasks: [], tables: [], proxy: 'http://proxy.example:3128' }]
tokenServers: [{ url: '${TOKEN_SERVER}', proxy: direct }]
secrets: []
signedTasks: optional
`);
    expect(proxied.proxyFor(INSTANCE)).to.equal('http://proxy.example:3128');
    expect(proxied.proxyFor('https://login.acme.example')).to.equal('direct');
    expect(proxied.proxyFor('https://elsewhere.example')).to.equal(undefined);
  });

  describe('and a secret', () => {
    const HOME = INSTANCE;
    const LOGIN = 'https://login.acme.example';
    const cases: readonly [reference: string, origins: readonly string[], isAllowed: boolean][] = [
      ['env:SN_PASSWORD', [HOME], true],
      ['env:SN_PASSWORD', [], true],
      ['env:SN_PASSWORD', [LOGIN], false],
      ['env:SN_PASSWORD', [HOME, LOGIN], false],
      ['env:SN_PASSWORD', ['https://acme.service-now.com.evil.example'], false],
      ['env:SN_PASSWORD', ['http://acme.service-now.com'], false],
      ['env:SN_PASSWORDS', [HOME], false],
      ['env:sn_password', [HOME], false],
      ['ENV:SN_PASSWORD', [HOME], false],
      ['env:OTHER', [], false],
      ['file:oidc/secret', [LOGIN], true],
      ['file:oidc/deeper/secret', [LOGIN], false],
      ['file:oidc/', [LOGIN], false],
      ['file:oidc/..', [LOGIN], false],
      ['file:oidc/../keys', [LOGIN], false],
      ['file:oidc/%2e%2e', [LOGIN], false],
      ['file:oidc/a\\b', [LOGIN], false],
      ['file:oidc/..data', [LOGIN], false],
      ['file:oidc/a#b', [LOGIN], false],
      ['file:oidc/a b', [LOGIN], false],
      ['file:oidc/a\n', [LOGIN], false],
      ['file:./oidc/secret', [LOGIN], false],
      ['file:keys/signing.pem', [], true],
      ['file:keys/signing.pem', [HOME], false],
    ];
    for (const [reference, origins, isAllowed] of cases) {
      it(`${JSON.stringify(reference)} ${isAllowed ? 'may' : 'may not'} go to ${JSON.stringify(origins)}`, async () => {
        const denial = await rejectionOf(policy.admitSecret(reference, origins, SIGNAL));
        expect(denial?.code).to.equal(isAllowed ? undefined : 'policy.secret-not-allowed');
      });
    }

    // With a matcher that tries every way, this one reference would keep the delegate for most of a minute.
    it('is judged at once, however its name was made for a rule with many *', async () => {
      const starred = policyFrom(`
version: 1
instances: []
secrets: [{ reference: 'file:*a*a*a*az', hosts: [] }]
signedTasks: optional
`);
      const made = `file:${'a'.repeat(500)}`;
      expect((await rejectionOf(starred.admitSecret(made, [], SIGNAL)))?.code).to.equal(
        'policy.secret-not-allowed',
      );
      expect(await rejectionOf(starred.admitSecret(`${made}z`, [], SIGNAL))).to.equal(undefined);
    });

    it('is denied with the line that would allow it', async () => {
      const denial = await rejectionOf(policy.admitSecret('env:OTHER', [HOME], SIGNAL));
      expect(denial?.message).to.equal('No rule of the policy file is for the secret env:OTHER.');
      expect(denial?.hint).to.contain(`{ reference: 'env:OTHER', hosts: [${HOME}] } to secrets`);
      const elsewhere = await rejectionOf(policy.admitSecret('env:SN_PASSWORD', [HOME, LOGIN], SIGNAL));
      expect(elsewhere?.message).to.contain(`does not let the secret env:SN_PASSWORD go to ${LOGIN}.`);
    });

    it('is not quoted where it may be the value itself', async () => {
      for (const pasted of ['hunter2 and more', 'env:hunter2!"', 'P@ss/w0rd']) {
        const denial = await rejectionOf(policy.admitSecret(pasted, [HOME], SIGNAL));
        expect(JSON.stringify(denial?.toWire())).to.not.contain(pasted).and.not.contain('hunter2');
      }
    });
  });

  describe('whatever is asked', () => {
    const hosts = ['acme.service-now.com', 'login.acme.example', 'evil.example', 'acme.service-now.com.'];
    const urls = fc
      .record({
        scheme: fc.constantFrom('https', 'http'),
        user: fc.constantFrom('', 'a@', 'acme.service-now.com@'),
        host: fc.constantFrom(...hosts),
        port: fc.constantFrom('', ':443', ':8443'),
        path: fc
          .tuple(
            fc.constantFrom('', '/api/now/table/change_request', '/oauth/token'),
            fc.array(
              fc.constantFrom(
                '/',
                '/api',
                '/now',
                '/table',
                '/change_request',
                '/incident',
                '/oauth',
                '/token',
                '%2e%2e',
                '/..',
                '%2f',
                '\\',
                ';x',
                '%00',
              ),
              { maxLength: 7 },
            ),
          )
          .map(([first, rest]) => [first, ...rest]),
        query: fc.constantFrom(
          '',
          '?sysparm_limit=1',
          '?sysparm_limit=51',
          '?sysparm_limit=1&sysparm_limit=2',
          '#x',
        ),
      })
      .map(
        (parts) =>
          `${parts.scheme}://${parts.user}${parts.host}${parts.port}${parts.path.join('')}${parts.query}`,
      )
      .filter((text) => URL.canParse(text));

    it('sends nothing that no rule names', () => {
      fc.assert(
        fc.property(
          urls,
          fc.constantFrom('GET' as const, 'POST' as const, 'HEAD' as const),
          (text, method) => {
            const request = requestFor(text, { method });
            if (fateOf(policy, request) !== 'sent') return;
            const { href } = request.url;
            if (method === 'POST') expect(href).to.equal(TOKEN_SERVER);
            else
              expect(href).to.match(
                /^https:\/\/acme\.service-now\.com\/api\/now\/table\/change_request\?sysparm_limit=1$/,
              );
          },
        ),
        { numRuns: 3_000 },
      );
    });

    it('authorizes nothing that no rule names', () => {
      const anyOf = (...texts: string[]): fc.Arbitrary<string> =>
        fc.oneof(fc.constantFrom(...texts), fc.string());
      fc.assert(
        fc.property(
          urls,
          anyOf(CHECK, VALIDATE),
          fc.array(anyOf('change_request', 'incident', '__proto__', 'constructor')),
          fc.option(urls, { nil: undefined }),
          (instance, task, tables, tokenServer) => {
            const ask = askFor({
              instance,
              task,
              tables,
              ...(tokenServer === undefined ? {} : { tokenServer }),
            });
            if (denialIn(() => policy.authorize(ask)) !== undefined) return;
            expect(ask.instance.origin).to.equal(INSTANCE);
            expect(task).to.equal(CHECK);
            expect(new Set(tables)).to.satisfy((set: Set<string>) =>
              [...set].every((one) => one === 'change_request'),
            );
            if (ask.tokenServer !== undefined) expect(ask.tokenServer.href).to.equal(TOKEN_SERVER);
          },
        ),
        { numRuns: 2_000 },
      );
    });

    it('admits no secret to where no rule sends it', async () => {
      const references = fc.oneof(
        fc.constantFrom('env:SN_PASSWORD', 'file:oidc/x', 'file:keys/signing.pem'),
        fc.string().map((text) => `file:oidc/${text}`),
        fc.string(),
      );
      await fc.assert(
        fc.asyncProperty(
          references,
          fc.subarray([INSTANCE, 'https://login.acme.example', 'https://evil.example']),
          async (reference, origins) => {
            if ((await rejectionOf(policy.admitSecret(reference, origins, SIGNAL))) !== undefined) return;
            const home = reference.startsWith('env:') ? INSTANCE : 'https://login.acme.example';
            if (reference === 'file:keys/signing.pem') expect(origins).to.deep.equal([]);
            else {
              expect(reference).to.match(/^(?:env:SN_PASSWORD|file:oidc\/[^/\\%#?\s]+)$/u);
              expect(origins.every((origin) => origin === home)).to.equal(true);
            }
          },
        ),
        { numRuns: 2_000 },
      );
    });
  });
});
