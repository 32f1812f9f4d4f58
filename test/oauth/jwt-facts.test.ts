import { expect } from 'chai';
import { UnsecuredJWT } from 'jose';
import { Redactor, Secret } from '../../src/kit/secret.ts';
import { jwtFacts } from '../../src/oauth/jwt-facts.ts';

const unchanged = (text: string): string => text;
const token = (claims: Record<string, unknown>): Secret => new Secret(new UnsecuredJWT(claims).encode());

describe('jwt facts', () => {
  it('show what ServiceNow compares, and nothing else of the token', () => {
    expect(
      jwtFacts(
        token({ iss: 'https://i', aud: ['a', 'b'], exp: 1_800_000_000, upn: 'svc', appid: 'x', nonce: 'n' }),
        unchanged,
      ),
    ).to.deep.equal({
      issuer: 'https://i',
      audience: ['a', 'b'],
      expiresAt: '2027-01-15T08:00:00.000Z',
      userClaims: { upn: 'svc', appid: 'x' },
    });
  });

  it('are empty where the token says nothing usable', () => {
    expect(jwtFacts(token({ aud: [7], exp: 1e300, sub: 5, upn: null }), unchanged)).to.deep.equal({
      issuer: undefined,
      audience: [],
      expiresAt: undefined,
      userClaims: {},
    });
  });

  it('bound a claim and take its control characters away', () => {
    const facts = jwtFacts(token({ sub: `a\u001b\n${'x'.repeat(1_000)}` }), unchanged);
    expect(facts?.userClaims['sub']).to.have.length(256).and.match(/^a x/);
  });

  it('are scrubbed before a claim is cut or its white space is changed', () => {
    const redactor = new Redactor();
    for (const secret of ['correct\thorse', 'battery-staple-42']) redactor.register(secret);
    const claims = {
      iss: `${'x'.repeat(250)}battery-staple-42`,
      aud: ['correct\thorse'],
      sub: 'battery-staple-42',
    };
    const facts = jwtFacts(token(claims), (text) => redactor.scrub(text));
    expect(facts?.issuer).to.equal(`${'x'.repeat(250)}[secre`);
    expect(facts?.audience).to.deep.equal(['[secret]']);
    expect(facts?.userClaims).to.deep.equal({ sub: '[secret]' });
  });

  it('are not to be had of an opaque or encrypted token', () => {
    for (const opaque of ['', 'opaque', 'a.b.c', 'a.b.c.d.e', '..', 'e30.W10.x']) {
      expect(jwtFacts(new Secret(opaque), unchanged), opaque).to.equal(undefined);
    }
  });
});
