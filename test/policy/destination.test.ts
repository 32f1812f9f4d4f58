import { expect } from 'chai';
import { DelegateError } from '../../src/kit/errors.ts';
import { assertAddress, assertDestination, isLoopbackHost } from '../../src/policy/destination.ts';

const PURPOSE = 'connector.spec.serviceNowUrl';

function outcome(attempt: () => void): string {
  try {
    attempt();
    return 'allowed';
  } catch (error) {
    if (!(error instanceof DelegateError)) throw error;
    expect(error).to.include({ category: 'policy', retryable: false });
    expect(error.message).to.match(/^connector\.spec\.serviceNowUrl: /);
    return error.code;
  }
}

const judge = (url: string, allowLoopback: boolean): string =>
  outcome(() => assertDestination(new URL(url), PURPOSE, { allowLoopback }));

const HTTPS = 'policy.https-required';
const LOOPBACK = 'policy.loopback-refused';
const ADDRESS = 'policy.address-refused';

describe('a destination', () => {
  /** The judgement of the customer's rules, and with loopback allowed. */
  const urls: [url: string, usual: string, development: string][] = [
    ['https://acme.service-now.com', 'allowed', 'allowed'],
    ['https://acme.service-now.com:8443/path?a=b', 'allowed', 'allowed'],
    ['https://10.0.0.5', 'allowed', 'allowed'],
    ['https://192.168.1.1', 'allowed', 'allowed'],
    ['https://[2001:db8::1]', 'allowed', 'allowed'],
    ['https://[fd12:3456::1]', 'allowed', 'allowed'],
    ['https://localhost.example.com', 'allowed', 'allowed'],
    ['https://notlocalhost', 'allowed', 'allowed'],
    ['https://127.0.0.1.example.com', 'allowed', 'allowed'],
    ['http://acme.service-now.com', HTTPS, HTTPS],
    ['http://10.0.0.5', HTTPS, HTTPS],
    ['ftp://acme.service-now.com', HTTPS, HTTPS],
    ['wss://acme.service-now.com', HTTPS, HTTPS],
    ['file:///etc/passwd', HTTPS, HTTPS],
    ['data:text/plain,a', HTTPS, HTTPS],
    ['ftp://localhost', LOOPBACK, HTTPS],
    ...[
      'localhost',
      'LOCALHOST',
      'localhost.',
      'a.localhost',
      'a.b.localhost.',
      '127.0.0.1',
      '127.0.0.1.',
      '127.1',
      '127.255.255.254',
      '0x7f.1',
      '0177.0.0.1',
      '2130706433',
      '0x7f000001',
      '[::1]',
      '[0:0:0:0:0:0:0:1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
    ].flatMap((host): [string, string, string][] => [
      [`https://${host}`, LOOPBACK, 'allowed'],
      [`http://${host}:8080/a`, LOOPBACK, 'allowed'],
    ]),
    ...[
      '0.0.0.0',
      '0',
      '0.1.2.3',
      '[::]',
      '169.254.169.254',
      '169.254.0.1',
      '2852039166',
      '0xa9fea9fe',
      '[::ffff:169.254.169.254]',
      '[::ffff:0.0.0.0]',
      '[fe80::1]',
      '[febf::1]',
      '[fd00:ec2::254]',
    ].flatMap((host): [string, string, string][] => [
      [`https://${host}`, ADDRESS, ADDRESS],
      [`http://${host}`, ADDRESS, ADDRESS],
    ]),
  ];
  for (const [url, usual, development] of urls) {
    it(`${url}: ${usual}, in development ${development}`, () => {
      expect([judge(url, false), judge(url, true)]).to.deep.equal([usual, development]);
    });
  }

  // URL parsers take them all, and the commands that a denial proposes would be run by whoever pastes them.
  for (const host of [
    '$(reboot).acme.example',
    'a;reboot;.example',
    'a`id`.example',
    'a&b.example',
    "a'b.example",
  ]) {
    it(`with the host ${host} is refused, and the host not repeated`, () => {
      const url = new URL(`https://${host}/`);
      expect(url.hostname).to.equal(host);
      expect(() => assertDestination(url, PURPOSE, { allowLoopback: true }))
        .to.throw(DelegateError)
        .that.satisfies((denial: DelegateError) => !JSON.stringify(denial.toWire()).includes(host))
        .and.has.property('code', 'policy.url-refused');
    });
  }

  it('is refused without its credentials and path in the error', () => {
    const attempt = (): void =>
      assertDestination(new URL('http://user:hunter2@acme.example/secret?key=hunter2'), PURPOSE, {
        allowLoopback: false,
      });
    expect(attempt).to.throw(
      DelegateError,
      /^connector\.spec\.serviceNowUrl: http:\/\/acme\.example is not https\.$/,
    );
  });
});

