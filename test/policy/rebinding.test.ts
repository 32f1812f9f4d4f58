import { expect } from 'chai';
import type { HttpClient } from '../../src/http/client.ts';
import { wrap } from '../../src/kit/errors.ts';
import { client, get, Listener } from '../http/support.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { POLICY, policyFrom } from './support.ts';

describe('a host name that changes its answer', () => {
  let server: Listener;
  let http: HttpClient;
  let answers: string[][];
  let lookups: number;

  beforeEach(async () => {
    answers = [];
    lookups = 0;
    server = await Listener.http((_request, response) => {
      response.setHeader('connection', 'close');
      response.end('reached');
    });
    const policy = policyFrom(POLICY, true);
    http = client({
      guardAddress: (address) => policy.assertAddress(address),
      lookup: (_hostname, _options, callback) => {
        lookups += 1;
        const addresses = answers.shift() ?? [];
        callback(
          null,
          addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        );
      },
    });
  });

  afterEach(async () => {
    await http[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  leavesNothingOpen();

  const call = (): Promise<string> =>
    http.send(get(server.url('/', 'http', 'rebinding.test'))).then(
      ({ body }) => body,
      (thrown: unknown) => wrap(thrown).code,
    );

  it('is judged by the answer that is connected to, once for each connection', async () => {
    answers.push(['127.0.0.1'], ['169.254.169.254'], ['127.0.0.1'], ['10.0.0.1']);
    const outcomes = [await call(), await call(), await call(), await call()];
    expect(outcomes).to.deep.equal([
      'reached',
      'policy.address-refused',
      'reached',
      'policy.address-refused',
    ]);
    expect(lookups).to.equal(4);
    expect(server.accepted).to.equal(2);
  });

  for (const addresses of [
    ['127.0.0.1', '169.254.169.254'],
    ['169.254.169.254', '127.0.0.1'],
    ['127.0.0.1', '::ffff:169.254.169.254'],
    ['127.0.0.1', '::ffff:10.0.0.1'],
    ['127.0.0.1', '64:ff9b::a9fe:a9fe'],
    ['127.0.0.1', 'fd00:ec2::254'],
  ]) {
    it(`is judged by every address of an answer: ${addresses.join(', ')}`, async () => {
      answers.push(addresses);
      expect(await call()).to.equal('policy.address-refused');
      expect(server.accepted).to.equal(0);
    });
  }
});
