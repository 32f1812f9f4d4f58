/** Run as a process of its own: `visitor.ts send|probe <url>` prints what the client met, as JSON. */
import { wrap } from '../../src/kit/errors.ts';
import { client, get } from './support.ts';

const [what, href = ''] = process.argv.slice(2);
const url = new URL(href);

await using http = client();
const request = get(url);
const met = await (what === 'probe' ? http.probe(url, request.signal) : http.send(request)).catch(
  (error: unknown) => wrap(error).toWire(),
);
process.stdout.write(JSON.stringify(met));
