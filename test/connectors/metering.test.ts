import { expect } from 'chai';
import { meteredGrant, meteredSend } from '../../src/connectors/metering.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import type { HttpRequest, HttpSend } from '../../src/kit/http-exchange.ts';
import type { ConnectorMeter } from '../../src/connectors/connector.ts';
import { failureOf, rejectionOf } from '../support/failure.ts';
import { ManualClock } from '../support/manual-clock.ts';

const GONE = new DelegateError('network.refused', 'Nobody is there.', { category: 'unavailable' });

describe('what connectors tell the metrics', () => {
  let told: unknown[];
  let clock: ManualClock;
  let abort: AbortController;
  let request: HttpRequest;
  const meter: ConnectorMeter = {
    instanceAnswered: (tookMs, status) => void told.push([tookMs, status]),
    tokenRequested: (grant, code) => void told.push([grant, code]),
  };

  beforeEach(() => {
    told = [];
    clock = new ManualClock();
    abort = new AbortController();
    const url = new URL('https://acme.service-now.com/api/now/table/incident');
    request = { method: 'GET', url, headers: {}, signal: abort.signal };
  });

  /** The answer, or failure, comes after 30 ms. */
  const after30ms = (answer: () => ReturnType<HttpSend>): HttpSend =>
    meteredSend(
      async () => {
        await clock.advance(30);
        return await answer();
      },
      { meter, clock },
    );

  it('is the status of each answer, and how long it took', async () => {
    const answer = { status: 503, headers: {}, body: '' };
    expect(await after30ms(() => Promise.resolve(answer))(request)).to.equal(answer);
    expect(told).to.deep.equal([[30, 503]]);
  });

  it('is a failure without a status where there was no answer', async () => {
    expect(await failureOf(after30ms(() => Promise.reject(GONE))(request))).to.equal(GONE);
    expect(told).to.deep.equal([[30, undefined]]);
  });

  it('is nothing of a request that was given up: that says nothing of ServiceNow', async () => {
    const given = after30ms(() => {
      abort.abort(new Error('cancelled'));
      return Promise.reject(GONE);
    })(request);
    await failureOf(given);
    expect(told).to.deep.equal([]);
  });

  it('is nothing of a request that the policy has not let out: it would look as if ServiceNow were gone', async () => {
    const denied = new DelegateError('policy.address', 'Not there.', { category: 'policy' });
    expect(await failureOf(after30ms(() => Promise.reject(denied))(request))).to.equal(denied);
    expect(told).to.deep.equal([]);
  });

  it('is how each exchange with a token server ended, unless it was given up', async () => {
    const { signal } = abort;
    const redeem = { meter, grant: 'refresh_token', signal } as const;
    const assert = { meter, grant: 'client_credentials', signal } as const;
    expect(await meteredGrant(redeem, () => Promise.resolve('token'))).to.equal('token');
    const refused = new DelegateError('token.invalid-grant', 'No.', { category: 'credentials' });
    expect(await failureOf(meteredGrant(assert, () => Promise.reject(refused)))).to.equal(refused);
    await rejectionOf(meteredGrant(assert, () => Promise.reject(new TypeError('a defect'))));
    abort.abort(new Error('nobody waits for it'));
    await rejectionOf(meteredGrant(assert, () => Promise.reject(signal.reason)));
    expect(told).to.deep.equal([
      ['refresh_token', 'succeeded'],
      ['client_credentials', 'token.invalid-grant'],
      ['client_credentials', 'other'],
    ]);
  });
});
