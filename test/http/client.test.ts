import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { inspect } from 'node:util';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { DelegateError } from '../../src/kit/errors.ts';
import { deferred } from '../../src/kit/flow.ts';
import { failureOf } from '../support/failure.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { client, get, Listener } from './support.ts';

describe('a request', () => {
  leavesNothingOpen();

  it('arrives as it was made, and its answer comes back whole', async () => {
    await using server = await Listener.http((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.writeHead(201, { 'X-Mixed-Case': 'a', link: ['<1>', '<2>'] });
        const { method, url, headers } = request;
        response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
      });
    });
    await using http = client();
    const answer = await http.send(
      get(server.url('/a?b=%20'), { method: 'POST', headers: { authorization: 'Bearer x' }, body: 'grüße' }),
    );
    expect(answer.status).to.equal(201);
    expect(answer.headers).to.include({ 'x-mixed-case': 'a', link: '<1>, <2>' });
    expect(JSON.parse(answer.body)).to.deep.include({ method: 'POST', url: '/a?b=%20', body: 'grüße' });
    expect(JSON.parse(answer.body)).to.have.property('headers').that.includes({
      'user-agent': 'test/1',
      'accept-encoding': 'identity',
      authorization: 'Bearer x',
    });
  });

  it('is not sent on when the answer is a redirect', async () => {
    let asked = 0;
    await using server = await Listener.http((_, response) => {
      asked += 1;
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    await using http = client();
    const answer = await http.send(get(server.url(), { headers: { authorization: 'Bearer x' } }));
    expect([answer.status, answer.headers['location'], asked]).to.deep.equal([302, '/elsewhere', 1]);
  });

  it('carries no cookie that an answer has set', async () => {
    const seen: IncomingHttpHeaders[] = [];
    await using server = await Listener.http((request, response) => {
      seen.push(request.headers);
      response.writeHead(200, { 'set-cookie': ['a=1; Path=/', 'b=2; Path=/'] }).end();
    });
    await using http = client();
    const first = await http.send(get(server.url()));
    await http.send(get(server.url()));
    expect(first.headers['set-cookie']).to.equal('a=1; Path=/, b=2; Path=/');
    expect(seen).to.have.length(2);
    expect(seen[1]).to.not.have.property('cookie');
  });

  it('uses a connection of those before', async () => {
    await using server = await Listener.http((_, response) => response.end('ok'));
    await using http = client();
    for (let round = 0; round < 8; round += 1) await http.send(get(server.url()));
    // One is enough; a second is made when the first is not quite done with its answer.
    expect(server.accepted).to.be.within(1, 2);
  });

  it('is not made to a URL that is refused', async () => {
    await using server = await Listener.http((_, response) => response.end());
    const refusal = new DelegateError('policy.test', 'refused', { category: 'policy' });
    const asked: URL[] = [];
    await using http = client({
      guardUrl: (url) => {
        asked.push(url);
        throw refusal;
      },
    });
    const url = server.url('/a');
    expect(await failureOf(http.send(get(url)))).to.equal(refusal);
    expect(await failureOf(http.probe(url, AbortSignal.timeout(5_000)))).to.equal(refusal);
    expect(asked).to.deep.equal([url, url]);
    expect(server.accepted).to.equal(0);
  });

  it('is not made to a name that resolves to a refused address', async () => {
    await using server = await Listener.http((_, response) => response.end());
    const judged: string[] = [];
    await using http = client({
      guardAddress: (address) => {
        judged.push(address);
        throw new DelegateError('policy.test', `${address} is refused`, { category: 'policy' });
      },
    });
    const url = server.url('/', 'http', 'localhost');
    expect(await failureOf(http.send(get(url)))).to.include({ code: 'policy.test', retryable: false });
    expect(await failureOf(http.probe(url, AbortSignal.timeout(5_000)))).to.include({ code: 'policy.test' });
    expect(judged).to.satisfy((all: string[]) => all.every((one) => one === '127.0.0.1' || one === '::1'));
    expect(server.accepted).to.equal(0);
  });

  it('is not made when DNS gives a name another address than before, and that one is refused', async () => {
    await using server = await Listener.http((_, response) => response.end());
    const answers = ['127.0.0.1', '169.254.169.254'];
    await using http = client({
      lookup: (_hostname, _options, done) => done(null, [{ address: answers.shift() ?? '', family: 4 }]),
      guardAddress: (address) => {
        if (address === '127.0.0.1') return;
        throw new DelegateError('policy.test', `${address} is refused`, { category: 'policy' });
      },
    });
    const url = server.url('/', 'http', 'rebinding.test');
    expect((await http.probe(url, AbortSignal.timeout(5_000))).address).to.equal('127.0.0.1');
    expect(await failureOf(http.send(get(url)))).to.include({ code: 'policy.test' });
    expect([server.accepted, answers]).to.deep.equal([1, []]);
  });

  it('is not made at all for a task that has ended', async () => {
    await using server = await Listener.http((_, response) => response.end());
    await using http = client();
    const reason = new Error('the task was cancelled');
    const signal = AbortSignal.abort(reason);
    const works = [http.send(get(server.url(), { signal })), http.probe(server.url(), signal)];
    const outcomes = await Promise.allSettled(works);
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason)).to.deep.equal([
      reason,
      reason,
    ]);
    expect(server.accepted).to.equal(0);
  });

  for (const [when, answer] of [
    ['before the answer', ''],
    ['amid the answer', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'],
  ] as const) {
    it(`that is aborted ${when} rejects with the reason, and its connection ends`, async () => {
      const controller = new AbortController();
      const reason = new Error('the lease was lost');
      await using server = await Listener.raw(answer, () => controller.abort(reason));
      await using http = client();
      const work = http.send(get(server.url(), { signal: controller.signal }));
      expect(await work.catch((error: unknown) => error)).to.equal(reason);
      await server.idle();
    });
  }

  it('with a header that would break the request apart is not sent, nor shown, nor tried again', async () => {
    await using server = await Listener.http((_, response) => response.end());
    await using http = client();
    const headers = { authorization: 'Bearer hunter2\r\nx-injected: 1' };
    const error = await failureOf(http.send(get(server.url(), { headers })));
    expect(error).to.include({ code: 'http.request-invalid', retryable: false });
    expect(inspect(error)).to.not.contain('hunter2');
    expect(server.accepted).to.equal(0);
  });
});

