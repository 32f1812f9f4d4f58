import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readCommand } from '../../src/secrets/exec/definitions.ts';
import { SECRET_ERRORS } from '../../src/secrets/errors.ts';
import { PROVIDER_KINDS } from '../../src/secrets/providers.ts';
import { failureOf } from '../support/failure.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { vaultBench } from '../secrets/vault/support.ts';

const page = readFileSync(new URL('../../docs/secrets.md', import.meta.url), 'utf8');

function block(language: string, holding: string): string {
  const blocks = Array.from(page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm), ([, is, text = '']) => ({
    is,
    text,
  }));
  const found = blocks.find(({ is, text }) => is === language && text.includes(holding));
  if (found === undefined) throw new Error(`the page has no ${language} with ${holding}`);
  return found.text;
}

describe('docs/secrets.md', () => {
  const directory = tempDirs();
  leavesNothingOpen();

  for (const [scheme, { setting }] of Object.entries(PROVIDER_KINDS)) {
    it(`has a line for ${scheme}, with what switches it on`, () => {
      const line = page.split('\n').find((one) => one.startsWith(`| \`${scheme}:`)) ?? '';
      expect(line).to.contain(setting ?? 'always on');
    });
  }

  it('explains codes that there are', () => {
    const named = Array.from(page.matchAll(/^\| `([a-z-]+)` /gm), ([, code = '']) => code).filter((code) =>
      /^(secret|exec)-/.test(code),
    );
    expect(named).to.have.length.above(10);
    expect(named.filter((code) => !Object.hasOwn(SECRET_ERRORS, code))).to.deep.equal([]);
  });

  it('defines a command that the delegate takes', async () => {
    const path = join(await directory(), 'exec.yaml');
    const text = block('yaml', 'DELEGATE_EXEC_SECRETS_FILE').replace('/usr/local/bin/keeper', '/bin/echo');
    await writeFile(path, text, { mode: 0o600 });
    expect(await readCommand(path, 'servicenow-password')).to.deep.include({
      timeoutMs: 5_000,
      maxBytes: 4_096,
    });
  });

  it('has the very line that a refusal of Vault asks for', async () => {
    await using bench = await vaultBench(await directory());
    bench.vault.mount('kv', 2);
    bench.vault.denied.add('kv/data/servicenow');
    const error = await failureOf(bench.resolve(bench.open(), 'vault:kv/servicenow#password'));
    expect(error.hint).to.contain(block('hcl', 'capabilities').trim());
  });
});
