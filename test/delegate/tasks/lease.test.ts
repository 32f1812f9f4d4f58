import { expect } from 'chai';
import { Leases } from '../../../src/delegate/tasks/lease.ts';
import { keyOf } from '../../../src/protocol/messages.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { REF } from '../frames.ts';

const LEASE_MS = 30_000;

describe('leases', () => {
  function leases(): { clock: ManualClock; leases: Leases; lost: string[] } {
    const clock = new ManualClock();
    const lost: string[] = [];
    const made = new Leases(clock, (ref) => lost.push(keyOf(ref)));
    made.leaseMs = LEASE_MS;
    return { clock, leases: made, lost };
  }

  it('end leaseMs after the accept', async () => {
    const { clock, leases: held, lost } = leases();
    held.grant(REF, clock.monotonic());
    await clock.advance(LEASE_MS - 1);
    expect(lost).to.deep.equal([]);
    await clock.advance(1);
    expect(lost).to.deep.equal(['t-1#1']);
  });

  it('count from the sending of the heartbeat, not from its acknowledgement', async () => {
    const { clock, leases: held, lost } = leases();
    held.grant(REF, clock.monotonic());
    await clock.advance(10_000);
    const sentAt = clock.monotonic();
    await clock.advance(5_000);
    held.renew([REF], sentAt);
    await clock.advance(LEASE_MS - 5_000 - 1);
    expect(lost).to.deep.equal([]);
    await clock.advance(1);
    expect(lost).to.deep.equal(['t-1#1']);
  });

  it('are not revived by an acknowledgement that comes too late', async () => {
    const { clock, leases: held, lost } = leases();
    held.grant(REF, clock.monotonic());
    await clock.advance(LEASE_MS);
    held.renew([REF], clock.monotonic());
    expect(clock.pending).to.equal(0);
    await clock.advance(2 * LEASE_MS);
    expect(lost).to.deep.equal(['t-1#1']);
  });

  it('are not made by a renewal', () => {
    const { clock, leases: held } = leases();
    held.renew([REF], clock.monotonic());
    expect(clock.pending).to.equal(0);
  });

  it('lose nothing by a heartbeat older than the one in force, acknowledged late', async () => {
    const { clock, leases: held, lost } = leases();
    const grantedAt = clock.monotonic();
    held.grant(REF, grantedAt);
    await clock.advance(10_000);
    held.renew([REF], clock.monotonic());
    held.leaseMs = LEASE_MS / 3;
    held.renew([REF], grantedAt + 5_000);
    await clock.advance(LEASE_MS - 1);
    expect(lost).to.deep.equal([]);
    await clock.advance(1);
    expect(lost).to.deep.equal(['t-1#1']);
  });

  it('become shorter when a later session says so', async () => {
    const { clock, leases: held, lost } = leases();
    held.grant(REF, clock.monotonic());
    held.leaseMs = LEASE_MS / 3;
    held.renew([REF], clock.monotonic());
    await clock.advance(LEASE_MS / 3);
    expect(lost).to.deep.equal(['t-1#1']);
  });

  it('are lost at a check when their time is over, though no timer has told', () => {
    const { clock, leases: held, lost } = leases();
    held.grant(REF, clock.monotonic());
    held.check(REF);
    expect(lost).to.deep.equal([]);
    clock.block(LEASE_MS);
    held.check(REF);
    held.check(REF);
    expect(lost).to.deep.equal(['t-1#1']);
    expect(clock.pending).to.equal(0);
  });

  it('that are dropped are never lost, and leave no timer', async () => {
    const { clock, leases: held, lost } = leases();
    held.grant(REF, clock.monotonic());
    held.drop(REF);
    expect(clock.pending).to.equal(0);
    await clock.advance(LEASE_MS);
    expect(lost).to.deep.equal([]);
  });
});