describe('an answer', () => {
  const head = 'HTTP/1.1 200 OK\r\n';
  const maxBodyBytes = 1_000;

  const broken: [what: string, answer: string, code: string, retryable: boolean][] = [
    ['is cut off before its head', '', 'network.reset', true],
    ['is cut off within its head', `${head}Content-Le`, 'network.reset', true],
    ['is cut off within its body', `${head}Content-Length: 100\r\n\r\nhalf`, 'network.reset', true],
    [
      'is cut off between chunks',
      `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n`,
      'network.reset',
      true,
    ],
    ['is no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', 'http.broken-response', true],
    ['has a broken chunk', `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 'http.broken-response', true],
    ['has an endless head', `${head}X: ${'a'.repeat(40_000)}\r\n\r\n`, 'http.broken-response', true],
    [
      'says that its body is too large',
      `${head}Content-Length: 1001\r\n\r\n${'a'.repeat(1_001)}`,
      'http.response-too-large',
      false,
    ],
    [
      'has too large a body without saying so',
      `${head}\r\n${'a'.repeat(1_001)}`,
      'http.response-too-large',
      false,
    ],
  ];
  leavesNothingOpen();

  for (const [what, answer, code, retryable] of broken) {
    it(`that ${what} is ${code}`, async () => {
      await using server = await Listener.raw(answer, (socket) => socket.end());
      await using http = client({ maxBodyBytes });
      const request = get(server.url('/secret-path'), {
        method: 'POST',
        headers: { authorization: 'Bearer hunter2' },
        body: 'grant=hunter2',
      });
      const error = await failureOf(http.send(request));
      expect(error).to.include({ code, retryable });
      expect(error.message).to.contain(`127.0.0.1:${server.port} `);
      expect(JSON.stringify(error.toWire()) + inspect(error)).to.not.match(/hunter2|secret-path/);
    });
  }

  it('of exactly the largest size is taken', async () => {
    await using server = await Listener.http((_, response) => response.end('a'.repeat(maxBodyBytes)));
    await using http = client({ maxBodyBytes });
    expect((await http.send(get(server.url()))).body).to.have.length(maxBodyBytes);
  });

  it('that does not begin in time is given up', async () => {
    await using server = await Listener.raw('');
    await using http = client({ answerTimeoutMs: 50 });
    expect(await failureOf(http.send(get(server.url())))).to.include({
      code: 'network.answer-timeout',
      category: 'timeout',
      retryable: true,
    });
    await server.idle();
  });

  it('that stops amid its body is given up', async () => {
    await using server = await Listener.raw(`${head}Content-Length: 100\r\n\r\nhalf`);
    await using http = client({ answerTimeoutMs: 50 });
    expect(await failureOf(http.send(get(server.url())))).to.include({ code: 'network.answer-timeout' });
    await server.idle();
  });

  it('that is reset is told apart from one that is refused', async () => {
    await using server = await Listener.raw('', (socket) => socket.resetAndDestroy());
    await using http = client();
    expect(await failureOf(http.send(get(server.url())))).to.include({ code: 'network.reset' });
    const gone = await Listener.http(() => {});
    const url = gone.url();
    await gone[Symbol.asyncDispose]();
    expect(await failureOf(http.send(get(url)))).to.include({ code: 'network.refused', retryable: true });
    expect(await failureOf(http.probe(url, AbortSignal.timeout(5_000)))).to.include({
      code: 'network.refused',
    });
  });

  it('that is no HTTP is not in the error, nor beside it for a log to find', async () => {
    await using server = await Listener.raw('HTTP/1.1 200 OK\r\nbad \u0000header: canary\r\n\r\n');
    await using http = client();
    const error = await failureOf(http.send(get(server.url())));
    expect(error.code).to.equal('http.broken-response');
    expect(inspect(error, { depth: 20, showHidden: true })).to.not.contain('canary');
  });

  it('in an encoding that nobody knows is refused, and what that header holds is not told', async () => {
    await using server = await Listener.http((_, response) =>
      response.writeHead(200, { 'content-encoding': 'CANARY' }).end('x'),
    );
    await using http = client();
    const error = await failureOf(http.send(get(server.url())));
    expect(error).to.include({ code: 'http.broken-response', retryable: false });
    expect(error.message).to.equal(
      `127.0.0.1:${server.port} packed its answer in a way that nobody asked for.`,
    );
    expect(inspect(error).toLowerCase()).to.not.contain('canary');
  });

  for (const [type, bytes] of [
    ['text/html; charset=ISO-8859-1', Buffer.from('grün', 'latin1')],
    ['text/html; Charset="windows-1252"', Buffer.from('grün', 'latin1')],
    ['text/plain;charset=utf-16le', Buffer.from('grün', 'utf16le')],
    ['text/plain;charset=nobody-knows', Buffer.from('grün')],
    ['text/plain', Buffer.from('grün')],
    ['application/json', Buffer.from('\uFEFFgrün')],
  ] as const) {
    it(`of type ${type} is read by its character set`, async () => {
      await using server = await Listener.http((_, response) =>
        response.writeHead(200, { 'content-type': type }).end(bytes),
      );
      await using http = client();
      expect((await http.send(get(server.url()))).body).to.equal('grün');
    });
  }

  const text = 'packed though nobody asked';
  const packed: Record<string, [encoding: string, bytes: Buffer]> = {
    gzip: ['gzip', gzipSync(text)],
    'x-gzip, in capitals': ['X-GZIP', gzipSync(text)],
    deflate: ['deflate', deflateSync(text)],
    brotli: ['br', brotliCompressSync(text)],
    'no encoding by name': ['identity', Buffer.from(text)],
  };
  for (const [what, [encoding, bytes]] of Object.entries(packed)) {
    it(`in ${what} is unpacked`, async () => {
      await using server = await Listener.http((_, response) =>
        response.writeHead(200, { 'content-encoding': encoding }).end(bytes),
      );
      await using http = client();
      expect((await http.send(get(server.url()))).body).to.equal(text);
    });
  }

  it('to HEAD has no body to unpack', async () => {
    await using server = await Listener.http((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': '50' }).end(),
    );
    await using http = client();
    expect((await http.send(get(server.url(), { method: 'HEAD' }))).body).to.equal('');
  });

  const bomb = 'a'.repeat(maxBodyBytes + 1);
  const unusable: Record<string, [encoding: string, bytes: Buffer, code: string]> = {
    'a gzip bomb': ['gzip', gzipSync(bomb), 'http.response-too-large'],
    'a deflate bomb': ['deflate', deflateSync(bomb), 'http.response-too-large'],
    'a brotli bomb': ['br', brotliCompressSync(bomb), 'http.response-too-large'],
    'gzip that is none': ['gzip', Buffer.from(text), 'http.broken-response'],
    'half of a gzip': ['gzip', gzipSync(text).subarray(0, 20), 'http.broken-response'],
    'deflate that is none': ['deflate', Buffer.from(text), 'http.broken-response'],
    'brotli that is none': ['br', Buffer.from(text), 'http.broken-response'],
    'an unknown encoding': ['zstd', Buffer.from(text), 'http.broken-response'],
    'two encodings': ['gzip, gzip', gzipSync(gzipSync(text)), 'http.broken-response'],
  };
  for (const [what, [encoding, bytes, code]] of Object.entries(unusable)) {
    it(`with ${what} is ${code}`, async () => {
      await using server = await Listener.http((_, response) =>
        response.writeHead(200, { 'content-encoding': encoding }).end(bytes),
      );
      await using http = client({ maxBodyBytes });
      expect(await failureOf(http.send(get(server.url())))).to.include({ code, category: 'bad-response' });
    });
  }
});

describe('the client', () => {
  leavesNothingOpen();

  it('ends its idle and its busy connections when it is disposed of', async () => {
    const asked = deferred<void>();
    await using server = await Listener.http((_, response) => response.end());
    await using silent = await Listener.http(() => asked.resolve());
    const http = client();
    await http.send(get(server.url()));
    const busy = failureOf(http.send(get(silent.url())));
    await asked.promise;
    expect([server.sockets.size, silent.sockets.size]).to.deep.equal([1, 1]);
    await http[Symbol.asyncDispose]();
    expect((await busy).code).to.match(/^network\./);
    await Promise.all([server.idle(), silent.idle()]);
  });

  it('ends a connection that was still being made', async () => {
    await using server = await Listener.raw('');
    const http = client();
    const connecting = failureOf(http.send(get(server.url('/', 'https'))));
    await hasConnection(server);
    await http[Symbol.asyncDispose]();
    expect((await connecting).code).to.match(/^network\./);
    await server.idle();
  });

  it('gives up a handshake that takes too long', async () => {
    await using server = await Listener.raw('');
    await using http = client({ connectTimeoutMs: 50 });
    const url = server.url('/', 'https');
    const works = [http.send(get(url)), http.probe(url, AbortSignal.timeout(5_000))];
    for (const failure of await Promise.all(works.map(failureOf))) {
      // It has answered, but not in TLS: not the firewall that a connection is lost in.
      expect(failure).to.include({ code: 'tls.handshake-timeout', category: 'timeout', retryable: true });
    }
    await server.idle();
  });

  it('makes many connections without a leak of listeners', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    await using server = await Listener.http((_, response) =>
      response.writeHead(200, { connection: 'close' }).end(),
    );
    await using http = client();
    for (let round = 0; round < 10; round += 1) {
      await Promise.all([http.send(get(server.url())), http.send(get(server.url()))]);
    }
    process.off('warning', onWarning);
    expect([warnings, server.accepted]).to.deep.equal([[], 20]);
  });
});

describe('a probe', () => {
  leavesNothingOpen();

  it('tells the address, and closes the connection', async () => {
    await using server = await Listener.http(() => {});
    await using http = client();
    const facts = await http.probe(server.url('/', 'http', 'localhost'), AbortSignal.timeout(5_000));
    expect(facts).to.deep.equal({ address: '127.0.0.1', tls: undefined });
    await server.idle();
  });

  for (const ending of ['aborted', 'given up with its client'] as const) {
    it(`that is ${ending} amid the handshake leaves no connection behind`, async () => {
      const controller = new AbortController();
      const reason = new Error('the task was cancelled');
      await using server = await Listener.raw('');
      await using http = client();
      const probing = http
        .probe(server.url('/', 'https'), controller.signal)
        .catch((error: unknown) => error);
      await hasConnection(server);
      if (ending === 'aborted') controller.abort(reason);
      else await http[Symbol.asyncDispose]();
      const outcome = await probing;
      if (ending === 'aborted') expect(outcome).to.equal(reason);
      else expect(outcome).to.be.instanceOf(DelegateError);
      await server.idle();
    });
  }
});

async function hasConnection(server: Listener): Promise<void> {
  while (server.sockets.size === 0) await new Promise((resolve) => setImmediate(resolve));
  for (const socket of server.sockets) if (socket.bytesRead === 0) await once(socket, 'data');
}
