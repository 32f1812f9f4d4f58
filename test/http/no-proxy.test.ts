import { expect } from 'chai';
import { assert, integer, property, string, stringMatching } from 'fast-check';
import { isBypassed, isNearby, parseBypassList } from '../../src/http/no-proxy.ts';

describe('the list of those who need no proxy', () => {
  const table: [list: string, direct: string[], proxied: string[]][] = [
    ['', [], ['example.com:443', '10.0.0.1:443']],
    ['*', ['example.com:443', '10.0.0.1:80', '[2001:db8::1]:443'], []],
    ['example.com', ['example.com:443', 'a.example.com:443', 'a.b.example.com:80'], ['badexample.com:443']],
    ['.example.com', ['a.example.com:443', 'a.b.example.com:443'], ['example.com:443', 'aexample.com:443']],
    ['*.example.com', ['a.example.com:443'], ['example.com:443']],
    ['EXAMPLE.com', ['example.com:443', 'A.Example.COM:443'], []],
    ['example.com.', ['example.com:443', 'example.com.:443'], []],
    ['example.com', ['example.com.:443'], []],
    ['example.com:8443', ['example.com:8443', 'a.example.com:8443'], ['example.com:443']],
    ['.example.com:8443', ['a.example.com:8443'], ['a.example.com:443', 'example.com:8443']],
    ['*:8443', [], ['example.com:8443']],
    ['10.1.2.3', ['10.1.2.3:443', '[::ffff:10.1.2.3]:443'], ['10.1.2.4:443', 'a.10.1.2.3:443']],
    ['10.1.2.3:80', ['10.1.2.3:80'], ['10.1.2.3:443']],
    ['10.0.0.0/8', ['10.255.255.255:443', '10.0.0.0:80'], ['11.0.0.0:443', 'ten.example.com:443']],
    ['10.1.2.3/32', ['10.1.2.3:443'], ['10.1.2.4:443']],
    ['0.0.0.0/0', ['192.0.2.1:443'], ['example.com:443', '[2001:db8::1]:443']],
    ['2001:db8::7', ['[2001:db8::7]:443', '[2001:db8:0:0:0:0:0:7]:443'], ['[2001:db8::8]:443']],
    ['[2001:db8::7]', ['[2001:db8::7]:443'], []],
    ['[2001:db8::7]:80', ['[2001:db8::7]:80'], ['[2001:db8::7]:443']],
    ['2001:DB8::/32', ['[2001:db8:1::1]:443'], ['[2001:db9::1]:443', '32.1.13.184:443']],
    ['a.com, b.com', ['a.com:443', 'b.com:443'], ['c.com:443']],
    ['a.com b.com\tc.com,,', ['a.com:443', 'b.com:443', 'c.com:443'], ['d.com:443']],
    ['bücher.example', ['xn--bcher-kva.example:443'], ['example:443']],
    ['localhost', ['localhost:443'], []],
    ['vault_1', ['vault_1:8200'], []],
  ];
  for (const [list, direct, proxied] of table) {
    it(`"${list}" lets ${direct.join(', ') || 'nobody'} past`, () => {
      const read = parseBypassList(list);
      const passes = (host: string): boolean => isBypassed(read, targetOf(host));
      expect(direct.filter((host) => !passes(host))).to.deep.equal([]);
      expect(proxied.filter(passes)).to.deep.equal([]);
    });
  }

  for (const nonsense of [
    '10.0.0.0/33',
    '2001:db8::/129',
    'example.com/24',
    '10.0.0/8',
    '10.1',
    'example.com:port',
    'example.com:0',
    'example.com:65536',
    'foo*.example.com',
    '[::1',
    'http://example.com',
    '.',
    '*:443',
  ]) {
    it(`"${nonsense}" means nothing, lets nobody past, and is told`, () => {
      const read = parseBypassList(`${nonsense}, good.example`);
      expect(read.misread).to.deep.equal([nonsense]);
      expect(isBypassed(read, targetOf('example.com:443'))).to.equal(false);
      expect(isBypassed(read, targetOf('good.example:443'))).to.equal(true);
    });
  }

  it('reads any text, and lets a name past that stands in it as it is', () => {
    const name = stringMatching(/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,5}){0,2}$/);
    assert(
      property(string(), name, integer({ min: 1, max: 65_535 }), (text, hostname, port) => {
        parseBypassList(text);
        expect(isBypassed(parseBypassList(`other.example,${hostname}`), { hostname, port })).to.equal(true);
        expect(isBypassed(parseBypassList(`${hostname}:${port}`), { hostname, port })).to.equal(true);
        const within = parseBypassList(`sub.${hostname}`);
        expect(isBypassed(within, { hostname, port })).to.equal(false);
      }),
    );
  });
});

describe('what is nearby, where no proxy leads', () => {
  for (const [hostname, expected] of [
    ['localhost', true],
    ['LOCALHOST.', true],
    ['a.localhost', true],
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['169.254.169.254', true],
    ['169.254.170.2', true],
    ['fe80::1', true],
    ['fd00:ec2::254', true],
    ['metadata.google.internal', true],
    ['metadata.google.internal.example.com', false],
    ['169.253.0.1', false],
    ['fd00:ec3::1', false],
    ['localhost.example.com', false],
    ['notlocalhost', false],
    ['128.0.0.1', false],
    ['127.0.0.1.example.com', false],
  ] as const) {
    it(`is ${expected ? '' : 'not '}${hostname}`, () => {
      expect(isNearby(hostname)).to.equal(expected);
    });
  }
});

/** As a URL gives host and port. */
function targetOf(host: string): { hostname: string; port: number } {
  const [, name = '', port = ''] = /^(.*):(\d+)$/.exec(host) ?? [];
  return { hostname: name.replace(/^\[|\]$/g, ''), port: Number(port) };
}
