import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { SignJWT } from 'jose';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { SmallManager } from '../../examples/manager/manager.ts';
import { defineTask, type TaskType } from '../../src/connectors/connector.ts';
import { Delegate } from '../../src/delegate/delegate.ts';
import { deferred } from '../../src/kit/flow.ts';
import { Secret } from '../../src/kit/secret.ts';
import { createIdentity, enrolBody, type Enrolled } from '../manager/support/scripted-delegate.ts';
import { vectors, type Vector } from '../protocol/vectors.ts';
import { exitOf } from '../support/child.ts';
import { delegateOptions } from '../support/delegate-options.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { until, within } from '../support/until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ENROLMENT_TOKEN = 'enrolment-token-of-the-example';
/** Two busy cores, and a compiler to load. */
const PROGRAM_STARTS_WITHIN_MS = 15_000;

describe('the example of a manager', () => {
  const tempDir = tempDirs();
  leavesNothingOpen();

  function greet(effect: 'reads' | 'writes', work: (name: string) => Promise<string>): TaskType {
    return defineTask({
      name: 'example.greet',
      version: 1,
      effect,
      input: z.object({ name: z.string() }),
      output: z.object({ greeting: z.string() }),
      run: async ({ name }) => ({ greeting: await work(name) }),
    });
  }

  /** Runs a real delegate beside the test, and ends it. */
  async function withDelegate(managerUrl: string, task: TaskType, test: () => Promise<void>): Promise<void> {
    const delegate = new Delegate(
      delegateOptions({
        managerUrl,
        stateDir: await tempDir(),
        taskTypes: [task],
        capacity: 1,
        enrolmentToken: new Secret(ENROLMENT_TOKEN),
      }),
    );
    const ended = delegate.run();
    try {
      await test();
    } finally {
      await delegate.stop('the test is over');
      await ended;
    }
  }

  const start = (): Promise<SmallManager> => SmallManager.start({ port: 0, enrolmentToken: ENROLMENT_TOKEN });

  it('enrols a real delegate and gets the result of a task from it', async () => {
    await using manager = await start();
    const task = greet('reads', (name) => Promise.resolve(`Hello, ${name}.`));
    await withDelegate(manager.url, task, async () => {
      const result = await manager.run('example.greet', { name: 'Ada' });
      expect(result).to.deep.include({ outcome: 'succeeded', output: { greeting: 'Hello, Ada.' } });
    });
  });

  it('confirms an attempt, without which no work that may write begins', async () => {
    await using manager = await start();
    const task = greet('writes', (name) => Promise.resolve(`Written for ${name}.`));
    await withDelegate(manager.url, task, async () => {
      expect(await manager.run('example.greet', { name: 'Ada' })).to.include({ outcome: 'succeeded' });
    });
  });

  it('sends no more tasks than the delegate has room for', async () => {
    await using manager = await start();
    const first = deferred<void>();
    const begun: string[] = [];
    const task = greet('reads', async (name) => {
      begun.push(name);
      if (name === 'first') await first.promise;
      return name;
    });
    await withDelegate(manager.url, task, async () => {
      const results = ['first', 'second'].map((name) => manager.run('example.greet', { name }));
      await until('the first is under way', () => begun.length > 0);
      expect(begun).to.deep.equal(['first']);
      first.resolve();
      expect((await Promise.all(results)).map(({ outcome }) => outcome)).to.deep.equal([
        'succeeded',
        'succeeded',
      ]);
    });
  });

  it('tells why a delegate rejects a task', async () => {
    await using manager = await start();
    const task = greet('reads', (name) => Promise.resolve(name));
    await withDelegate(manager.url, task, async () => {
      const { outcome, error } = await manager.run('example.greet', { name: 3 });
      expect(outcome).to.equal('failed');
      expect(error).to.deep.include({ code: 'invalid-input' });
    });
  });

  it('runs as a program: a task from a file, its result to standard output', async function () {
    this.timeout(2 * PROGRAM_STARTS_WITHIN_MS);
    const folder = await tempDir();
    const [token, file] = [join(folder, 'token'), join(folder, 'task.json')];
    await writeFile(token, `${ENROLMENT_TOKEN}\n`);
    await writeFile(file, '{"name":"example.greet","input":{"name":"Ada"}}');
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'examples/manager/manager.ts', token, file, '0'],
      {
        cwd: ROOT,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const ended = exitOf(child);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    const [line]: unknown[] = await within(
      'the program to wait for a delegate',
      once(createInterface({ input: child.stderr }), 'line'),
      PROGRAM_STARTS_WITHIN_MS,
    );
    const [, url = ''] = /^waiting for a delegate at (\S+)$/.exec(String(line)) ?? [];
    const task = greet('reads', (name) => Promise.resolve(`Hello, ${name}.`));
    await withDelegate(url, task, async () => {
      expect(await within('the program to end', ended)).to.equal(0);
    });
    expect(JSON.parse(output)).to.deep.equal({ outcome: 'succeeded', output: { greeting: 'Hello, Ada.' } });
  });

  it('admits nobody without the enrolment token, and no connect token twice', async () => {
    await using manager = await start();
    const stranger = await createIdentity();
    expect((await postEnrol(manager, 'a-guess', stranger)).status).to.equal(401);
    const who = await enrolHere(manager);
    const token = await connectToken(manager, who);
    const socket = connect(manager, token);
    await once(socket, 'open');
    const again = connect(manager, token);
    const [refusal]: unknown[] = await once(again, 'error');
    expect(String(refusal)).to.contain('401');
    const closed = once(socket, 'close');
    socket.terminate();
    await closed;
  });

  it('says goodbye also to a connection that has not said anything yet', async () => {
    const manager = await start();
    const socket = connect(manager, await connectToken(manager, await enrolHere(manager)));
    await once(socket, 'open');
    const closed = once(socket, 'close');
    await manager[Symbol.asyncDispose]();
    const [code]: unknown[] = await closed;
    expect(code).to.equal(1001);
  });

  describe('and the vectors of the protocol', () => {
    /** What a frame does to an open session: nothing, or the code that closes it. */
    async function fateOf(manager: SmallManager, { bytes, binary }: Vector): Promise<'open' | number> {
      const who = await enrolHere(manager);
      const socket = connect(manager, await connectToken(manager, who));
      socket.on('error', () => {});
      const fate = deferred<'open' | number>();
      socket.on('close', (code) => fate.resolve(code));
      socket.on('message', (data) => {
        if (!Buffer.isBuffer(data)) throw new TypeError('ws hands out buffers');
        const { type, seq } = answerSchema.parse(JSON.parse(data.toString('utf8')));
        if (type === 'heartbeat.ack' && seq === PROBE_SEQ) fate.resolve('open');
      });
      await once(socket, 'open');
      socket.send(JSON.stringify(helloOf(who)));
      socket.send(bytes, { binary });
      socket.send(JSON.stringify({ type: 'heartbeat', seq: PROBE_SEQ, running: [], load: {} }));
      const found = await within('the manager to make up its mind', fate.promise);
      socket.terminate();
      return found;
    }

    const toManager = vectors.filter(
      // A second hello is another matter, and what `ws` says of a frame that is too large comes before we see it.
      ({ direction, legal }) => direction === 'to-manager' && legal !== 'opening',
    );
    const of = (verdict: Vector['verdict']): readonly Vector[] =>
      toManager.filter((vector) => vector.verdict === verdict);

    it('goes on after every frame that is valid, or of a type that it does not know', async () => {
      await using manager = await start();
      const found = new Map<string, unknown>();
      for (const vector of [...of('valid'), ...of('ignored')])
        found.set(vector.name, await fateOf(manager, vector));
      expect(found.size).to.be.above(100);
      expect([...found].filter(([, fate]) => fate !== 'open')).to.deep.equal([]);
    });

    it('closes with 4400 at what is no message, and outlives everything else that is wrong', async () => {
      await using manager = await start();
      const found: (readonly [Vector, 'open' | number])[] = [];
      for (const vector of [...of('malformed'), ...of('too-large')]) {
        found.push([vector, await fateOf(manager, vector)]);
      }
      // It checks of a frame what it uses, so that a field which it leaves alone may be wrong.
      const other = found.filter(([, fate]) => ![4400, 1007, 1009, 'open'].includes(fate));
      expect(other.map(([{ name }]) => name)).to.deep.equal([]);
      // The bound on depth is beyond the base contract (section 8 of PROTOCOL.md).
      const isForm = ({ name }: Vector): boolean => name.startsWith('bytes-') && !name.includes('nested');
      const missed = found.filter(([vector, fate]) => isForm(vector) && fate === 'open');
      expect(missed.map(([{ name }]) => name)).to.deep.equal([]);
    });
  });
});

