import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The built program, as it is shipped; `npm test` builds it first. */
export const CLI = fileURLToPath(new URL('../../dist/cli/index.js', import.meta.url));

interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A command that hangs is killed, and its test fails by the signal. */
const KILLED_AFTER_MS = 60_000;

/**
 * Runs the command line to its end. Nothing of this process's environment but the path goes in.
 *
 * @param program another form of it than the built one
 */
export async function runCli(
  args: readonly string[],
  env: Record<string, string> = {},
  program = CLI,
): Promise<Finished> {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: KILLED_AFTER_MS,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return await new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
