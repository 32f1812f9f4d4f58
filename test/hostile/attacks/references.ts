import { basic, connectorTo, validating, type Attack, type AttackGroup, type Expected } from '../attack.ts';

/** The honest connector with a reference of the enemy's choice. */
const reference = (name: string, expected: Expected, passwordRef: string): Attack =>
  validating(name, expected, ({ serviceNow }) => connectorTo(serviceNow.url, basic(passwordRef)));

const INVALID = { on: 'default', comesTo: 'secret-reference-invalid' } as const;
const ABSENT = { on: 'default', comesTo: 'secret-not-found' } as const;
const OFF = { on: 'default', comesTo: 'secret-store-off' } as const;
const OF_VAULT = { on: 'stores', comesTo: 'secret-reference-invalid', says: 'vault:' } as const;
const OF_COMMANDS = { on: 'stores', comesTo: 'secret-reference-invalid', says: 'exec:' } as const;
const PINS = { on: 'default', comesTo: 'policy.secret-not-allowed' } as const;
const PINS_OF_STORES = { ...PINS, on: 'stores' } as const;

export const REFERENCES: AttackGroup = {
  title: 'References that reach for something else',
  attacks: [
    reference('a variable by a path', PINS, 'env:../OTHER_VARIABLE'),
    reference('any variable', ABSENT, 'env:OTHER_VARIABLE'),
    reference('PATH', ABSENT, 'env:PATH'),
    reference('the enrolment token', ABSENT, 'env:ENROLMENT_TOKEN'),
    reference('the enrolment token by its whole name', ABSENT, 'env:DELEGATE_ENROLMENT_TOKEN'),
    reference('a variable that every object has', ABSENT, 'env:__proto__'),
    reference('a file by its absolute path', PINS, 'file:/etc/passwd'),
    reference('a file above the folder', PINS, 'file:../outside/secret'),
    reference('a file far above the folder', PINS, 'file:../../../../../../etc/passwd'),
    reference('a file above the folder, encoded', INVALID, 'file:%2e%2e/outside/secret'),
    reference('a file above the folder, with backslashes', PINS, 'file:..\\outside\\secret'),
    reference('a file with a NUL', INVALID, 'file:password\u0000.txt'),
    reference('a link that leads out', INVALID, 'file:link'),
    reference('a link to a folder that leads out', INVALID, 'file:linked-folder/secret'),
    reference('a device', INVALID, 'file:endless'),
    reference('a pipe that nobody writes', INVALID, 'file:pipe'),
    reference('a file that is too large', INVALID, 'file:huge'),
    reference("the key of the delegate's state, which lies in the folder", INVALID, 'file:state-key'),
    reference("the key of the delegate's state by a link", INVALID, 'file:linked-state-key'),
    reference('a file by a second name of it', PINS, 'file:./password'),
    reference('a store that is not set up', OFF, 'vault:kv/snow#password'),
    reference('a command, where none are set up', OFF, 'exec:listed'),
    reference('a path above the mount', PINS_OF_STORES, 'vault:kv/../sys/raw#x'),
    reference('a path above the mount, encoded', OF_VAULT, 'vault:kv/%2e%2e/others#x'),
    reference('a path with a query', OF_VAULT, 'vault:kv/snow?list=true#x'),
    reference('a path with two fields', OF_VAULT, 'vault:kv/snow#password#x'),
    reference('the token of the delegate in Vault', OF_VAULT, 'vault:auth/token/lookup-self#id'),
    reference('a path that ends the request', OF_VAULT, 'vault:kv/snow HTTP/1.1\r\nX: #x'),
    reference(
      'a secret of others that Vault does not grant',
      { on: 'stores', comesTo: 'secret-store-denied' },
      'vault:kv/others/snow#password',
    ),
    reference('a command that is not listed', { on: 'stores', comesTo: 'secret-not-found' }, 'exec:id'),
    reference('a command with arguments', PINS_OF_STORES, 'exec:listed --all'),
    reference('a program by its path', PINS_OF_STORES, 'exec:/bin/sh'),
    reference('a command for a shell', OF_COMMANDS, 'exec:listed;id'),
    reference(
      'a command that every object has',
      { on: 'stores', comesTo: 'secret-reference-invalid' },
      'exec:__proto__',
    ),
    reference('an inherited name', ABSENT, '__proto__'),
    reference('a scheme that every object has', INVALID, 'constructor:x'),
    reference('a password where its reference belongs', INVALID, 'hunter2 is my password'),
    reference('no text', { on: 'default', comesTo: 'invalid-input' }, ''),
    reference('a long one', INVALID, `env:${'A'.repeat(1_000)}`),
    reference('a longer one', { on: 'default', comesTo: 'invalid-input' }, `env:${'A'.repeat(100_000)}`),
  ],
};
