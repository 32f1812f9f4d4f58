import { z } from 'zod';
import { readEnvironment } from '../config/environment.ts';
import { CommandLineError } from '../config/errors.ts';
import { loadHttpCommand } from '../config/http-address.ts';
import { systemCode, wrap, type DelegateError } from '../kit/errors.ts';
import { statusSchema } from '../observability/status.ts';
import { complain } from './complaint.ts';
import { localError } from './local/errors.ts';
import { PageTooLong, readOwnPage, type Page } from './own-page.ts';
import { OPERATING } from './pages/operating.ts';
import { flagKinds, hintOf } from './pages/page.ts';
import { harmlessJson, jsonText, terminalOf } from './report/layout.ts';
import { statusReport } from './report/status.ts';

const READY = 0;
const NOT_READY = 1;

const ANSWERS_WITHIN_MS = 5_000;

const PATH = '/status.json';

/** Of any version that has it. */
const readySchema = z.object({ readiness: z.object({ ready: z.boolean() }) });

/** `servicenow-delegate status [--url URL] [--json]`: 0 ready · 1 not ready, or no answer. */
export async function status(args: readonly string[]): Promise<0 | 1> {
  const command = { flags: flagKinds(OPERATING.status) };
  const { flags, address } = loadHttpCommand(
    { args, environment: readEnvironment() },
    command,
    hintOf('status'),
  );
  const url = flags.get('url');
  const asked = url === undefined ? new URL(PATH, address()) : statusUrl(url);
  const asJson = flags.has('json');
  try {
    const body = await answerOf(asked);
    const { readiness } = parsed(body, asked);
    process.stdout.write(asJson ? `${harmlessJson(body.trimEnd())}\n` : reportOf(body));
    return readiness.ready ? READY : NOT_READY;
  } catch (thrown) {
    const error = wrap(thrown);
    if (error.code !== 'delegate-not-answering') throw error;
    if (asJson) process.stdout.write(jsonText({ error: error.toWire() }));
    else complain(error);
    return NOT_READY;
  }
}

/** Of an address with or without the path, as people copy it. */
function statusUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new CommandLineError(['--url: must be an address such as http://127.0.0.1:8080'], hintOf('status'));
  }
  return url.pathname.endsWith(PATH) ? url : new URL(url.pathname.replace(/\/*$/, PATH), url);
}

function parsed(body: string, asked: URL): z.infer<typeof readySchema> {
  try {
    return readySchema.parse(JSON.parse(body));
  } catch (thrown) {
    throw notAnswering(asked, 'gave an answer that no delegate gives', thrown);
  }
}

/** What a later or an older version says may be of another shape: its own words are then the best there are. */
function reportOf(body: string): string {
  const read = statusSchema.safeParse(JSON.parse(body));
  return read.success
    ? statusReport(read.data, terminalOf(process.stdout))
    : `${harmlessJson(body.trimEnd())}\n`;
}

async function answerOf(asked: URL): Promise<string> {
  const signal = AbortSignal.timeout(ANSWERS_WITHIN_MS);
  let page: Page;
  try {
    page = await readOwnPage(asked, signal);
  } catch (thrown) {
    throw notAnswering(asked, whyUnanswered(thrown, signal), thrown);
  }
  if (page.status !== 200) throw notAnswering(asked, `answered with HTTP ${page.status}`);
  return page.text;
}

function whyUnanswered(thrown: unknown, signal: AbortSignal): string {
  if (thrown instanceof PageTooLong) return `gave ${thrown.message}`;
  if (signal.aborted) return `gave no answer within ${ANSWERS_WITHIN_MS / 1_000} s`;
  const code = systemCode(thrown) ?? 'unknown';
  return code === 'ECONNREFUSED' ? 'takes no connection: nothing listens there' : `cannot be asked (${code})`;
}

function notAnswering(asked: URL, what: string, cause?: unknown): DelegateError {
  return localError('delegate-not-answering', `${asked.href} ${what}.`, {
    hint: 'Does the delegate run? DELEGATE_HTTP_HOST and DELEGATE_HTTP_PORT, or --url, must say where.',
    cause,
  });
}