const PROBE_SEQ = 4_242;
const answerSchema = z.looseObject({ type: z.string(), seq: z.number().optional() });

async function enrolHere(manager: SmallManager): Promise<Enrolled> {
  const identity = await createIdentity();
  const response = await postEnrol(manager, ENROLMENT_TOKEN, identity);
  return { ...identity, ...z.object({ delegateId: z.string() }).parse(await response.json()) };
}

async function postEnrol(
  manager: SmallManager,
  token: string,
  identity: Parameters<typeof enrolBody>[0],
): Promise<Response> {
  return await fetch(`${manager.url}/delegate/v1/enroll`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(enrolBody(identity)),
  });
}

async function connectToken(manager: SmallManager, who: Enrolled): Promise<string> {
  return await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'delegate+jwt', kid: who.thumbprint })
    .setIssuer(who.delegateId)
    .setSubject(who.delegateId)
    .setAudience(manager.url)
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(who.privateKey);
}

function connect(manager: SmallManager, token: string): WebSocket {
  return new WebSocket(`${manager.url.replace('http', 'ws')}/delegate/v1/connect`, 'delegate.v1', {
    perMessageDeflate: false,
    headers: { authorization: `Bearer ${token}` },
  });
}

function helloOf({ delegateId: id, name, instanceId, version }: Enrolled): object {
  return {
    type: 'hello',
    delegate: { id, name, instanceId, version },
    tags: [],
    tasks: [],
    capabilities: [],
    capacity: 4,
    running: [],
    unacknowledged: [],
    policyHash: null,
  };
}
