import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import type { DelegateOptions } from '../../src/delegate/delegate.ts';
import { openJournal, STALLED_AFTER_MS } from '../../src/delegate/journal/file-journal.ts';
import { lockText } from '../../src/delegate/state/lock-file.ts';
import { whoAmI } from '../../src/delegate/state/process-facts.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { until, within } from '../support/until.ts';
import { delegatesUnderTest } from './delegate-under-test.ts';
import { FaultyFolder } from './journal/faulty-folder.ts';
import { REF } from './frames.ts';

/** Longer than closing a journal waits for a disk. */
const DISK_GIVEN_UP_MS = 2_000;

describe('a stop that comes before there is a session', () => {
  const start = delegatesUnderTest();
  const tempDir = tempDirs();
  leavesNothingOpen();

  it('while the delegate starts ends it at once, and nobody is dialled', async () => {
    const { manager, delegate, ended } = await start();
    await within('the stop', delegate.stop(''));
    expect(await ended()).to.equal(undefined);
    expect(manager.connectTokens).to.deep.equal([]);
  });

  it('while it waits for a sign of life of another owner of its folder ends it at once', async () => {
    const clock = new ManualClock();
    const stateDir = await tempDir();
    const elsewhere = { ...(await whoAmI()), pidNamespace: 'pid:[1]', hostName: 'elsewhere', pid: 7 };
    await writeFile(join(stateDir, 'delegate.lock'), lockText(elsewhere, '2026-11-01T00:00:00.000Z'));
    const { delegate, log, ended } = await start({ clock, stateDir });
    await until('it waits', () => log.some((line) => line.includes('waiting for a sign of life')));
    await within('the stop', delegate.stop(''));
    expect(await ended()).to.equal(undefined);
    expect([delegate.phase, clock.monotonic(), clock.pending]).to.deep.equal(['stopped', 0, 0]);
  });

  it('while it enrols with a manager that does not answer ends it at once', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => {})));
    const managerUrl = `http://127.0.0.1:${await listenOnLoopback(silent)}`;
    const { delegate, ended } = await start({ clock: new ManualClock(), managerUrl });
    await until('it enrols', () => sockets.length === 1);
    expect(delegate.phase).to.equal('enrolling');
    await within('the stop', delegate.stop(''));
    expect(await ended()).to.equal(undefined);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  it('while it waits before the next attempt ends it at once', async () => {
    const clock = new ManualClock();
    const { delegate, log, ended } = await start({ clock, random: () => 0.9 }, { upgrade: { status: 503 } });
    await until('it waits', () => log.some((line) => line.includes('trying again later')));
    await within('the stop', delegate.stop(''));
    expect(await ended()).to.equal(undefined);
    expect([clock.monotonic(), clock.pending]).to.deep.equal([0, 0]);
  });
});

describe('a stop of a delegate with a disk', () => {
  const start = delegatesUnderTest();
  const tempDir = tempDirs();
  leavesNothingOpen();

  /** The journal of every delegate that lives on this folder, one after the other. */
  function onFolder(
    folder: FaultyFolder,
    clock: ManualClock,
  ): Pick<DelegateOptions, 'clock' | 'openJournal'> {
    const log = pino({ level: 'silent' });
    return { clock, openJournal: () => openJournal({ folder, key, clock, log }) };
  }
  const key = randomBytes(32);

  it('leaves a result that nobody acknowledged to the next start, which delivers it and is rid of it', async () => {
    const folder = new FaultyFolder();
    const clock = new ManualClock();
    const ownState = { stateDir: await tempDir() };
    const before = await start({ ...ownState, ...onFolder(folder, clock) }, { ackResults: false });
    const { manager } = before;
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.echo', { input: 'kept' });
    await connection.next('task.result');
    const stopped = before.delegate.stop('', 0);
    await clock.advance(5_000);
    await within('the stop', stopped);
    await before.ended();

    manager.script.ackResults = true;
    const sameManager = { ...ownState, managerUrl: manager.url };
    const next = await start({ ...sameManager, ...onFolder(folder, new ManualClock()) });
    const back = await manager.nextSession();
    expect(await back.next('hello')).to.deep.include({ unacknowledged: [REF] });
    expect(await back.next('task.result')).to.include({ ...REF, output: 'kept' });
    await back.synchronise();
    await within('the stop', next.delegate.stop(''));
    expect(back.all('goodbye')[0]).to.deep.include({ unacknowledged: [] });
    await next.ended();

    await start({ ...sameManager, ...onFolder(folder, new ManualClock()) });
    expect(await (await manager.nextSession()).next('hello')).to.deep.include({ unacknowledged: [] });
  });

  it('that does not answer gives back what it could not record, and ends', async () => {
    const folder = new FaultyFolder();
    const clock = new ManualClock();
    const { manager, delegate, workshop, ended } = await start(onFolder(folder, clock));
    const connection = await manager.nextSession();
    const goOn = folder.stall();
    connection.assign(REF, 'test.echo');
    await connection.synchronise();
    const stopped = delegate.stop('');
    await clock.advance(STALLED_AFTER_MS);
    expect(await connection.next('task.reject')).to.include({ ...REF, code: 'outbox-full' });
    await within('the stop', stopped);
    expect(connection.all('goodbye')[0]).to.deep.include({ running: [], unacknowledged: [] });
    await until('the journal is being closed', () => clock.pending > 0);
    await clock.advance(DISK_GIVEN_UP_MS);
    expect(await ended()).to.equal(undefined);
    expect(workshop.begun).to.deep.equal([]);
    goOn();
  });

  it('that does not answer sends a result from memory, and ends', async () => {
    const folder = new FaultyFolder();
    const clock = new ManualClock();
    const { manager, delegate, workshop, log, ended } = await start(onFolder(folder, clock), {
      ackResults: false,
    });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    const work = await workshop.next();
    const goOn = folder.stall();
    work.finish('in memory');
    const stopped = delegate.stop('');
    await clock.advance(STALLED_AFTER_MS);
    expect(await connection.next('task.result')).to.include({ ...REF, output: 'in memory' });
    await clock.advance(5_000);
    await within('the stop', stopped);
    expect(log.some((line) => line.includes('the disk has not taken them'))).to.equal(true);
    await clock.advance(DISK_GIVEN_UP_MS);
    expect(await ended()).to.equal(undefined);
    goOn();
  });
});
