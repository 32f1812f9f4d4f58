const MAX_ADDRESS_CHARS = 4_096;
const MAX_ATTRIBUTES = 16;
/** A name as OpenTelemetry has them, and some text. */
const ATTRIBUTE = /^[a-z][a-z0-9_.-]{0,127}=.{1,256}$/i;

/**
 * Plain http is accepted: a collector mostly runs beside the delegate or in its cluster, and no secret is in a span.
 * That its headers are not sent that way is seen to by `checkTraces`.
 */
export function checkCollectorAddress(value: unknown): void {
  if (value === '') return;
  const isText = typeof value === 'string' && value.length <= MAX_ADDRESS_CHARS;
  const url = isText && URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('must be an address such as https://collector.example.com:4318');
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(
      'must not hold credentials: they belong into the file of DELEGATE_TRACES_HEADERS_FILE',
    );
  }
  if (url.search !== '' || url.hash !== '') throw new TypeError('must not have a query or a fragment');
}

export function checkResourceAttributes(value: unknown): void {
  if (!Array.isArray(value)) throw new TypeError('must be a list, or text separated by commas');
  if (value.length > MAX_ATTRIBUTES) throw new TypeError(`must have at most ${MAX_ATTRIBUTES} entries`);
  if (!value.every((entry) => typeof entry === 'string' && ATTRIBUTE.test(entry))) {
    throw new TypeError('each entry must be name=value, such as deployment.environment.name=production');
  }
}