describe('an address that a name resolved to', () => {
  const addresses: [address: string, usual: string, development: string][] = [
    ['93.184.216.34', 'allowed', 'allowed'],
    ['10.0.0.1', 'allowed', 'allowed'],
    ['2606:2800:220:1::1', 'allowed', 'allowed'],
    ['::ffff:10.0.0.1', 'allowed', 'allowed'],
    ['127.0.0.1', LOOPBACK, 'allowed'],
    ['127.8.9.10', LOOPBACK, 'allowed'],
    ['::1', LOOPBACK, 'allowed'],
    ['::ffff:127.0.0.1', LOOPBACK, 'allowed'],
    ['0.0.0.0', ADDRESS, ADDRESS],
    ['::', ADDRESS, ADDRESS],
    ['169.254.169.254', ADDRESS, ADDRESS],
    ['::ffff:169.254.169.254', ADDRESS, ADDRESS],
    ['fe80::1', ADDRESS, ADDRESS],
    // NAT64, 6to4, IPv4-compatible and IPv4-translated forms of loopback and of the metadata service.
    ['64:ff9b::7f00:1', LOOPBACK, 'allowed'],
    ['2002:7f00:1::', LOOPBACK, 'allowed'],
    ['::7f00:1', LOOPBACK, 'allowed'],
    ['::ffff:0:7f00:1', LOOPBACK, 'allowed'],
    ['64:ff9b::a9fe:a9fe', ADDRESS, ADDRESS],
    ['2002:a9fe:a9fe::1', ADDRESS, ADDRESS],
    ['64:ff9b:1::a9fe:a9fe', ADDRESS, ADDRESS],
    ['2001:0:a9fe:a9fe::1', ADDRESS, ADDRESS],
    ['fd20:ce::254', ADDRESS, ADDRESS],
    ['100.100.100.200', ADDRESS, ADDRESS],
    ['192.0.0.192', ADDRESS, ADDRESS],
    ['168.63.129.16', ADDRESS, ADDRESS],
    ['224.0.0.1', ADDRESS, ADDRESS],
    ['255.255.255.255', ADDRESS, ADDRESS],
    ['ff02::1', ADDRESS, ADDRESS],
    ['fec0::1', ADDRESS, ADDRESS],
    ['2001:db8::1', 'allowed', 'allowed'],
    ['64:ff9b::808:808', 'allowed', 'allowed'],
    ['2002:808:808::1', 'allowed', 'allowed'],
  ];
  for (const [address, usual, development] of addresses) {
    it(`${address}: ${usual}, in development ${development}`, () => {
      const given = [false, true].map((allowLoopback) =>
        outcome(() => assertAddress(address, PURPOSE, { allowLoopback })),
      );
      expect(given).to.deep.equal([usual, development]);
    });
  }

  it('with a zone is never allowed', () => {
    expect(() => assertAddress('fe80::1%eth0', PURPOSE, { allowLoopback: true })).to.throw();
  });
});

describe('a host', () => {
  it('is on loopback by name or by address', () => {
    const hosts = ['localhost', 'x.localhost', '127.0.0.9', '::1', 'example.com', '128.0.0.1', '::2', ''];
    expect(hosts.map(isLoopbackHost)).to.deep.equal([true, true, true, true, false, false, false, false]);
  });
});
