import { z } from 'zod';
import { mediaType, type HttpResponse } from '../../kit/http-exchange.ts';
import { boundedWords } from '../../kit/text.ts';

type Scrub = (text: string) => string;

/** What may be told of an answer: no header but the content type, no field of a record, no secret. */
export interface Evidence {
  /** 'no known content type' if it is not one. */
  readonly contentType: string;
  readonly isPage: boolean;
  /** What the server says in the form of an error, on one line. */
  readonly serverText: string | undefined;
  /** Whether that is the form of ServiceNow's REST APIs. */
  readonly isEnvelope: boolean;
  /** How a body begins that is neither such an error nor might hold records; of a page, without its tags. */
  readonly bodyStart: string | undefined;
}

const MAX_SERVER_TEXT = 300;
const MAX_BODY_START = 120;
/** Beyond this it is no error message; it is neither parsed nor shown. */
const MAX_READ_CHARS = 65_536;
/** As much of a page as its first words are looked for in. */
const MAX_MARKUP_CHARS = 8_192;

/** The error envelope of ServiceNow's REST APIs. `detail` may be null; key order varies. */
const envelopeSchema = z.object({
  error: z.object({ message: z.string().nullish(), detail: z.string().nullish() }),
});

/** RFC 6749, section 5.2: what token endpoints say, and the gateways that are modelled on them. */
const oauthErrorSchema = z.object({ error: z.string(), error_description: z.string().nullish() });

const XML_ENVELOPE = /^\s*(?:<\?xml[^>]*>\s*)?<response>\s*<error>(.*?)<\/error>/s;

export function evidenceOf(response: HttpResponse, scrub: Scrub): Evidence {
  const { body, status } = response;
  const isPage = isHtml(response);
  const isRead = body.length <= MAX_READ_CHARS;
  const json = isRead ? jsonOrUndefined(body) : undefined;
  const envelope = envelopeText(json, scrub) ?? (isRead ? xmlEnvelopeText(body, scrub) : undefined);
  const serverText = envelope ?? oauthErrorText(json, scrub);
  const mayHoldRecords = status < 300 && !isPage && /^\s*[[{<]/.test(body);
  return {
    contentType: describeType(response, scrub),
    isPage,
    serverText,
    isEnvelope: envelope !== undefined,
    bodyStart:
      isRead && serverText === undefined && !mayHoldRecords
        ? firstWords(json === undefined ? body : JSON.stringify(json), isPage, scrub)
        : undefined,
  };
}

/** Scrubbed when decoded: JSON has more ways to write a character than a search for secrets could know. */
export function envelopeText(json: unknown, scrub: Scrub): string | undefined {
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) return undefined;
  const { message, detail } = envelope.data.error;
  return joined([message, detail], scrub);
}

function oauthErrorText(json: unknown, scrub: Scrub): string | undefined {
  const body = oauthErrorSchema.safeParse(json);
  return body.success ? joined([body.data.error, body.data.error_description], scrub) : undefined;
}

function xmlEnvelopeText(body: string, scrub: Scrub): string | undefined {
  const error = XML_ENVELOPE.exec(body)?.[1] ?? '';
  const texts = [/<message>([^<]*)</, /<detail>([^<]*)</].map((tag) => tag.exec(error)?.[1]);
  return joined(
    texts.map((text) => (text === undefined || text === '' ? undefined : decodeReferences(text))),
    scrub,
  );
}

function joined(texts: readonly (string | null | undefined)[], scrub: Scrub): string | undefined {
  const text = texts.filter((part) => typeof part === 'string').join(': ');
  return text.length > MAX_READ_CHARS ? undefined : boundedWords(scrub(text), MAX_SERVER_TEXT);
}

/** Scrubbed before anything is cut out. JSON comes written anew: a search for secrets knows one way of doing that. */
function firstWords(body: string, isPage: boolean, scrub: Scrub): string | undefined {
  const scrubbed = scrub(body);
  return boundedWords(isPage ? wordsOf(scrubbed, scrub) : scrubbed, MAX_BODY_START);
}

/** What a page says; its title only if its text does not say that, too. */
function wordsOf(page: string, scrub: Scrub): string {
  const markup = page.slice(0, MAX_MARKUP_CHARS).replaceAll(/<(script|style)\b[^<>]*>.*?<\/\1\s*>/gis, ' ');
  const head = /<title\b[^<>]*>[^<>]*/i.exec(markup)?.[0] ?? '';
  const title = textOf(head, scrub);
  const text = textOf(markup.replace(head, ''), scrub);
  return text.includes(title) ? text : `${title} ${text}`;
}

/** Scrubbed again when references are resolved, which may have hidden a secret, and before it is respaced. */
function textOf(markup: string, scrub: Scrub): string {
  return scrub(decodeReferences(markup.replaceAll(/<[^<>]*>?/g, ' ')))
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** Of Unicode. */
const MAX_CODE_POINT = 0x10_ffff;

const NAMED_REFERENCES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/** The character references that are usual in an error's text (HTML, section 13.5); others stay as they are. */
function decodeReferences(text: string): string {
  return text.replaceAll(
    /&(?:(amp|lt|gt|quot|apos)|#(\d{1,7}|x[\da-f]{1,6}));/gi,
    (written, name: string | undefined, number: string) => {
      if (name !== undefined) return NAMED_REFERENCES[name.toLowerCase()] ?? written;
      // In front of an x a nought makes it hexadecimal; in front of a digit it changes nothing.
      const codePoint = Number(`0${number}`);
      return codePoint <= MAX_CODE_POINT ? String.fromCodePoint(codePoint) : written;
    },
  );
}

export function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isHtml(response: HttpResponse): boolean {
  const type = mediaType(response);
  if (type === 'application/json') return false;
  return (
    type === 'text/html' ||
    type === 'application/xhtml+xml' ||
    /^\s*(<!doctype html|<html)/i.test(response.body)
  );
}

function describeType({ headers }: HttpResponse, scrub: Scrub): string {
  const type = mediaType({ headers: { 'content-type': scrub(headers['content-type'] ?? '') } });
  return /^[\w.+-]{1,40}\/[\w.+-]{1,60}$/.test(type) ? type : 'no known content type';
}
