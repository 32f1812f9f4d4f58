import { expect } from 'chai';
import { loadLocalConfiguration } from '../../src/config/local.ts';
import { Authority } from '../support/authority.ts';
import { complaintsOf, Folder, load, loadFile, sources } from './support.ts';

const PASSWORD = 'hunter2-pasted';

describe('the settings of the way out', () => {
  let company: Authority;
  let stranger: Authority;
  let folder: Folder;

  before(async () => {
    [company, stranger] = await Promise.all([Authority.create('company'), Authority.create('stranger')]);
  });

  beforeEach(() => {
    folder = new Folder();
  });

  afterEach(() => folder[Symbol.dispose]());

  describe('of a proxy', () => {
    const proxies: [environment: Record<string, string>, https?: string | undefined, http?: string][] = [
      [{}],
      [{ HTTPS_PROXY: 'http://p.example:3128' }, 'http://p.example:3128/'],
      [{ https_proxy: 'http://p.example:3128' }, 'http://p.example:3128/'],
      [{ HTTPS_PROXY: 'http://a.example', https_proxy: 'http://b.example' }, 'http://a.example/'],
      [{ HTTPS_PROXY: ' ', https_proxy: 'http://b.example' }, 'http://b.example/'],
      [{ HTTP_PROXY: 'http://p.example' }, undefined, 'http://p.example/'],
      [{ HTTPS_PROXY: 'p.example:3128' }, 'http://p.example:3128/'],
      [{ HTTPS_PROXY: 'https://p.example' }, 'https://p.example/'],
      [
        { DELEGATE_PROXY_URL: 'http://own.example:1', HTTPS_PROXY: 'http://a', HTTP_PROXY: 'http://b' },
        'http://own.example:1/',
        'http://own.example:1/',
      ],
      [{ DELEGATE_PROXY_URL: 'direct', HTTPS_PROXY: 'http://a', HTTP_PROXY: 'http://b' }],
    ];
    for (const [environment, https, http] of proxies) {
      it(`${JSON.stringify(environment)} is ${https ?? 'none'} for https and ${http ?? 'none'} for http`, () => {
        const { network } = load({ environment }).configuration;
        expect([network.httpsProxy?.url.href, network.httpProxy?.url.href]).to.deep.equal([https, http]);
      });
    }

    it('takes its exceptions from NO_PROXY, unless it has its own', () => {
      const bypassOf = (environment: Record<string, string>) =>
        load({ environment }).configuration.network.proxyBypass;
      expect(bypassOf({})).to.equal('');
      expect(bypassOf({ NO_PROXY: 'a', no_proxy: 'b' })).to.equal('a');
      expect(bypassOf({ no_proxy: 'b' })).to.equal('b');
      expect(bypassOf({ NO_PROXY: 'a', DELEGATE_NO_PROXY: 'c' })).to.equal('c');
    });

    it('takes a password out of a standard variable, warns about it, and shows it nowhere', () => {
      const environment = { HTTPS_PROXY: `http://us%40er:${PASSWORD}%21@p.example:3128` };
      const { configuration, warnings } = load({ environment });
      const proxy = configuration.network.httpsProxy;
      expect(proxy?.url.href).to.equal('http://p.example:3128/');
      expect(proxy?.credentials?.reveal()).to.equal(`us@er:${PASSWORD}!`);
      expect(warnings.join()).to.contain('HTTPS_PROXY').and.contain('DELEGATE_PROXY_CREDENTIALS_FILE');
      expect(warnings.join() + JSON.stringify(configuration)).to.not.contain(PASSWORD);
    });

    for (const value of [
      'proxy.example:3128',
      'socks5://proxy.example',
      `http://user:${PASSWORD}@proxy.example`,
      'http://proxy.example/path',
      'none',
    ]) {
      it(`refuses ${value.replace(PASSWORD, '…')} as an address of its own`, () => {
        const complaints = complaintsOf(() => load({ environment: { DELEGATE_PROXY_URL: value } }));
        expect(complaints).to.have.length(1);
        expect(complaints[0])
          .to.match(/^proxy\.url \(DELEGATE_PROXY_URL\): must /)
          .and.not.contain(PASSWORD);
      });
    }

    for (const value of ['socks5://proxy.example', 'http://', `http://user:${PASSWORD}@:3128`]) {
      it(`does not go past a proxy because HTTPS_PROXY is wrong (${value.replace(PASSWORD, '…')})`, () => {
        const [complaint, ...others] = complaintsOf(() => load({ environment: { HTTPS_PROXY: value } }));
        expect(complaint)
          .to.match(/^HTTPS_PROXY: .*"direct"/)
          .and.not.contain(PASSWORD);
        expect(others).to.deep.equal([]);
      });
    }

    for (const contents of ['', PASSWORD, `user:${PASSWORD}\nmore`, `:${PASSWORD}`]) {
      it(`refuses credentials that are not user:password in one line (${contents.length} characters)`, () => {
        const file = folder.write('credentials', contents);
        const complaints = complaintsOf(() =>
          load({ environment: { DELEGATE_PROXY_CREDENTIALS_FILE: file } }),
        );
        expect(complaints).to.deep.equal([
          'proxy.credentialsFile (DELEGATE_PROXY_CREDENTIALS_FILE): the file must hold user:password in one line',
        ]);
      });
    }
  });

  describe('of authorities', () => {
    it('are the bundle, and what Node.js was told to add', () => {
      const DELEGATE_CA_FILE = folder.write('ca.pem', company.cert + stranger.cert);
      const NODE_EXTRA_CA_CERTS = folder.write('node.pem', stranger.cert);
      const { network } = load({ environment: { DELEGATE_CA_FILE, NODE_EXTRA_CA_CERTS } }).configuration;
      expect(network.authorityFiles).to.deep.equal([DELEGATE_CA_FILE, NODE_EXTRA_CA_CERTS]);
    });

    it('leave those of Node.js alone where there is no bundle', () => {
      const { network } = load({ environment: { NODE_EXTRA_CA_CERTS: '/nowhere' } }).configuration;
      expect(network.authorityFiles).to.deep.equal([]);
    });

    it('only warn where what Node.js was told to add is of no use', () => {
      const environment = {
        DELEGATE_CA_FILE: folder.write('ca.pem', company.cert),
        NODE_EXTRA_CA_CERTS: '/nowhere',
      };
      const { configuration, warnings } = load({ environment });
      expect(configuration.network.authorityFiles).to.deep.equal([environment.DELEGATE_CA_FILE]);
      expect(warnings.join()).to.contain('NODE_EXTRA_CA_CERTS');
    });

    const bundles: [what: string, contents: () => string, complaint: RegExp][] = [
      ['is empty', () => '', /holds no certificate/],
      ['holds a key', () => company.issue({}).key, /holds no certificate/],
      ['is cut off', () => company.cert + stranger.cert.slice(0, 400), /cannot be read \(number 2\)/],
      [
        'is broken',
        () => company.cert.replace(/M[A-Z]{2}[A-Za-z0-9]{20}/, 'AAAA'),
        /cannot be read \(number 1\)/,
      ],
    ];
    for (const [what, contents, complaint] of bundles) {
      it(`are refused at the start where the bundle ${what}`, () => {
        const DELEGATE_CA_FILE = folder.write('ca.pem', contents());
        const complaints = complaintsOf(() => load({ environment: { DELEGATE_CA_FILE } }));
        expect(complaints).to.have.length(1);
        expect(complaints[0])
          .to.match(/^caFile \(DELEGATE_CA_FILE\): the file /)
          .and.match(complaint);
      });
    }

    it('are refused at the start where the bundle is not there', () => {
      const complaints = complaintsOf(() => load({ environment: { DELEGATE_CA_FILE: '/nowhere' } }));
      expect(complaints).to.deep.equal(['caFile (DELEGATE_CA_FILE): the file cannot be read (ENOENT)']);
    });
  });

  describe('of client certificates', () => {
    function pair(prefix = ''): { cert: string; key: string } {
      const { cert, key } = company.issue({ commonName: 'delegate' });
      return { cert: folder.write(`${prefix}crt`, cert), key: folder.write(`${prefix}key`, key) };
    }

    const forManager = ({ cert, key }: { cert: string; key: string }) => ({
      DELEGATE_MANAGER_CERTIFICATE_FILE: cert,
      DELEGATE_MANAGER_PRIVATE_KEY_FILE: key,
    });

    it('are one for the manager, and one for each origin of the list', () => {
      const { cert, key } = pair();
      const entry = { origin: 'https://acme.test:8443', certificateFile: cert, privateKeyFile: key };
      const { network } = loadFile(JSON.stringify({ clientCertificates: [entry] }), {
        environment: forManager({ cert, key }),
      }).configuration;
      const files = { certificateFile: cert, privateKeyFile: key, passphraseFile: undefined };
      expect(network.clientCertificates).to.deep.equal([
        { origin: 'https://acme.test:8443', ...files },
        { origin: 'https://manager.example.com', ...files },
      ]);
    });

    it('are refused by halves, with the half that is missing', () => {
      const { cert } = pair();
      const complaints = complaintsOf(() =>
        load({ environment: { DELEGATE_MANAGER_CERTIFICATE_FILE: cert } }),
      );
      expect(complaints).to.have.length(1);
      expect(complaints[0]).to.contain('DELEGATE_MANAGER_PRIVATE_KEY_FILE');
    });

    it('are refused where key and certificate do not belong together', () => {
      const key = folder.write('other', stranger.issue({}).key);
      const complaints = complaintsOf(() => load({ environment: forManager({ ...pair(), key }) }));
      expect(complaints).to.have.length(1);
      expect(complaints[0]).to.contain('another certificate').and.not.contain('PRIVATE');
    });

    it('are no matter of commands that call no manager', () => {
      const environment = { DELEGATE_MANAGER_CERTIFICATE_FILE: '/nowhere' };
      const command = { operand: 'FILE', flags: {} };
      expect(() => loadLocalConfiguration(sources({ environment, args: ['x'] }), command, '')).to.not.throw();
    });

    const lists: [what: string, list: unknown][] = [
      ['no list', 'text'],
      ['an entry without a key', [{ origin: 'https://a.test', certificateFile: 'x' }]],
      ['a path in an origin', [{ origin: 'https://a.test/x', certificateFile: 'x', privateKeyFile: 'y' }]],
      ['plain http', [{ origin: 'http://a.test', certificateFile: 'x', privateKeyFile: 'y' }]],
      ['a word too much', [{ origin: 'https://a.test', certificateFile: 'x', privateKeyFile: 'y', z: 1 }]],
    ];
    for (const [what, list] of lists) {
      it(`are refused with ${what}`, () => {
        const complaints = complaintsOf(() => loadFile(JSON.stringify({ clientCertificates: list })));
        expect(complaints).to.have.length(1);
        expect(complaints[0]).to.match(/^clientCertificates: (must|each)/);
      });
    }

    it('are refused twice for one origin', () => {
      const { cert, key } = pair();
      const entry = { origin: 'https://a.test', certificateFile: cert, privateKeyFile: key };
      const complaints = complaintsOf(() => loadFile(JSON.stringify({ clientCertificates: [entry, entry] })));
      expect(complaints).to.deep.equal([
        'clientCertificates: an origin has two entries; each can show one certificate',
      ]);
    });
  });
});
