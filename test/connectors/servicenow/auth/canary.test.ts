import type { RequestListener, ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { expect } from 'chai';
import type { ConnectionFacts } from '../../../../src/kit/http-exchange.ts';
import type { TaskType } from '../../../../src/connectors/connector.ts';
import {
  startFakeAdfs,
  type DevelopmentCertificate,
  type FakeAdfs,
} from '../../../../src/dev/fake-identity/index.ts';
import type { FaultName } from '../../../../src/dev/fake-servicenow/index.ts';
import {
  connectorTo,
  joinAdfs,
  listen,
  openBench,
  QUESTION,
  taskContext,
  tasksOf,
  type AuthInput,
  type Bench,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { certificatesFor } from '../../../support/certificates.ts';

/** Time for a task, less than an instance that is down is left in peace for. */
const NO_PAUSE_MS = 2_900;
const PASSPHRASE = 'canary-passphrase-of-the-key';

type Tell = (all: string, response: ServerResponse) => void;

/** Repeats it in the forms of errors. */
const tellsInErrors =
  (status: number): Tell =>
  (all, response) => {
    const isForToken = response.req.method === 'POST';
    response.writeHead(status, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        error: isForToken ? 'invalid_grant' : { message: all, detail: all },
        error_description: all,
      }),
    );
  };

const tells =
  (status: number, type: string, write: (all: string) => string | Buffer): Tell =>
  (all, response) =>
    void response.writeHead(status, { 'content-type': type }).end(write(all));

const tellsInHeader =
  (status: number, header: string, write: (all: string) => string): Tell =>
  (all, response) =>
    void response.writeHead(status, { [header]: write(headerSafe(all)) }).end();

/** As bytes of UTF-8, which no type of a header's text allows for. */
function headerSafe(text: string): string {
  return Buffer.from(text.replaceAll(/\p{Cc}/gu, ' '), 'utf8').toString('latin1');
}

function beyondAscii(text: string, write: (unit: number) => string): string {
  return text.replaceAll(/[^ -~]/g, (unit) => write(unit.charCodeAt(0)));
}

/** What JSON may write for a character, and some encoders write for all beyond ASCII. */
const asciiJson = (text: string): string =>
  beyondAscii(JSON.stringify(text), (unit) => `\\u${unit.toString(16).padStart(4, '0')}`);

const inMarkup = (text: string): string =>
  beyondAscii(
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;'),
    (unit) => `&#${unit};`,
  );

/** Where else a server may put what it was sent. */
const PLACES: Readonly<Record<string, Tell>> = {
  'JSON of its own, in ASCII': tells(403, 'application/json', (all) => `{"message": ${asciiJson(all)}}`),
  'plain text': tells(403, 'text/plain', (all) => all),
  'plain text in ISO-8859-1': tells(400, 'text/plain; charset=ISO-8859-1', (all) =>
    Buffer.from(all, 'latin1'),
  ),
  base64: tells(403, 'text/plain', (all) => Buffer.from(`you said ${all}`, 'utf8').toString('base64')),
  'a page and its title': tells(400, 'text/html', (all) => `<title>${inMarkup(all)}</title>${inMarkup(all)}`),
  'a page of success': tells(200, 'text/html', (all) => `<p>${inMarkup(all)}</p>`),
  'an envelope in XML': tells(
    403,
    'application/xml',
    (all) => `<response><error><message>${inMarkup(all)}</message></error></response>`,
  ),
  'an error beside rows': tells(200, 'application/json', (all) =>
    JSON.stringify({ result: [{ number: all }], error: { message: all }, status: 'failure' }),
  ),
  rows: tells(200, 'application/json', (all) => JSON.stringify({ result: [{ number: all, [all]: all }] })),
  'half of a row': tells(200, 'application/json', (all) => `{"result":[{"number":${asciiJson(all)}`),
  'the target of a redirect': tellsInHeader(302, 'location', (all) => `https://elsewhere.example/${all}`),
  'the host of a redirect': tellsInHeader(302, 'location', (all) => `https://${all.replaceAll(' ', '.')}/`),
  'its content type': tellsInHeader(200, 'content-type', (all) => `text/${all}`),
  'its encoding': tellsInHeader(200, 'content-encoding', (all) => all),
  'its rate limit': tellsInHeader(429, 'x-ratelimit-rule', (all) => all),
  'the time to come back': tellsInHeader(429, 'retry-after', (all) => all),
  'the parts of a URL': tells(400, 'text/plain', (all) => new URLSearchParams({ all }).toString()),
  'its words beside the status': (all, response) => void response.writeHead(500, headerSafe(all)).end(),
};

/** A token that repeats it, and that nobody has signed. */
const tellsInToken: Tell = (all, response) => {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = `${part({ alg: 'none' })}.${part({ iss: all, aud: ['other', all], sub: all })}.c2lnbmF0dXJl`;
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 600 }));
};

