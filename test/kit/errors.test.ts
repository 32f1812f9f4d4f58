import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect } from 'chai';
import {
  DelegateError,
  ERROR_CATEGORIES,
  errorsOf,
  reasonOf,
  systemCode,
  wrap,
} from '../../src/kit/errors.ts';
import { wireErrorSchema } from '../../src/protocol/messages.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';

describe('a delegate error', () => {
  const cause = new Error('the library says hunter2!');
  const full = new DelegateError('servicenow.field-missing', 'The answer has no number.', {
    category: 'bad-response',
    retryable: true,
    hint: 'Check the access rules.',
    status: 200,
    details: { table: 'change_request', fields: ['number'] },
    cause,
  });

  it('crosses the wire with everything but its cause and stack', () => {
    expect(full.toWire()).to.deep.equal({
      code: 'servicenow.field-missing',
      message: 'The answer has no number.',
      hint: 'Check the access rules.',
      category: 'bad-response',
      retryable: true,
      status: 200,
      details: { table: 'change_request', fields: ['number'] },
    });
    expect(JSON.stringify(full.toWire())).to.not.contain('hunter2!');
    expect(full.cause).to.equal(cause);
  });

  it('says nothing on the wire about what it does not have', () => {
    const plain = new DelegateError('timeout', 'Too late.', { category: 'timeout' });
    expect(plain.toWire()).to.have.all.keys('code', 'message', 'category', 'retryable');
    expect(plain).to.not.have.own.property('cause');
  });

  it('is not retryable unless it says so', () => {
    expect(new DelegateError('x', '', { category: 'internal' }).retryable).to.equal(false);
  });

  it('fits the wire in every category', () => {
    for (const category of ERROR_CATEGORIES) {
      const error = new DelegateError('some-code', 'Some message.', { category });
      expect(wireErrorSchema.parse(error.toWire()).category).to.equal(category);
    }
  });
});

describe('an error told anew', () => {
  const error = new DelegateError('room.locked', 'It is locked.', {
    category: 'refused',
    retryable: true,
    hint: 'Knock.',
    status: 423,
    details: { room: 7, door: 'left' },
  });

  it('is the same error, with what is given in the place of what was said', () => {
    const told = error.retold({ message: 'Room 7 is locked.', hint: 'Wait.', details: { door: 'right' } });
    expect(told.toWire()).to.deep.equal({
      ...error.toWire(),
      message: 'Room 7 is locked.',
      hint: 'Wait.',
      details: { room: 7, door: 'right' },
    });
    expect(told.cause).to.equal(error);
  });

  it('keeps what is not given', () => {
    expect(error.retold({}).toWire()).to.deep.equal(error.toWire());
    const bare = new DelegateError('room.gone', 'Gone.', { category: 'not-found' });
    expect(bare.retold({}).toWire()).to.deep.equal(bare.toWire());
  });
});

describe('an error of a room', () => {
  const roomError = errorsOf({
    'room.locked': { category: 'refused', retryable: true, means: 'Somebody is in it.', remedy: 'Knock.' },
    'room.gone': { category: 'not-found', means: 'There is none.', remedy: 'Build one.' },
  });

  it('has category, remedy and whether it may pass from the table of the room', () => {
    expect(roomError('room.locked', 'Room 7 is locked.').toWire()).to.deep.equal({
      code: 'room.locked',
      message: 'Room 7 is locked.',
      hint: 'Knock.',
      category: 'refused',
      retryable: true,
    });
    expect(roomError('room.gone', 'Room 8 is gone.').retryable).to.equal(false);
  });

  it('says what the place that fails knows better', () => {
    const cause = new Error('the lock');
    const error = roomError('room.locked', 'Room 7 is locked.', {
      hint: 'Knock twice.',
      retryable: false,
      status: 423,
      details: { room: 7 },
      cause,
    });
    expect(error.toWire()).to.deep.include({ hint: 'Knock twice.', retryable: false, status: 423 });
    expect(error.cause).to.equal(cause);
  });

  it('keeps the remedy when no hint is given in so many words', () => {
    expect(roomError('room.gone', 'Gone.', { hint: undefined }).hint).to.equal('Build one.');
  });
});

describe('wrapping what was thrown', () => {
  it('leaves a delegate error as it is', () => {
    const error = new DelegateError('timeout', 'Too late.', { category: 'timeout' });
    expect(wrap(error)).to.equal(error);
  });

  it("keeps a stranger's text in the cause and out of the message", () => {
    const stranger = new TypeError('Bearer hunter2! is not iterable');
    const wrapped = wrap(stranger);
    expect(wrapped.cause).to.equal(stranger);
    expect(wrapped).to.include({ code: 'internal', category: 'internal', retryable: false });
    expect(JSON.stringify(wrapped.toWire())).to.contain('TypeError').and.not.contain('hunter2!');
  });

  it('takes what is no error at all', () => {
    for (const thrown of ['text', undefined, null, 5, { code: 'x' }]) {
      expect(wrap(thrown)).to.be.instanceOf(DelegateError).with.property('code', 'internal');
    }
  });
});

describe('the system code', () => {
  leavesNothingOpen();

  it('is that of a real socket error', async () => {
    const server = createServer();
    const port = await listenOnLoopback(server);
    server.close();
    await once(server, 'close');
    const [error]: unknown[] = await once(connect(port, '127.0.0.1'), 'error').catch((thrown: unknown) => [
      thrown,
    ]);
    expect(systemCode(error)).to.equal('ECONNREFUSED');
  });

  it('is found beneath other errors, past the codes of our own', () => {
    const system = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const fetchFailed = new TypeError('fetch failed', { cause: system });
    const ours = new DelegateError('http.unreachable', 'No.', {
      category: 'unavailable',
      cause: fetchFailed,
    });
    expect(systemCode(ours)).to.equal('ECONNREFUSED');
  });

  it('is undefined where there is none', () => {
    for (const thrown of [new Error('x'), 'ECONNREFUSED', { code: 'ENOENT' }, undefined, null]) {
      expect(systemCode(thrown)).to.equal(undefined);
    }
    expect(systemCode(Object.assign(new Error('x'), { code: 5 }))).to.equal(undefined);
  });

  it('ends its search on a cycle of causes', () => {
    const error = new Error('x');
    error.cause = error;
    expect(systemCode(error)).to.equal(undefined);
  });
});

describe('the reason of a failure, in a word', () => {
  it('is the code of the system error, else the message, else whatever was thrown', () => {
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    const thrown = [full, new Error('outer', { cause: full }), new Error('the disk is slow'), 'a text'];
    expect(thrown.map(reasonOf)).to.deep.equal(['ENOSPC', 'ENOSPC', 'the disk is slow', 'a text']);
  });
});
