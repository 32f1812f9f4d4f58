import { expect } from 'chai';
import * as fc from 'fast-check';
import { DelegateError } from '../../../src/kit/errors.ts';
import { parseVaultLocator } from '../../../src/secrets/vault/locator.ts';

const BASE = 'https://vault.example.com/v1/';

describe('what a reference makes of the path of a request to Vault', () => {
  it('is that very path, or nothing', () => {
    const piece = fc.constantFrom(
      'kv', 'data', 'app', 'auth', 'sys', 'seal', '/', '//', '.', '..', '#', '?', '%2e', '%2f', '%', '\\', ';', ' ',
      '\0', '\n', '\t', '@', ':', 'é', '\u2025', '\uFF0F', '~', '*', 'http://evil.example', 'password',
    ); // prettier-ignore
    const locator = fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(fc.oneof(locator, fc.string()), (text) => {
        let path: string;
        try {
          path = parseVaultLocator(text).path.join('/');
        } catch (thrown) {
          expect(thrown).to.be.instanceOf(DelegateError).with.property('code', 'secret-reference-invalid');
          return;
        }
        expect(new URL(BASE + path).href).to.equal(BASE + path);
        expect(text.startsWith(`${path}#`)).to.equal(true);
        expect(path).to.not.match(/^(auth|sys|identity|cubbyhole)(\/|$)/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes what Vault takes in names, as far as nobody can read it in two ways', () => {
    expect(parseVaultLocator('team-a/kv/svc_1@prod/a.b+c=d#pass.word')).to.deep.equal({
      path: ['team-a', 'kv', 'svc_1@prod', 'a.b+c=d'],
      field: 'pass.word',
    });
  });
});
