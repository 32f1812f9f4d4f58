import { expect } from 'chai';
import { leaves } from '../../src/config/leaves.ts';
import { ownPlacesOf } from '../../src/config/own-places.ts';
import { readSettings } from '../../src/config/settings.ts';

/** What stands in these files is no secret. */
const PUBLIC: readonly string[] = ['policyFile', 'taskSigningKeysFile', 'caFile', 'managerCertificateFile'];

describe('what no secret reference may lead to', () => {
  const placesOf = (environment: Record<string, string>): readonly string[] =>
    ownPlacesOf(readSettings({ args: [], environment }).settings);

  for (const [key, { env = '' }] of leaves()) {
    if (!key.endsWith('File') || PUBLIC.includes(key)) continue;
    it(`is the file of ${key}`, () => {
      expect(placesOf({ [env]: '/run/secrets/own' })).to.include('/run/secrets/own');
    });
  }

  it('is the token of the service account, wherever it is mounted from', () => {
    expect(placesOf({})).to.include('/var/run/secrets/kubernetes.io/serviceaccount');
  });

  for (const [stateDir, secretsDir, isOwn] of [
    ['/data/state', '/data', true],
    ['/data', '/data', true],
    ['/data/state', '/data/secrets', true],
    ['/data', '/data/secrets', false],
    ['/data', '/data2/secrets', true],
  ] as const) {
    it(`${isOwn ? 'is' : 'is not'} the state in ${stateDir} for secrets in ${secretsDir}`, () => {
      const places = placesOf({ DELEGATE_STATE_DIR: stateDir, DELEGATE_SECRETS_DIR: secretsDir });
      expect(places.includes(stateDir)).to.equal(isOwn);
    });
  }
});
