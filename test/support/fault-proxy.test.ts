import { connect, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { systemCode } from '../../src/kit/errors.ts';
import { FaultProxy, httpAnswer, type ProxiedConnection } from './fault-proxy.ts';
import { listenOnLoopback } from './listen.ts';
import { ManualClock } from './manual-clock.ts';
import { leavesNothingOpen } from './open-handles.ts';
import { turn, until, within } from './until.ts';

/** One end of a connection: what came, and how it ended. */
interface End {
  readonly socket: Socket;
  text: string;
  /** Undefined while it is open. */
  ended: 'by FIN' | 'by RST' | undefined;
}

function watch(socket: Socket): End {
  const end: End = { socket, text: '', ended: undefined };
  socket.setNoDelay(true);
  socket.on('data', (chunk) => (end.text += chunk.toString('latin1')));
  socket.on('end', () => (end.ended ??= 'by FIN'));
  socket.on('error', (error) => {
    if (systemCode(error) === 'ECONNRESET') end.ended = 'by RST';
  });
  return end;
}

describe('the fault proxy', () => {
  let server: Server;
  let proxy: FaultProxy;
  let accepted: End[];
  let clients: End[];

  beforeEach(async () => {
    accepted = [];
    clients = [];
    server = createServer({ allowHalfOpen: true }, (socket) => void accepted.push(watch(socket)));
    proxy = await FaultProxy.start(await listenOnLoopback(server));
  });

  afterEach(async () => {
    await proxy[Symbol.asyncDispose]();
    for (const { socket } of [...accepted, ...clients]) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  leavesNothingOpen();

  function dial(): End {
    const client = watch(connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true }));
    clients.push(client);
    return client;
  }

  async function pair(): Promise<{ client: End; target: End; connection: ProxiedConnection }> {
    const client = dial();
    await until('it is through', () => accepted.length === clients.length);
    const target = accepted.at(-1);
    if (target === undefined) throw new Error('it was there');
    return { client, target, connection: proxy.latest };
  }

  const textIs = (end: End, text: string) => until(`"${text}" is there`, () => end.text === text);
  const endIs = (end: End, how: End['ended']) => until(`it ended ${how}`, () => end.ended === how);

  /** Whatever could still arrive has arrived: a second connection has gone all the way. */
  async function allArrived(): Promise<void> {
    const probe = dial();
    probe.socket.write('probe');
    await until('the probe is through', () => accepted.at(-1)?.text === 'probe');
    for (let turns = 0; turns < 20; turns += 1) await turn();
  }

  it('passes both directions on, ends included, and counts', async () => {
    const { client, target, connection } = await pair();
    client.socket.end('question');
    await textIs(target, 'question');
    await endIs(target, 'by FIN');
    target.socket.end('answer!');
    await textIs(client, 'answer!');
    await endIs(client, 'by FIN');
    await within('the end', connection.closed);
    expect([connection.up.bytes, connection.down.bytes, proxy.accepted]).to.deep.equal([8, 7, 1]);
  });

  it('passes a reset on as a reset', async () => {
    const { client, target } = await pair();
    client.socket.resetAndDestroy();
    await endIs(target, 'by RST');
  });

  it('carries a megabyte through a receiver that pauses', async () => {
    const { client, target } = await pair();
    target.socket.pause();
    client.socket.write('x'.repeat(1_048_576));
    await allArrived();
    target.socket.resume();
    await until('all of it is there', () => target.text.length === 1_048_576);
  });

  it('cuts: both sides see a reset', async () => {
    const { client, target, connection } = await pair();
    connection.cut();
    await Promise.all([endIs(client, 'by RST'), endIs(target, 'by RST')]);
    await within('the end', connection.closed);
  });

  it('cuts while its own end is still on its way, and loses no socket', async () => {
    const { connection } = await pair();
    connection.end();
    connection.cut();
    await within('the end', connection.closed);
  });

  it('ends cleanly: both sides see FIN', async () => {
    const { client, target, connection } = await pair();
    connection.end();
    await Promise.all([endIs(client, 'by FIN'), endIs(target, 'by FIN')]);
  });

  it('half-closes one way, and the other goes on', async () => {
    const { client, target, connection } = await pair();
    connection.up.end();
    await endIs(target, 'by FIN');
    target.socket.write('still here');
    await textIs(client, 'still here');
    expect(client.ended).to.equal(undefined);
  });

  it('discards one way: bytes and end are gone, the other way goes on', async () => {
    const { client, target, connection } = await pair();
    connection.up.flow = 'discard';
    client.socket.end('into the void');
    target.socket.write('heard');
    await textIs(client, 'heard');
    await allArrived();
    expect([target.text, target.ended]).to.deep.equal(['', undefined]);
    connection.cut();
  });

  it('stalls one way without losing anything: reading goes on where it stopped', async () => {
    const { client, target, connection } = await pair();
    connection.up.flow = 'stall';
    client.socket.end('kept');
    await allArrived();
    expect([target.text, target.ended]).to.deep.equal(['', undefined]);
    connection.up.flow = 'pass';
    await textIs(target, 'kept');
    await endIs(target, 'by FIN');
  });

  it('holds a sender back while it stalls', async () => {
    const { client, connection } = await pair();
    connection.up.flow = 'stall';
    // More than all the buffers between can hold.
    client.socket.write(Buffer.alloc(32 * 1_048_576));
    await allArrived();
    expect(client.socket.writableLength).to.be.greaterThan(0);
    expect(connection.up.bytes).to.equal(0);
  });

  it('dribbles: one byte at a time, in order', async () => {
    const { client, target, connection } = await pair();
    connection.up.flow = 'dribble';
    const sizes: number[] = [];
    target.socket.on('data', (chunk) => sizes.push(chunk.length));
    client.socket.write('one by one');
    await textIs(target, 'one by one');
    expect(sizes.length).to.be.greaterThan(1);
  });

  it('delays one direction and keeps its order', async () => {
    const { client, target, connection } = await pair();
    connection.up.flow = { delayMs: 20 };
    const sentAt = performance.now();
    client.socket.write('first ');
    await turn();
    client.socket.write('second');
    target.socket.write('not delayed');
    await textIs(client, 'not delayed');
    await textIs(target, 'first second');
    // Not a wall time that could be missed: a lower bound holds on the slowest machine.
    expect(performance.now() - sentAt).to.be.at.least(19);
  });

  it('cuts after so many bytes', async () => {
    const { client, target, connection } = await pair();
    connection.up.after(4, () => connection.cut());
    client.socket.write('abcdefgh');
    // libuv takes bytes and a reset that are read in one turn for bytes and an end.
    await until('it ended', () => target.ended !== undefined);
    expect([target.text, connection.up.bytes]).to.deep.equal(['abcd', 4]);
  });

  it('turns in the middle of what comes next', async () => {
    const { client, target, connection } = await pair();
    connection.down.amidNextFrame(() => (connection.down.flow = 'discard'));
    target.socket.write('abcdefgh');
    await textIs(client, 'abcd');
    await allArrived();
    expect(client.text).to.equal('abcd');
    connection.cut();
  });

  it('replays what the client sent over a second connection', async () => {
    const { client, target, connection } = await pair();
    client.socket.write('GET /');
    await textIs(target, 'GET /');
    const replayed = connection.replay();
    await until('the copy is there', () => accepted.length === 2 && accepted[1]?.text === 'GET /');
    accepted[1]?.socket.write('no');
    expect(await within('the answer', replayed)).to.equal('no');
    expect(target.text).to.equal('GET /');
  });

  it('cuts a connection on which no byte comes, and no other', async () => {
    const clock = new ManualClock();
    proxy.clock = clock;
    proxy.idleMs = 100;
    const { client, target } = await pair();
    const busy = await pair();
    await clock.advance(99);
    busy.client.socket.write('.');
    await textIs(busy.target, '.');
    await clock.advance(99);
    await Promise.all([endIs(client, 'by RST'), endIs(target, 'by RST')]);
    expect(busy.client.ended).to.equal(undefined);
    await clock.advance(1);
    await Promise.all([endIs(busy.client, 'by RST'), endIs(busy.target, 'by RST')]);
  });

  it('refuses, closes, or says nothing, without a word to the target', async () => {
    proxy.door = 'refuse';
    await endIs(dial(), 'by RST');
    proxy.door = 'close';
    await endIs(dial(), 'by FIN');
    proxy.door = 'silent';
    const ignored = dial();
    ignored.socket.write('anybody?');
    await until('it is accepted', () => proxy.accepted === 3);
    for (let turns = 0; turns < 20; turns += 1) await turn();
    expect([ignored.text, ignored.ended, accepted.length]).to.deep.equal(['', undefined, 0]);
  });

  it('answers in the place of the target once it was asked', async () => {
    const answer = httpAnswer('502 Bad Gateway', { 'x-by': 'proxy' }, '<html>');
    proxy.door = { answer };
    const client = dial();
    client.socket.write('GET / HTTP/1.1\r\n');
    await until('it is accepted', () => proxy.accepted === 1);
    expect(client.text).to.equal('');
    client.socket.write('\r\n');
    await textIs(client, answer);
    await endIs(client, 'by FIN');
    expect(accepted).to.deep.equal([]);
  });

  it('resets clients when nobody is where it leads', async () => {
    const gone = createServer();
    proxy.targetPort = await listenOnLoopback(gone);
    await new Promise((resolve) => gone.close(resolve));
    await endIs(dial(), 'by RST');
  });

  for (const flow of ['pass', 'discard', 'stall', 'dribble', { delayMs: 60_000 }] as const) {
    it(`ends at once with connections in hand that ${JSON.stringify(flow)}`, async () => {
      const { client, target, connection } = await pair();
      connection.up.flow = flow;
      connection.down.flow = flow;
      client.socket.write('a question');
      target.socket.write('an answer');
      for (let turns = 0; turns < 20; turns += 1) await turn();
      await within('the end', proxy[Symbol.asyncDispose]());
      proxy = await FaultProxy.start();
    });
  }
});
