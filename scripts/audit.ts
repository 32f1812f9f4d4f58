import { spawnSync } from 'node:child_process';
import { verdictOf } from './audit/verdict.ts';

/**
 * `npm run audit`: known vulnerabilities of the packages that are shipped. Ends with 1 if there is one, and with 0,
 * saying so, where the registry gives no audits.
 */
const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  encoding: 'utf8',
  timeout: 120_000,
  maxBuffer: 64 * 1_048_576,
});
const { is, text } = verdictOf(stdout);
process.stdout.write(`${text}\n`);
process.exitCode = is === 'vulnerable' ? 1 : 0;
