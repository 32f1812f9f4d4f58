import { expect } from 'chai';
import { UnsecuredJWT } from 'jose';
import { Secret } from '../../src/kit/secret.ts';
import { jwtFacts } from '../../src/oauth/jwt-facts.ts';

const token = (claims: Record<string, unknown>): Secret => new Secret(new UnsecuredJWT(claims).encode());

describe('jwt facts', () => {
  it('show what ServiceNow compares, and nothing else of the token', () => {
    expect(
      jwtFacts(
        token({ iss: 'https://i', aud: ['a', 'b'], exp: 1_800_000_000, upn: 'svc', appid: 'x', nonce: 'n' }),
      ),
    ).to.deep.equal({
      issuer: 'https://i',
      audience: ['a', 'b'],
      expiresAt: '2027-01-15T08:00:00.000Z',
      userClaims: { upn: 'svc', appid: 'x' },
    });
  });

  it('are empty where the token says nothing usable', () => {
    expect(jwtFacts(token({ aud: [7], exp: 1e300, sub: 5, upn: null }))).to.deep.equal({
      issuer: undefined,
      audience: [],
      expiresAt: undefined,
      userClaims: {},
    });
  });

  it('bound a claim and take its control characters away', () => {
    const facts = jwtFacts(token({ sub: `a\u001b\n${'x'.repeat(1_000)}` }));
    expect(facts?.userClaims['sub']).to.have.length(256).and.match(/^a x/);
  });

  it('are not to be had of an opaque or encrypted token', () => {
    for (const opaque of ['', 'opaque', 'a.b.c', 'a.b.c.d.e', '..', 'e30.W10.x']) {
      expect(jwtFacts(new Secret(opaque)), opaque).to.equal(undefined);
    }
  });
});