/** Every form in which a value could be recognised again. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8');
  // What base64 makes of it wherever it stands in a longer text, without the characters its neighbours touch.
  const inside = [0, 1, 2].map((offset) =>
    Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .slice(offset === 0 ? 0 : offset + 1, -4),
  );
  return [
    value,
    encodeURIComponent(value),
    new URLSearchParams({ v: value }).toString().slice(2),
    JSON.stringify(value).slice(1, -1),
    asciiJson(value).slice(1, -1),
    inMarkup(value),
    bytes.toString('latin1'),
    // What a cut would leave of it.
    ...(value.length < 24 || value.includes('\n') ? [] : [value.slice(8, 20), value.slice(-12)]),
    bytes.toString('hex'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    ...inside,
  ].filter((form) => form.length >= 6);
}

describe('no secret leaves with what a task says', () => {
  let own: DevelopmentCertificate;
  let stranger: DevelopmentCertificate;
  let signing: DevelopmentCertificate;
  let bench: Bench;
  let adfs: FakeAdfs;
  /** What servers of the test were sent: headers of authorization, and forms. */
  let heard: { authorization: string; form: URLSearchParams }[];

  before(async () => {
    [own, stranger, signing] = await certificatesFor('delegate', 'stranger', 'signing');
  });
  beforeEach(async () => {
    heard = [];
    [bench, adfs] = await Promise.all([openBench(), startFakeAdfs({ signing })]);
  });
  afterEach(async () => {
    await bench[Symbol.asyncDispose]();
    await adfs.close();
  });

  const set = (name: string, value: string): void => void bench.surroundings.secrets.set(name, value);

  /** One secret of each kind; the user's name is one, too. */
  const auths: Record<string, { valid: () => AuthInput; spoil: () => void }> = {
    UsernamePassword: {
      valid: () => {
        bench.asUser('svc_deploy');
        set('username', 'svc_deploy');
        return {
          type: 'UsernamePassword',
          spec: { usernameRef: 'test:username', passwordRef: 'test:password-of-svc_deploy' },
        };
      },
      spoil: () => set('password-of-svc_deploy', 'canary: wröng/pass+word&="✓"'),
    },
    AdfsClientCredentialsWithCertificate: {
      valid: () => {
        const auth = joinAdfs(bench, adfs, own);
        set('private-key', own.encryptedPkcs8Pem(PASSPHRASE));
        set('passphrase', PASSPHRASE);
        return { ...auth, spec: { ...auth.spec, passphraseRef: 'test:passphrase' } };
      },
      spoil: () => set('private-key', stranger.encryptedPkcs8Pem(PASSPHRASE)),
    },
    RefreshTokenGrantType: {
      valid: () => bench.byRefreshToken(),
      spoil: () => set('refresh-token', 'canary/refresh+token=that&nobody knows'),
    },
  };

  /** A server that has somebody tell all that it was sent: headers and body, as they came and decoded. */
  const parrot =
    (tell: Tell): RequestListener =>
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        const { authorization = '' } = request.headers;
        heard.push({ authorization, form: new URLSearchParams(body) });
        const decoded = Buffer.from(authorization.split(' ')[1] ?? '', 'base64').toString('utf8');
        const form = decodeURIComponent(body.replaceAll('+', ' '));
        tell([authorization, decoded, body, form].join(' '), response);
      });
    };

  /** The secrets of the test, and whatever was derived from them and travelled. */
  const canaries = (): string[] => {
    const { secrets } = bench.surroundings;
    const sent = [
      ...bench.instance.journal().map(({ headers }) => headers.authorization ?? ''),
      ...heard.map(({ authorization }) => authorization),
    ];
    const assertions = [
      ...adfs.journal().map(({ form }) => form['client_assertion'] ?? ''),
      ...heard.map(({ form }) => form.get('client_assertion') ?? ''),
    ];
    const bodies = own.pkcs8Pem.split('\n').filter((line) => line.length === 64);
    return [
      ...secrets.values(),
      ...sent.flatMap((header) => header.split(' ').slice(1)),
      ...assertions,
      ...bodies,
    ];
  };

  const expectClean = (text: string): void => {
    for (const canary of canaries()) {
      for (const form of formsOf(canary)) {
        if (text.includes(form))
          throw new Error(`leaked ${inspect(form.slice(0, 60))} in ${text.slice(0, 2_000)}`);
      }
    }
  };

  /** Runs it as the delegate does; answers how it ended. */
  const runClean = async (task: TaskType, input: unknown): Promise<string> => {
    const { redactor } = bench.surroundings;
    const context = taskContext({ timeMs: NO_PAUSE_MS });
    let thrown: unknown;
    const watched: TaskType = {
      ...task,
      prepare(raw) {
        const prepared = task.prepare(raw);
        return {
          run: (within) =>
            prepared.run(within).catch((error: unknown) => {
              thrown = error;
              throw error;
            }),
        };
      },
    };
    const outcome = await bench.outcome(watched, input, context);
    expectClean(JSON.stringify(outcome));
    expectClean(inspect(outcome, { depth: 20, maxStringLength: null }));
    expectClean(JSON.stringify(redactor.scrubDeep([context.logged, context.progressed])));
    // The error as a log would write it, its causes and stack included.
    expectClean(redactor.scrub(inspect(thrown, { depth: 20, maxStringLength: null })));
    expectClean(JSON.stringify(redactor.scrubDeep(thrown) ?? null));
    return outcome.outcome;
  };

  const inputOf = (auth: AuthInput, url = bench.instance.url): Record<string, unknown> => ({
    connector: connectorTo(url, auth),
    ...QUESTION,
  });

  leavesNothingOpen();

  for (const [type, { valid, spoil }] of Object.entries(auths)) {
    describe(type, () => {
      const both = async (auth: AuthInput, url?: string): Promise<string[]> => [
        await runClean(bench.tasks.check, inputOf(auth, url)),
        // Of a connector of its own, which knows nothing of a pause that the first has brought on.
        await runClean(tasksOf(bench.surroundings.deps).validate, inputOf(auth, url)),
      ];

      it('when all is well', async () => {
        expect(await both(valid())).to.deep.equal(['succeeded', 'succeeded']);
      });

      it('when the credentials are wrong', async () => {
        const auth = valid();
        spoil();
        expect(await both(auth)).to.deep.equal(['failed', 'succeeded']);
      });

      it('when the ticket has it in a field that the criteria ask for', async () => {
        const auth = valid();
        for (const value of bench.surroundings.secrets.values()) {
          bench.instance.tickets.patch('change_request', QUESTION.ticket.number, {
            short_description: value,
          });
          const conditions = [{ key: 'short_description', operator: 'equals', value: 'approved' }];
          const question = { ...QUESTION, approvalCriteria: { type: 'KeyValues', spec: { conditions } } };
          const input = { ...inputOf(auth), ...question };
          expect(await runClean(bench.tasks.check, input)).to.equal('succeeded');
        }
      });

      it('when a certificate of the server is made out to it', async () => {
        const auth = valid();
        const { http, ...others } = bench.surroundings.deps;
        for (const name of bench.surroundings.secrets.values()) {
          const tls = {
            protocol: 'TLSv1.3',
            subject: name,
            issuer: name,
            validTo: '2027-01-01T00:00:00.000Z',
          };
          const probe = (): Promise<ConnectionFacts> => Promise.resolve({ address: '192.0.2.1', tls });
          const { validate } = tasksOf({ ...others, http: { send: http.send, probe } });
          expect(await runClean(validate, inputOf(auth))).to.equal('succeeded');
        }
      });

      it('when a secret is missing', async () => {
        const auth = valid();
        for (const name of bench.surroundings.secrets.keys()) {
          if (/password-of|private-key|refresh-token/.test(name)) bench.surroundings.secrets.delete(name);
        }
        expect(await both(auth)).to.deep.equal(['failed', 'succeeded']);
      });

      for (const fault of [
        'sso-redirect',
        'login-html',
        'gateway-503',
        'forbidden-acl',
        'truncate',
        'ok-with-error',
        'reset-before-headers',
      ] satisfies FaultName[]) {
        it(`when ServiceNow answers ${fault}`, async () => {
          const auth = valid();
          bench.instance.faults.add({ fault, match: { route: 'table' } });
          expect(await both(auth)).to.deep.equal(['failed', 'succeeded']);
        });
      }

      for (const status of [400, 401, 403, 500]) {
        it(`when a server of status ${status} repeats all that it was sent`, async () => {
          await using server = await listen(parrot(tellsInErrors(status)));
          expect(await both(valid(), server.url)).to.deep.equal(['failed', 'succeeded']);
        });
      }

      for (const [place, tell] of Object.entries(PLACES)) {
        it(`when a server repeats all that it was sent in ${place}`, async () => {
          await using server = await listen(parrot(tell));
          expect(await both(valid(), server.url)).to.deep.equal(['failed', 'succeeded']);
        });
      }
    });
  }

  const tokenServers: Readonly<Record<string, Tell>> = {
    'an error of status 200': tellsInErrors(200),
    'an error of status 400': tellsInErrors(400),
    'an error of status 401': tellsInErrors(401),
    'an error of status 403': tellsInErrors(403),
    'a token': tellsInToken,
    ...PLACES,
  };
  for (const [place, tell] of Object.entries(tokenServers)) {
    it(`when a token server repeats all that it was sent in ${place}`, async () => {
      await using server = await listen(parrot(tell));
      const { AdfsClientCredentialsWithCertificate: signed, RefreshTokenGrantType: refresh } = auths;
      for (const [auth, address] of [
        [refresh?.valid(), { tokenUrl: `${server.url}/token` }],
        [signed?.valid(), { adfsUrl: server.url }],
      ] as const) {
        if (auth === undefined) throw new Error('both are in the table');
        const input = inputOf({ ...auth, spec: { ...auth.spec, ...address } });
        expect(await runClean(bench.tasks.check, input)).to.equal('failed');
        expect(await runClean(tasksOf(bench.surroundings.deps).validate, input)).to.equal('succeeded');
      }
    });
  }
});
