import type { IncomingMessage, ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { expect } from 'chai';
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
  type AuthInput,
  type Bench,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { certificatesFor } from '../../../support/certificates.ts';

const PASSPHRASE = 'canary-passphrase-of-the-key';

/** A server that repeats all that it was sent, in every place where an error's text may come from. */
function repeats(status: number): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const { authorization = '' } = request.headers;
      const [, encoded = ''] = authorization.split(' ');
      const decoded = Buffer.from(encoded, 'base64').toString('utf8');
      const all = [authorization, decoded, body, decodeURIComponent(body.replaceAll('+', ' '))].join(' ');
      response.writeHead(status, { 'content-type': 'application/json' }).end(
        JSON.stringify({
          error: request.method === 'POST' ? 'invalid_grant' : { message: all, detail: all },
          error_description: all,
        }),
      );
    });
  };
}

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

  before(async () => {
    [own, stranger, signing] = await certificatesFor('delegate', 'stranger', 'signing');
  });
  beforeEach(async () => {
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

  /** The secrets of the test, and whatever was derived from them and travelled. */
  const canaries = (): string[] => {
    const { secrets } = bench.surroundings;
    const derived = bench.instance
      .journal()
      .flatMap(({ headers }) => headers.authorization?.split(' ').slice(1) ?? []);
    const assertions = adfs.journal().flatMap(({ form }) => form['client_assertion'] ?? []);
    const bodies = own.pkcs8Pem.split('\n').filter((line) => line.length === 64);
    return [...secrets.values(), ...derived, ...assertions, ...bodies];
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
    const context = taskContext();
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
        await runClean(bench.tasks.validate, inputOf(auth, url)),
      ];

      it('when all is well', async () => {
        expect(await both(valid())).to.deep.equal(['succeeded', 'succeeded']);
      });

      it('when the credentials are wrong', async () => {
        const auth = valid();
        spoil();
        expect(await both(auth)).to.deep.equal(['failed', 'succeeded']);
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
          await using parrot = await listen(repeats(status));
          expect(await both(valid(), parrot.url)).to.deep.equal(['failed', 'succeeded']);
        });
      }
    });
  }

  for (const status of [200, 400, 401, 403]) {
    it(`when a token server of status ${status} repeats all that it was sent`, async () => {
      await using parrot = await listen(repeats(status));
      const { AdfsClientCredentialsWithCertificate: signed, RefreshTokenGrantType: refresh } = auths;
      for (const [auth, address] of [
        [refresh?.valid(), { tokenUrl: `${parrot.url}/token` }],
        [signed?.valid(), { adfsUrl: parrot.url }],
      ] as const) {
        if (auth === undefined) throw new Error('both are in the table');
        const input = inputOf({ ...auth, spec: { ...auth.spec, ...address } });
        expect(await runClean(bench.tasks.check, input)).to.equal('failed');
        expect(await runClean(bench.tasks.validate, input)).to.equal('succeeded');
      }
    });
  }
});
