import { expect } from 'chai';
import * as fc from 'fast-check';
import { parseAdfsUrl, parseInstanceUrl, parseTokenUrl } from '../../../src/connectors/servicenow/urls.ts';

describe('addresses', () => {
  describe('of the instance', () => {
    const kept: Record<string, string> = {
      'https://example.service-now.com': 'https://example.service-now.com',
      'https://example.service-now.com/': 'https://example.service-now.com',
      'https://example.service-now.com//': 'https://example.service-now.com',
      '  https://example.service-now.com  ': 'https://example.service-now.com',
      'HTTPS://Example.Service-Now.com': 'https://example.service-now.com',
      'https://example.service-now.com:443': 'https://example.service-now.com',
      'https://gateway.example.com/servicenow': 'https://gateway.example.com/servicenow',
      'https://gateway.example.com/servicenow/': 'https://gateway.example.com/servicenow',
      'https://gateway.example.com//servicenow//prod/': 'https://gateway.example.com/servicenow/prod',
      'https://[2001:db8::1]:8443': 'https://[2001:db8::1]:8443',
    };
    for (const [typed, baseUrl] of Object.entries(kept)) {
      it(`"${typed}" is ${baseUrl}, without a warning`, () => {
        expect(parseInstanceUrl(typed)).to.deep.equal({ baseUrl, warning: undefined });
      });
    }

    it('a host of one label stays as it is: no domain is completed that nobody typed', () => {
      expect(parseInstanceUrl('https://snprod:8443').baseUrl).to.equal('https://snprod:8443');
    });

    for (const typed of [
      'https://example.service-now.com/nav_to.do?uri=change_request.do%3Fsys_id%3D1',
      'https://example.service-now.com/navpage.do',
      'https://example.service-now.com/login.do/',
      'https://example.service-now.com/login',
      'https://example.service-now.com/now/nav/ui/classic/params/target/change_request_list.do',
      'https://example.service-now.com/now',
      'https://example.service-now.com/?id=landing',
      'https://example.service-now.com/#top',
    ]) {
      it(`a pasted page is its origin, with a warning: ${typed}`, () => {
        const { baseUrl, warning } = parseInstanceUrl(typed);
        expect(baseUrl).to.equal('https://example.service-now.com');
        expect(warning).to.contain('https://example.service-now.com is used instead');
      });
    }

    it('a page below a context path is a page too', () => {
      const { baseUrl, warning } = parseInstanceUrl('https://gateway.example.com/servicenow/home.do');
      expect(baseUrl).to.equal('https://gateway.example.com');
      expect(warning).to.be.a('string');
    });

    it('a context path that only begins like a page is kept', () => {
      expect(parseInstanceUrl('https://g.example.com/nowhere').baseUrl).to.equal(
        'https://g.example.com/nowhere',
      );
      expect(parseInstanceUrl('https://g.example.com/x.domain').baseUrl).to.equal(
        'https://g.example.com/x.domain',
      );
    });

    const refused: Record<string, string> = {
      'example.service-now.com': 'must be a whole address that begins with https://',
      'ftp://example.service-now.com': 'must be a whole address that begins with https://',
      '//example.service-now.com': 'must be a whole address that begins with https://',
      'https://': 'is not an address',
      'https://exa mple.com': 'is not an address',
      'https://user:password@example.service-now.com': 'must not hold a user name or password',
      'https://user@example.service-now.com': 'must not hold a user name or password',
      'https://example.service-now.com/a/../b': 'has a path with encoded or relative parts',
      'https://example.service-now.com/%2e%2e/b': 'has a path with encoded or relative parts',
      'https://example.service-now.com/a%2Fb': 'has a path with encoded or relative parts',
      'https://example.service-now.com\\b': 'has a path with encoded or relative parts',
      'https://example.service-now.com/a;jsessionid=1': 'has a path with encoded or relative parts',
    };
    for (const [typed, why] of Object.entries(refused)) {
      it(`"${typed}" ${why}`, () => {
        expect(() => parseInstanceUrl(typed)).to.throw(TypeError, why);
      });
    }

    it('with or without a trailing slash it is the same instance', () => {
      fc.assert(
        fc.property(
          fc.webUrl({ validSchemes: ['https'] }).filter((url) => !/;|%|\.\.|\/\.|\.do\b/.test(url)),
          (url) => {
            const bare = url.replace(/\/+$/, '');
            expect(parseInstanceUrl(`${bare}/`)).to.deep.equal(parseInstanceUrl(bare));
          },
        ),
      );
    });

    it('any text is an address of the origin that was typed, or refused for a reason', () => {
      fc.assert(
        fc.property(
          fc.oneof(fc.string(), fc.webUrl({ withFragments: true, withQueryParameters: true })),
          (text) => {
            try {
              const { baseUrl } = parseInstanceUrl(text);
              expect(baseUrl.startsWith(new URL(text.trim()).origin)).to.equal(true);
              expect(baseUrl).not.to.match(/\/$|\?|#/);
            } catch (thrown) {
              expect(thrown).to.be.instanceOf(TypeError);
            }
          },
        ),
      );
    });
  });

  describe('of AD FS', () => {
    for (const typed of [
      'https://adfs.example.com',
      'https://adfs.example.com/',
      'https://adfs.example.com/adfs',
      'https://adfs.example.com/adfs/',
      'https://adfs.example.com/adfs/oauth2',
      'https://adfs.example.com/adfs/oauth2/token',
      'https://adfs.example.com/adfs/oauth2/token/',
    ]) {
      it(`the token endpoint is found from ${typed}`, () => {
        expect(parseAdfsUrl(typed).href).to.equal('https://adfs.example.com/adfs/oauth2/token');
      });
    }

    it('a path in front of it is kept', () => {
      expect(parseAdfsUrl('https://gateway.example.com/sts').href).to.equal(
        'https://gateway.example.com/sts/adfs/oauth2/token',
      );
    });
  });

  describe('of a token endpoint', () => {
    for (const typed of [
      'https://example.service-now.com/oauth_token.do',
      'https://example.service-now.com/oauth_token.do/',
      'https://example.service-now.com/oauth_token.do?x=1',
    ]) {
      it(`ServiceNow's own is cut after its name: ${typed}`, () => {
        expect(parseTokenUrl(typed).href).to.equal('https://example.service-now.com/oauth_token.do');
      });
    }

    for (const typed of [
      'https://login.example.com/oauth2/v2.0/token',
      'https://login.example.com/token/',
      'https://login.example.com/token?tenant=1',
    ]) {
      it(`any other is used as typed: ${typed}`, () => {
        expect(parseTokenUrl(typed).href).to.equal(typed);
      });
    }
  });
});
