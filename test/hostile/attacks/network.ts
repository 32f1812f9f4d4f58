import { attack, basic, connectorTo, VALIDATE, validatingAt, type AttackGroup } from '../attack.ts';

const LOOPBACK = { on: 'strict', comesTo: 'policy-denied', says: 'loopback' } as const;
const FORBIDDEN = { on: 'strict', comesTo: 'policy-denied', says: 'which a task may not reach' } as const;
const HTTPS = { on: 'strict', comesTo: 'policy-denied', says: 'is not https' } as const;
const NO_ADDRESS = { on: 'strict', comesTo: 'invalid-input', says: 'serviceNowUrl' } as const;

const at = (url: string) => (): string => url;

export const NETWORK: AttackGroup = {
  title: 'Places in the network',
  attacks: [
    validatingAt('loopback', LOOPBACK, at('https://127.0.0.1')),
    validatingAt('loopback by name', LOOPBACK, at('https://localhost')),
    validatingAt('loopback by name, with a dot', LOOPBACK, at('https://localhost.')),
    validatingAt('loopback by a name below it', LOOPBACK, at('https://x.localhost')),
    validatingAt('loopback in capitals', LOOPBACK, at('https://LOCALHOST')),
    validatingAt('loopback in letters of another width', LOOPBACK, at('https://ｌｏｃａｌｈｏｓｔ')),
    validatingAt('loopback as one number', LOOPBACK, at('https://2130706433')),
    validatingAt('loopback in octal', LOOPBACK, at('https://0177.0.0.1')),
    validatingAt('loopback in hexadecimal', LOOPBACK, at('https://0x7f.1')),
    validatingAt('another address of loopback', LOOPBACK, at('https://127.9.9.9')),
    validatingAt('loopback of IPv6', LOOPBACK, at('https://[::1]')),
    validatingAt('loopback, mapped into IPv6', LOOPBACK, at('https://[::ffff:127.0.0.1]')),
    validatingAt('loopback behind NAT64', LOOPBACK, at('https://[64:ff9b::7f00:1]')),
    validatingAt('the metadata service', FORBIDDEN, at('https://169.254.169.254')),
    validatingAt('the metadata service of IPv6', FORBIDDEN, at('https://[fd00:ec2::254]')),
    validatingAt('the metadata service of another cloud', FORBIDDEN, at('https://100.100.100.200')),
    validatingAt('the metadata service, mapped into IPv6', FORBIDDEN, at('https://[::ffff:a9fe:a9fe]')),
    validatingAt('this very host', FORBIDDEN, at('https://0.0.0.0')),
    validatingAt('this very host as a nought', FORBIDDEN, at('https://0')),
    validatingAt('link-local', FORBIDDEN, at('https://[fe80::1]')),
    validatingAt('link-local with a zone', NO_ADDRESS, at('https://[fe80::1%25eth0]')),
    validatingAt('plain http', HTTPS, at('http://acme.example.com')),
    validatingAt('a file', NO_ADDRESS, at('file:///etc/passwd')),
    validatingAt('another scheme', NO_ADDRESS, at('gopher://acme.example.com')),
    attack(
      'a public name that leads to loopback',
      { on: 'strict', comesTo: 'policy.loopback-refused' },
      async (world, victim) => {
        world.names.set('attacker.example.com', ['127.0.0.1']);
        const url = `https://attacker.example.com:${world.attackerTls.port}`;
        return await victim.ask(VALIDATE, { connector: connectorTo(url, basic()) });
      },
    ),
    attack(
      'a public name that leads to the metadata service',
      { on: 'strict', comesTo: 'policy.address-refused' },
      async (world, victim) => {
        world.names.set('attacker.example.com', ['169.254.169.254']);
        const connector = connectorTo('https://attacker.example.com', basic('env:CLIENT_ID'));
        return await victim.ask(VALIDATE, { connector });
      },
    ),
    attack(
      'a public name that leads to loopback of IPv6',
      { on: 'strict', comesTo: 'policy.loopback-refused' },
      async (world, victim) => {
        world.names.set('attacker.example.com', ['::ffff:127.0.0.1']);
        const connector = connectorTo('https://attacker.example.com', basic('env:CLIENT_ID'));
        return await victim.ask(VALIDATE, { connector });
      },
    ),
    attack(
      'DNS that changes its answer after the first look',
      // A secret that is not there, so that the test of the connector goes no further than a connection.
      { on: 'default', comesTo: 'secret-not-found', says: 'policy.address-refused' },
      async (world, victim) => {
        world.names.set('rebinding.example.com', ['127.0.0.1', '169.254.169.254']);
        const url = `https://rebinding.example.com:${world.attackerTls.port}`;
        const connector = connectorTo(url, basic('env:NOT_THERE'));
        const before = await victim.ask(VALIDATE, { connector });
        const isReached = !before.text.includes('policy.address-refused');
        const after = await victim.ask(VALIDATE, { connector });
        return isReached ? after : { code: 'refused at first', text: before.text };
      },
    ),
  ],
};
