import { gzipSync } from 'node:zlib';
import {
  answered,
  attack,
  CHECK,
  basic,
  connectorTo,
  question,
  tokenAnswered,
  type AttackGroup,
} from '../attack.ts';

const POLICY = 'policy';
const BOMB = gzipSync(Buffer.alloc(40 * 1_048_576, ' '));
const NEVER_SO = { on: POLICY, comesTo: 'servicenow.unexpected-shape' } as const;

export const ANSWERS: AttackGroup = {
  title: 'Answers that ask for more',
  attacks: [
    answered('a redirect to the enemy', { on: POLICY, comesTo: 'servicenow.redirected' }, ({ attacker }) => ({
      status: 302,
      headers: { location: `${attacker.url}/steal` },
    })),
    answered(
      'a redirect that keeps method and headers',
      { on: POLICY, comesTo: 'servicenow.redirected' },
      ({ attacker }) => ({
        status: 307,
        headers: { location: `${attacker.url}/steal` },
      }),
    ),
    answered('a redirect for ever', { on: POLICY, comesTo: 'servicenow.redirected' }, ({ attacker }) => ({
      status: 308,
      headers: { location: `${attacker.url}/steal` },
    })),
    answered(
      'a challenge that names the enemy',
      { on: POLICY, comesTo: 'servicenow.not-authenticated' },
      ({ attacker }) => ({
        status: 401,
        headers: { 'www-authenticate': `Basic realm="${attacker.url}"` },
        body: { error: { message: 'User Not Authenticated' } },
      }),
    ),
    answered(
      'a proxy that wants credentials',
      { on: POLICY, comesTo: 'servicenow.unexpected-status' },
      () => ({
        status: 407,
        headers: { 'proxy-authenticate': 'Basic realm="x"' },
        body: {},
      }),
    ),
    answered(
      'another service in its place, and a cookie',
      { on: POLICY, comesTo: 'servicenow.unexpected-shape' },
      ({ attacker }) => ({
        headers: {
          'alt-svc': `h2="127.0.0.1:${attacker.port}"; ma=86400`,
          'set-cookie': 'a=b; Domain=example.com',
          refresh: `0; url=${attacker.url}`,
        },
        body: { no: 1 },
      }),
    ),
    answered(
      'forty megabytes in forty kilobytes',
      { on: POLICY, comesTo: 'http.response-too-large' },
      () => ({
        headers: { 'content-encoding': 'gzip' },
        body: BOMB,
      }),
    ),
    answered('more than an answer may have', { on: POLICY, comesTo: 'http.response-too-large' }, () => ({
      body: Buffer.alloc(17 * 1_048_576, ' '),
    })),
    answered('no answer', { on: POLICY, comesTo: 'timeout' }, () => 'never'),
    answered('an answer of a byte at a time', { on: POLICY, comesTo: 'timeout' }, () => 'drip'),
    answered('ten thousand rows', NEVER_SO, () => ({
      body: { result: Array.from({ length: 10_000 }, () => ({})) },
    })),
    answered('columns without end', NEVER_SO, () => ({
      body: { result: [Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`f${n}`, '']))] },
    })),
    answered('JSON that is a hundred thousand deep', NEVER_SO, () => ({
      body: `{"result":[{"state":${'['.repeat(100_000)}${']'.repeat(100_000)}}]}`,
    })),
    answered('the names that every object has', { on: POLICY, comesTo: 'servicenow.field-missing' }, () => ({
      body: '{"result":[{"__proto__":{"state":"-1"},"constructor":"x","number":"CHG0030001"}]}',
    })),
    answered(
      'a ticket that was not asked for',
      { on: POLICY, comesTo: 'servicenow.filter-not-applied' },
      () => ({
        body: { result: [{ number: 'CHG0099999', sys_id: 'x', state: '-1' }] },
      }),
    ),
    tokenAnswered(
      'a token server that redirects',
      { on: POLICY, comesTo: 'token.redirected' },
      (_sent, { attacker }) => ({
        status: 307,
        headers: { location: `${attacker.url}/token` },
      }),
    ),
    tokenAnswered(
      'a token that ends the header',
      { on: POLICY, comesTo: 'token.unusable-access-token' },
      () => ({
        body: { access_token: 'a\r\nX-Evil: 1', token_type: 'Bearer' },
      }),
    ),
    tokenAnswered('a token that never ends', { on: POLICY, comesTo: 'token.unusable-access-token' }, () => ({
      body: { access_token: 'a'.repeat(1_000_000), token_type: 'Bearer' },
    })),
    tokenAnswered('a token that is a map', { on: POLICY, comesTo: 'token.missing-access-token' }, () => ({
      body: { access_token: { __proto__: 1 }, token_type: 'Bearer' },
    })),
    tokenAnswered('a token of another kind', { on: POLICY, comesTo: 'token.not-bearer' }, () => ({
      body: { access_token: 'abcdefgh12345678', token_type: 'mac' },
    })),
    attack(
      'an hour of waiting',
      // As it asked: the instance is left alone.
      { on: 'fresh', comesTo: 'servicenow.rate-limited', afterwards: 'servicenow.rate-limited' },
      async (world, victim) => {
        await victim.start();
        world.serviceNow.reply = () => ({ status: 429, headers: { 'retry-after': '3600' }, body: {} });
        return await victim.ask(CHECK, question(connectorTo(world.serviceNow.url, basic())));
      },
    ),
  ],
};
