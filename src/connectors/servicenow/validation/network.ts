import type { DelegateError } from '../../../kit/errors.ts';
import type { ConnectionFacts } from '../../../kit/http-exchange.ts';
import { boundedWords } from '../../../kit/text.ts';
import type { ConnectorDeps } from '../../connector.ts';
import type { CheckList, Finding } from './check-list.ts';
import { validationError } from './errors.ts';

const EXPIRES_SOON_MS = 30 * 24 * 60 * 60 * 1_000;
/** Of a name in a certificate; RFC 5280 allows 64. */
const MAX_NAME_CHARS = 128;

type Look =
  | { readonly url: URL; readonly facts: ConnectionFacts }
  | { readonly url: URL; readonly failure: unknown; readonly said: string };

/**
 * The origins that can be reached, each over the connection that the real call will use. All are tried, also after
 * one has failed: two firewall rules that are missing are one request to the people who own the firewall. No secret
 * is needed for it.
 */
export async function checkNetwork(
  urls: readonly URL[],
  deps: Pick<ConnectorDeps, 'http' | 'scrub'>,
  list: CheckList,
): Promise<ReadonlySet<string>> {
  const targets = [...new Map(urls.map((url) => [url.origin, url])).values()];
  const reached = await list.run('network', 'Hosts can be reached', async ({ signal, clock }) => {
    const looks = await Promise.all(targets.map((url) => lookAt(url, deps.http, signal)));
    return findingOf(looks, deps.scrub, clock.now());
  });
  return reached ?? new Set();
}

async function lookAt(url: URL, http: ConnectorDeps['http'], signal: AbortSignal): Promise<Look> {
  try {
    return { url, facts: await http.probe(url, signal) };
  } catch (failure) {
    const said = failure instanceof Error ? failure.message.replace(/\.$/, '') : '';
    return { url, failure, said };
  }
}

function findingOf(
  looks: readonly Look[],
  scrub: (text: string) => string,
  now: number,
): Finding<ReadonlySet<string>> {
  return {
    value: new Set(looks.flatMap((look) => ('facts' in look ? [look.url.origin] : []))),
    detail: looks
      .map((look) => ('facts' in look ? describe(look.url, look.facts, scrub) : look.said))
      .join('; '),
    failures: looks.flatMap((look) => ('facts' in look ? [] : [look.failure])),
    warnings: looks.flatMap((look) => ('facts' in look ? expiryWarnings(look.url, look.facts, now) : [])),
  };
}

function describe(url: URL, { address, tls }: ConnectionFacts, scrub: (text: string) => string): string {
  if (tls === undefined) return `${url.host} at ${address}, no TLS`;
  const [subject, issuer] = [tls.subject, tls.issuer].map((name) =>
    boundedWords(scrub(name), MAX_NAME_CHARS),
  );
  return `${url.host} at ${address}, ${tls.protocol}, certificate of ${subject} by ${issuer} until ${tls.validTo.slice(0, 10)}`;
}

function expiryWarnings({ host }: URL, { tls }: ConnectionFacts, now: number): DelegateError[] {
  if (tls === undefined || Date.parse(tls.validTo) - now > EXPIRES_SOON_MS) return [];
  const message = `The TLS certificate of ${host} ends on ${tls.validTo.slice(0, 10)}.`;
  return [
    validationError('network.certificate-expires-soon', message, { details: { host, validTo: tls.validTo } }),
  ];
}
