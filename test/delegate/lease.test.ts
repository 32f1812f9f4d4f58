import { expect } from 'chai';
import { Leases } from '../../src/delegate/lease.ts';
import { keyOf } from '../../src/protocol/messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { REF } from './frames.ts';

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

  it('of a heartbeat older than the lease end at once', async () => {
    const { clock, leases: held, lost } = leases();
    held.grant(REF, clock.monotonic());
    await clock.advance(LEASE_MS - 1);
    held.renew([REF], clock.monotonic() - LEASE_MS);
    await clock.advance(0);
    expect(lost).to.deep.equal(['t-1#1']);
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
