import { expect } from 'chai';
import { complaintsOf, load } from './support.ts';

describe('the size of the audit log', () => {
  const sizeOf = (text: string): number =>
    load({ environment: { DELEGATE_AUDIT_MAX_BYTES: text } }).configuration.auditMaxBytes;

  it('is 64 MiB unless the operator says otherwise, and 0 for none', () => {
    expect(load().configuration.auditMaxBytes).to.equal(64 * 1_048_576);
    expect(sizeOf('0')).to.equal(0);
    expect(sizeOf('1048576')).to.equal(1_048_576);
  });

  for (const text of ['1', '1048575', '8589934593', '-1', '64MiB', '', 'off']) {
    it(`is not ${JSON.stringify(text)}: it would hold nothing for long, or is no number`, () => {
      const environment = { DELEGATE_AUDIT_MAX_BYTES: text };
      expect(complaintsOf(() => load({ environment }))).to.deep.equal([
        'auditMaxBytes (DELEGATE_AUDIT_MAX_BYTES): must be a whole number from 1048576 to 8589934592, or 0',
      ]);
    });
  }
});
