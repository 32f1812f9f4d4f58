import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { DelegateError } from '../../src/kit/errors.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { createSecrets, type SecretsOptions } from '../../src/secrets/index.ts';
import { NO_STORES } from '../support/no-stores.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';

const SILENT = { info: () => {}, warn: () => {} };
const OUTSIDE = 'value-that-no-reference-may-reach';

describe('a secret reference', () => {
  let home: string;
  let directory: string;

  before(() => {
    home = mkdtempSync(join(tmpdir(), 'delegate-secrets-'));
    directory = join(home, 'secrets');
    mkdirSync(join(directory, 'sub', 'deep'), { recursive: true });
    writeFileSync(join(home, 'outside'), OUTSIDE);
    mkdirSync(join(home, 'secrets-of-others'));
    writeFileSync(join(home, 'secrets-of-others', 'a'), OUTSIDE);
    const files: Record<string, string | Buffer> = {
      plain: 'file-value',
      'sub/deep/..data.pem': 'nested-value',
      newline: 'line one\nline two\r\n',
      'two-newlines': 'value\n\n',
      empty: '',
      'only-newline': '\n',
      bom: '\uFEFFvalue',
      latin1: Buffer.from('pässword', 'latin1'),
      largest: 'x'.repeat(65_536),
      large: 'x'.repeat(1_048_576),
    };
    for (const [name, contents] of Object.entries(files)) writeFileSync(join(directory, name), contents);
    symlinkSync(join(home, 'outside'), join(directory, 'link-out'));
    symlinkSync('../outside', join(directory, 'relative-link-out'));
    symlinkSync(join(home, 'secrets-of-others'), join(directory, 'folder-link-out'));
    symlinkSync('sub', join(directory, 'folder-link'));
    symlinkSync('plain', join(directory, 'link'));
    symlinkSync('gone', join(directory, 'dangling'));
    symlinkSync('circle', join(directory, 'circle'));
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    // As Kubernetes mounts a secret: the name leads through a link that is swapped when the secret changes.
    mkdirSync(join(directory, '..2026_11_23'));
    writeFileSync(join(directory, '..2026_11_23', 'mounted'), 'mounted-value');
    symlinkSync('..2026_11_23', join(directory, '..data'));
    symlinkSync('..data/mounted', join(directory, 'mounted'));
  });

  after(() => {
    rmSync(home, { recursive: true });
  });

  async function resolve(reference: string, options: Partial<SecretsOptions> = {}): Promise<string> {
    const secrets = createSecrets({
      environment: {
        PATH: OUTSIDE,
        DELEGATE_ENROLMENT_TOKEN: OUTSIDE,
        DELEGATE_SECRET_: OUTSIDE,
        'DELEGATE_SECRET_A-B': OUTSIDE,
        DELEGATE_SECRET_PASSWORD: 'env-value',
        DELEGATE_SECRET_EMPTY: '',
        DELEGATE_SECRET_lower_1: 'lower-value',
      },
      directory,
      names: {},
      writable: [],
      admit: () => Promise.resolve(),
      log: SILENT,
      protect: (value) => new Redactor().register(value),
      ...options,
    });
    const secret = await secrets.resolve(reference, { signal: AbortSignal.timeout(5_000), origins: [] });
    return secret.reveal();
  }

  async function failure(reference: string, options: Partial<SecretsOptions> = {}): Promise<DelegateError> {
    try {
      await resolve(reference, options);
    } catch (error) {
      if (error instanceof DelegateError) return error;
      throw error;
    }
    throw new Error('the reference was resolved');
  }

  const resolved: Record<string, string> = {
    'env:PASSWORD': 'env-value',
    'env:lower_1': 'lower-value',
    'file:plain': 'file-value',
    'file:sub/deep/..data.pem': 'nested-value',
    'file:folder-link/deep/..data.pem': 'nested-value',
    'file:./plain': 'file-value',
    'file:link': 'file-value',
    'file:mounted': 'mounted-value',
    'file:..data/mounted': 'mounted-value',
    'file:newline': 'line one\nline two',
    'file:two-newlines': 'value\n',
    'file:bom': 'value',
    'file:largest': 'x'.repeat(65_536),
  };
  leavesNothingOpen();

  for (const [reference, value] of Object.entries(resolved)) {
    it(`${reference} is resolved`, async () => {
      expect(await resolve(reference)).to.equal(value);
    });
  }

  const invalid = [
    'env:',
    'env:../X',
    'env:A-B',
    'env:A.B',
    'env: PASSWORD',
    'env:PASSWORD ',
    'env:PASSWORD\n',
    'env:PASSWORD\0',
    'env:PÄSS',
    'env:1A',
    `env:${'A'.repeat(129)}`,
    'ENV:PASSWORD',
    'Env:PASSWORD',
    ' env:PASSWORD',
    'env::PASSWORD',
    'volt:secret/data/a',
    '__proto__:PASSWORD',
    'constructor:PASSWORD',
    'toString:x',
    'file:',
    'file:/etc/passwd',
    'file:///etc/passwd',
    'file:../outside',
    'file:../../etc/passwd',
    'file:sub/../../outside',
    'file:sub/../plain',
    'file:..',
    'file:.',
    'file:sub//plain',
    'file:plain/',
    'file:%2e%2e/outside',
    'file:..%2foutside',
    'file:..\\outside',
    'file:sub\\..\\..\\outside',
    'file:C:\\secrets',
    'file:plain\0',
    'file:plain\n',
    'file:~/.ssh/id',
    'file:$HOME/a',
    'file:link-out',
    'file:relative-link-out',
    'file:folder-link-out/a',
    'file:folder-link-out',
    'file:sub',
    'file:fifo',
    'file:large',
    `file:${'a'.repeat(600)}`,
    '',
    ' ',
    ':',
  ];
  for (const reference of invalid) {
    const title = JSON.stringify(reference.length > 40 ? `${reference.slice(0, 40)}…` : reference);
    it(`${title} is invalid`, async () => {
      const error = await failure(reference);
      expect(error).to.include({ code: 'secret-reference-invalid', category: 'secret', retryable: false });
    });
  }

  describe("to what is the delegate's own, though it lies in the folder of secrets,", () => {
    const own: [string, string[], string][] = [
      ['by its path', ['plain'], 'file:plain'],
      ['by a link to it', ['plain'], 'file:link'],
      ['where the setting names a link', ['link'], 'file:plain'],
      ['where both are links of Kubernetes', ['..data/mounted'], 'file:mounted'],
      ['below a folder', ['sub'], 'file:sub/deep/..data.pem'],
      ['below a folder that a link leads to', ['folder-link'], 'file:sub/deep/..data.pem'],
      ['by a link to its folder', ['sub'], 'file:folder-link/deep/..data.pem'],
      ['where all of it is', ['.'], 'file:plain'],
    ];
    for (const [how, places, reference] of own) {
      it(`${how}, leads to nothing`, async () => {
        const error = await failure(reference, { ownPlaces: places.map((place) => join(directory, place)) });
        expect(error).to.include({ code: 'secret-reference-invalid' });
        expect(error.message).to.contain('has its own setting');
      });
    }

    it('leads to nothing where a cloud has put its token there', async () => {
      for (const variable of ['AZURE_FEDERATED_TOKEN_FILE', 'GOOGLE_APPLICATION_CREDENTIALS']) {
        const environment = { [variable]: join(directory, 'plain') };
        expect((await failure('file:link', { environment })).message).to.contain('has its own setting');
      }
    });

    it('leaves its neighbours alone, and is not missed when it is gone', async () => {
      const ownPlaces = [join(directory, 'gone'), join(directory, 'plai'), join(directory, 'sub', 'dee')];
      expect(await resolve('file:plain', { ownPlaces })).to.equal('file-value');
      expect(await resolve('file:sub/deep/..data.pem', { ownPlaces })).to.equal('nested-value');
    });

    it('leads to nothing where Kubernetes has mounted a Secret, which has its name already', async () => {
      const reference = 'file:sub/deep/..data.pem';
      const stores = {
        settings: { ...NO_STORES, kubernetesDirectory: join(directory, 'sub') },
        ports: {
          send: () => Promise.reject(new Error('nobody is asked')),
          clock: systemClock,
          protect: (value: string) => new Redactor().register(value),
          permit: () => {},
          scrub: (text: string) => text,
          log: SILENT,
        },
      };
      expect(await resolve('file:plain', { stores })).to.equal('file-value');
      expect((await failure(reference, { stores })).message).to.contain('has its own setting');
    });
  });

  const missing = [
    'env:PATH',
    'env:_',
    'env:__proto__',
    'env:constructor',
    'env:toString',
    'env:hasOwnProperty',
    'env:DELEGATE_SECRET_PASSWORD',
    'file:gone',
    'file:gone/deeper',
    'file:plain/below-a-file',
    'file:dangling',
    'PASSWORD',
    '__proto__',
    'constructor',
    'toString',
  ];
  for (const reference of missing) {
    it(`${reference} is not found`, async () => {
      expect(await failure(reference)).to.include({ code: 'secret-not-found', category: 'secret' });
    });
  }

  for (const reference of ['env:EMPTY', 'file:empty', 'file:only-newline']) {
    it(`${reference} is refused as empty, since an empty password is never meant`, async () => {
      expect(await failure(reference)).to.include({ code: 'secret-empty', category: 'secret' });
    });
  }

  for (const reference of ['file:latin1', 'file:circle']) {
    it(`${reference} cannot be read`, async () => {
      expect(await failure(reference)).to.include({ code: 'secret-unreadable', category: 'secret' });
    });
  }

  for (const [reference, setting] of [
    ['kubernetes:a/b', 'DELEGATE_KUBERNETES_SECRETS_DIR'],
    ['exec:a', 'DELEGATE_EXEC_SECRETS_FILE'],
    ['vault:kv/a#b', 'DELEGATE_VAULT_ADDRESS'],
  ] as const) {
    it(`${reference} names the setting that would switch its store on`, async () => {
      const error = await failure(reference);
      expect(error).to.include({ code: 'secret-store-off', category: 'secret' });
      expect(error.hint).to.contain(setting);
    });
  }

  it('to a file needs a secrets folder', async () => {
    const error = await failure('file:plain', { directory: undefined });
    expect(error).to.include({ code: 'secret-store-off' });
    expect(error.hint).to.contain('DELEGATE_SECRETS_DIR');
    expect(await failure('file:plain', { directory: join(home, 'gone') })).to.include({
      code: 'secret-not-found',
    });
  });

  it('to a file works when the folder itself is reached by a link', async () => {
    symlinkSync(directory, join(home, 'alias'));
    expect(await resolve('file:plain', { directory: join(home, 'alias') })).to.equal('file-value');
  });

  it('names the variable to set', async () => {
    expect((await failure('env:TOKEN')).hint).to.contain('DELEGATE_SECRET_TOKEN');
  });

  it('by name is resolved through what the name stands for', async () => {
    const names = { 'servicenow.password': 'env:PASSWORD', certificate: 'file:plain' };
    expect(await resolve('servicenow.password', { names })).to.equal('env-value');
    expect(await resolve('certificate', { names })).to.equal('file-value');
  });

  it('by name is not followed from name to name', async () => {
    const names = { a: 'b', b: 'env:PASSWORD' };
    expect(await failure('a', { names })).to.include({ code: 'secret-reference-invalid' });
  });

  const pasted = [
    'hunter2',
    'Tr0ub4dor.and-3',
    'correct horse battery',
    'user:hunter2',
    'hunter2:x',
    'env:p@ssw0rd!',
    'file:/p@ss/w0rd',
    'eyJhbGciOiJub25lIn0.e30.',
    '-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----',
  ];
  for (const value of pasted) {
    it(`is not echoed when it is a pasted value such as ${JSON.stringify(value)}`, async () => {
      const told = JSON.stringify((await failure(value)).toWire());
      for (const word of value.match(/[\w@!-]{5,}/g) ?? []) expect(told).to.not.contain(word);
    });
  }

  it('reaches nothing outside, whatever it says', async () => {
    const piece = fc.constantFrom(
      'env:', 'file:', '..', '.', '/', '\\', '%2e', '%2f', '\0', '\n', ' ', ':', '~', home, 'outside', 'secrets',
      'link-out', 'folder-link-out', 'a', 'PATH', 'DELEGATE_', 'SECRET_', 'plain', 'sub', '__proto__',
    ); // prettier-ignore
    const reference = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
    await fc.assert(
      fc.asyncProperty(reference, async (text) => {
        const outcome = await resolve(text).catch((error: unknown) => error);
        if (outcome instanceof DelegateError) expect(outcome.code).to.match(/^secret-/);
        else expect(outcome).to.equal('file-value');
      }),
      { numRuns: 500 },
    );
  });

  it('given to a task that has ended is not read', async () => {
    const secrets = createSecrets({
      environment: {},
      directory,
      names: {},
      writable: [],
      admit: () => Promise.resolve(),
      log: SILENT,
      protect: (value) => new Redactor().register(value),
    });
    const reason = new Error('the task was cancelled');
    const outcome = await secrets
      .resolve('file:plain', { signal: AbortSignal.abort(reason), origins: [] })
      .catch((error: unknown) => error);
    expect(outcome).to.equal(reason);
  });

  it('protects what it resolves, before anyone has it', async () => {
    const redactor = new Redactor();
    await resolve('env:PASSWORD', { protect: (value) => redactor.register(value) });
    expect(redactor.scrub('sent env-value')).to.equal('sent [secret]');
  });
});
