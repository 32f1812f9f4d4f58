import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PROCESS = fileURLToPath(new URL('look-over-tls-process.ts', import.meta.url));

/** A look from a process that trusts this certificate: what Node trusts is fixed when it starts. */
export async function lookOverTls(task: string, url: string, certificatePem: string): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'delegate-look-'));
  try {
    const trusted = join(folder, 'trusted.pem');
    await writeFile(trusted, certificatePem);
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', PROCESS, task, url], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: trusted },
    });
    const outcome: unknown = JSON.parse(stdout);
    return outcome;
  } finally {
    await rm(folder, { recursive: true });
  }
}
