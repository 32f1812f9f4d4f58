import { get } from 'node:http';
import { readEnvironment } from '../config/environment.ts';
import { loadHttpAddress } from '../config/http-address.ts';
import { systemCode, wrap } from '../kit/errors.ts';

/** Less than an orchestrator's patience, which is a few seconds: what it is told is then a sentence, not a kill. */
const ANSWERS_WITHIN_MS = 2_500;

/**
 * `servicenow-delegate healthcheck`: whether the delegate of these settings is alive, for the health check of a container
 * that has no shell and no curl. It knows 0 and 1 alone, because Docker keeps every other code for itself.
 */
export async function healthcheck(args: readonly string[]): Promise<0 | 1> {
  try {
    const url = `${loadHttpAddress({ args, environment: readEnvironment() })}/livez`;
    const complaint = await complaintOf(url);
    if (complaint === undefined) return 0;
    process.stderr.write(`${url} ${complaint}\n`);
  } catch (thrown) {
    process.stderr.write(`${wrap(thrown).message}\n`);
  }
  return 1;
}

/** What is wrong with the answer; undefined: nothing. */
async function complaintOf(url: string): Promise<string | undefined> {
  const signal = AbortSignal.timeout(ANSWERS_WITHIN_MS);
  try {
    const status = await statusOf(url, signal);
    return status === 200 ? undefined : `answered ${status}`;
  } catch (thrown) {
    if (signal.aborted) return `gave no answer within ${ANSWERS_WITHIN_MS} ms`;
    return `cannot be asked (${systemCode(thrown) ?? 'unknown'})`;
  }
}

async function statusOf(url: string, signal: AbortSignal): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    // A connection of its own, closed with the answer: nothing keeps the process.
    const request = get(url, { agent: false, signal }, (response) => {
      resolve(response.statusCode);
      response.destroy();
    });
    request.on('error', reject);
  });
}
