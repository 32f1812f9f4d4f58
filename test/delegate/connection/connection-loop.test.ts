import { expect } from 'chai';
import { runConnectionLoop } from '../../../src/delegate/connection/connection-loop.ts';
import { forbidden } from '../../../src/delegate/connection/manager-refusal.ts';
import { SessionNotOpened, type Session } from '../../../src/delegate/connection/session.ts';
import { DelegateError } from '../../../src/kit/errors.ts';
import { MAX_RECONNECT_AFTER_MS } from '../../../src/protocol/limits.ts';
import { within } from '../../support/until.ts';
import type { MemoryTransport } from '../../support/memory-transport.ts';
import { Room } from '../room.ts';

describe('the connection loop', () => {
  /** Runs the loop until it ends; each connect is answered by the next function. */
  async function endOf(room: Room, connects: (() => Promise<Session>)[]): Promise<unknown> {
    const loop = runConnectionLoop(
      {
        open: () => connects.shift()?.() ?? Promise.reject(new Error('nobody is there')),
        onNotAuthenticated: () => {},
        onRevoked: () => {},
        onFailure: () => {},
        onWait: () => {},
        onSession: () => {},
        clock: room.clock,
        random: () => 0,
        log: room.log,
      },
      room.abort.signal,
    );
    return await within(
      'the loop to end',
      loop.catch((error: unknown) => error),
    );
  }

  it('leaves a session that opened in the very moment of the stop', async () => {
    const room = new Room();
    const transports: MemoryTransport[] = [];
    const end = await endOf(room, [
      async () => {
        const { session, transport } = await room.open();
        transports.push(transport);
        room.abort.abort(new Error('the stop'));
        return session;
      },
    ]);
    expect(end).to.have.property('message', 'the stop');
    expect(transports[0]?.sent.at(-1)?.type).to.equal('goodbye');
    expect(transports[0]?.closedWith).to.include({ code: 1000 });
    expect(room.clock.pending).to.equal(0);
  });

  it('dials nobody when it was stopped before it began', async () => {
    const room = new Room();
    room.abort.abort(new Error('the stop'));
    const dialled: string[] = [];
    await endOf(room, [() => Promise.reject(new Error(`dialled ${dialled.push('')}`))]);
    expect(dialled).to.deep.equal([]);
  });

  it('tells the code of a close before the welcome, without a stack', async () => {
    const room = new Room();
    await endOf(room, [() => Promise.reject(new SessionNotOpened({ code: 4409, reason: 'another one' }))]);
    const line = room.logged.find((one) => one.includes('no session'));
    expect(JSON.parse(line ?? '{}')).to.include({ code: 4409, why: 'another one' });
    expect(line).not.to.contain('stack');
  });

  it('spreads a move over five minutes at most, whatever the manager asks', async () => {
    const room = new Room();
    const ended = endOf(room, [
      async () => {
        const { session, transport } = await room.open();
        transport.arrive({ type: 'drain', reason: '', reconnectAfterMs: Number.MAX_SAFE_INTEGER });
        return session;
      },
    ]);
    await room.clock.settle();
    expect(room.logged.find((line) => line.includes('asks to move'))).to.contain(
      `"reconnectAfterMs":${MAX_RECONNECT_AFTER_MS}`,
    );
    room.abort.abort(new Error('the stop'));
    await ended;
  });

  it('does not wait as long as a refused move may, once the session that it was to leave has ended', async () => {
    const room = new Room();
    const opened: { session: Session; transport: MemoryTransport }[] = [];
    const open = async (): Promise<Session> => {
      const one = await room.open();
      opened.push(one);
      return one.session;
    };
    const forbiddenByAProxy = (): Promise<Session> => Promise.reject(forbidden(''));
    const ended = endOf(room, [open, forbiddenByAProxy, open]);
    await room.clock.settle();
    opened[0]?.transport.arrive({ type: 'drain', reason: '', reconnectAfterMs: 0 });
    await room.clock.advance(0);
    expect(room.logged.some((line) => line.includes('slowest-pace'))).to.equal(true);
    opened[0]?.transport.cut();
    await room.clock.advance(0);
    expect(opened).to.have.lengthOf(2);
    room.abort.abort(new Error('the stop'));
    opened[1]?.transport.cut();
    await ended;
  });

  it('ends when another process has taken the identity, and leaves no timer behind', async () => {
    const room = new Room();
    const end = await endOf(room, [
      async () => {
        const { session, transport } = await room.open();
        transport.cut(4409);
        return session;
      },
    ]);
    expect(end).to.be.instanceOf(DelegateError).with.property('code', 'superseded');
    expect(room.clock.pending).to.equal(0);
  });
});
