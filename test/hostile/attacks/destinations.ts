import {
  adfs,
  attack,
  basic,
  connectorTo,
  oidc,
  VALIDATE,
  validating,
  validatingAt,
  type AttackGroup,
} from '../attack.ts';

const NOT_AN_INSTANCE = {
  on: 'policy',
  comesTo: 'policy-denied',
  says: 'is not among the instances',
} as const;
const NOT_A_TOKEN_SERVER = {
  on: 'policy',
  comesTo: 'policy-denied',
  says: 'is not among the token servers',
} as const;
const SECRET_ELSEWHERE = { on: 'policy', comesTo: 'policy.secret-not-allowed' } as const;
const PINNED = { on: 'default', comesTo: 'policy.secret-pinned', says: 'since its first use' } as const;
const NO_ADDRESS = { on: 'policy', comesTo: 'invalid-input', says: 'serviceNowUrl' } as const;

export const DESTINATIONS: AttackGroup = {
  title: 'A real secret, and an address of the enemy',
  attacks: [
    validatingAt(
      'another host in the place of the instance',
      NOT_AN_INSTANCE,
      ({ attacker }) => attacker.url,
    ),
    validatingAt(
      'another host, over TLS that is trusted',
      NOT_AN_INSTANCE,
      ({ attackerTls }) => attackerTls.url,
    ),
    validatingAt(
      'another port of the same host',
      NOT_AN_INSTANCE,
      ({ serviceNow }) => `http://127.0.0.1:${serviceNow.port + 1 > 65_535 ? 1 : serviceNow.port + 1}`,
    ),
    validatingAt('another name of the same host', NOT_AN_INSTANCE, ({ serviceNow }) =>
      serviceNow.url.replace('127.0.0.1', 'localhost'),
    ),
    validatingAt(
      'a context path below the instance',
      NOT_AN_INSTANCE,
      ({ serviceNow }) => `${serviceNow.url}/evil`,
    ),
    validatingAt('the token server as the instance', NOT_AN_INSTANCE, ({ tokenServer }) => tokenServer.url),
    validatingAt(
      'the name of the instance with a letter of another script',
      { ...NOT_AN_INSTANCE, says: 'xn--' },
      () => 'https://аcme.service-now.com',
    ),
    validatingAt(
      'the name of the instance before that of the enemy',
      NOT_AN_INSTANCE,
      ({ attacker }) => `https://127.0.0.1.attacker.example.com:${attacker.port}`,
    ),
    validatingAt('a dot behind the name', NOT_AN_INSTANCE, () => 'https://acme.service-now.com.'),
    validatingAt(
      'the instance as the user name of another host',
      { ...NO_ADDRESS, says: 'user name or password' },
      ({ serviceNow, attacker }) => `${serviceNow.url}@127.0.0.1:${attacker.port}`,
    ),
    validatingAt(
      'credentials in the address',
      { ...NO_ADDRESS, says: 'user name or password' },
      ({ serviceNow }) => serviceNow.url.replace('//', '//user:password@'),
    ),
    validatingAt(
      'a backslash before another host',
      NO_ADDRESS,
      ({ serviceNow, attacker }) => `${serviceNow.url}\\@127.0.0.1:${attacker.port}`,
    ),
    validatingAt(
      'encoded dots',
      { ...NO_ADDRESS, says: 'encoded or relative' },
      ({ serviceNow }) => `${serviceNow.url}/a/%2e%2e/b`,
    ),
    validatingAt(
      'encoded slashes',
      { ...NO_ADDRESS, says: 'encoded or relative' },
      ({ serviceNow }) => `${serviceNow.url}/..%2f..%2fapi`,
    ),
    validatingAt(
      'dots and backslashes',
      { ...NO_ADDRESS, says: 'encoded or relative' },
      ({ serviceNow }) => `${serviceNow.url}/a\\..\\b`,
    ),
    validatingAt(
      'path parameters',
      { ...NO_ADDRESS, says: 'encoded or relative' },
      ({ serviceNow }) => `${serviceNow.url}/a;jsessionid=1`,
    ),
    validatingAt(
      'what is encoded twice',
      NOT_AN_INSTANCE,
      ({ serviceNow }) => `${serviceNow.url}/%252e%252e/x`,
    ),
    validatingAt('a line break in the address', NOT_AN_INSTANCE, ({ attacker }) =>
      attacker.url.replace('127', '1\r\n27'),
    ),
    validating(
      'a token server of the enemy, with the real client secret',
      NOT_A_TOKEN_SERVER,
      ({ serviceNow, attacker }) => connectorTo(serviceNow.url, oidc(`${attacker.url}/token`)),
    ),
    validating('another path of the token server', NOT_A_TOKEN_SERVER, ({ serviceNow, tokenServer }) =>
      connectorTo(serviceNow.url, oidc(`${tokenServer.url}/echo`)),
    ),
    validating('the token URL with a parameter', NOT_A_TOKEN_SERVER, ({ serviceNow, tokenUrl }) =>
      connectorTo(serviceNow.url, oidc(`${tokenUrl}?log=all`)),
    ),
    validating('an AD FS of the enemy, with the real key', NOT_A_TOKEN_SERVER, ({ serviceNow, attacker }) =>
      connectorTo(serviceNow.url, adfs(attacker.url)),
    ),
    validating('the client secret as the password of the instance', SECRET_ELSEWHERE, ({ serviceNow }) =>
      connectorTo(serviceNow.url, basic('env:CLIENT_SECRET')),
    ),
    validating('the client secret as the user of the instance', SECRET_ELSEWHERE, ({ serviceNow }) =>
      connectorTo(serviceNow.url, {
        type: 'UsernamePassword',
        spec: { usernameRef: 'env:CLIENT_SECRET', passwordRef: 'env:PASSWORD' },
      }),
    ),
    validating(
      'the password as the client secret of the token server',
      SECRET_ELSEWHERE,
      ({ serviceNow, tokenUrl }) =>
        connectorTo(serviceNow.url, oidc(tokenUrl, { clientSecretRef: 'env:PASSWORD' })),
    ),
    validating(
      'the refresh token as the client id, which goes to the instance as well',
      SECRET_ELSEWHERE,
      ({ serviceNow, tokenUrl }) =>
        connectorTo(serviceNow.url, oidc(tokenUrl, { clientIdRef: 'env:REFRESH_TOKEN' })),
    ),
    validating(
      'a secret that no rule names',
      { ...SECRET_ELSEWHERE, says: 'No rule of the policy file' },
      ({ serviceNow }) => connectorTo(serviceNow.url, basic('file:password')),
    ),
    validating(
      'the password as the private key',
      { on: 'policy', comesTo: 'key-material.private-key-unreadable' },
      ({ serviceNow, adfsUrl }) =>
        connectorTo(
          serviceNow.url,
          adfs(adfsUrl, { certificateRef: 'env:PASSWORD', privateKeyRef: 'env:PASSWORD' }),
        ),
    ),
    validating('a private key that no rule names', SECRET_ELSEWHERE, ({ serviceNow, adfsUrl }) =>
      connectorTo(serviceNow.url, adfs(adfsUrl)),
    ),
    validating(
      'a reference as the scope: it is text',
      { on: 'policy', comesTo: 'succeeded' },
      ({ serviceNow, tokenUrl }) => connectorTo(serviceNow.url, oidc(tokenUrl, { scope: 'env:PASSWORD' })),
    ),
    attack(
      'without a policy file: a secret that was used elsewhere before',
      PINNED,
      async (world, victim) => {
        await victim.ask(VALIDATE, { connector: connectorTo(world.serviceNow.url, basic()) });
        return await victim.ask(VALIDATE, { connector: connectorTo(world.attacker.url, basic()) });
      },
    ),
    attack('without a policy file: under the name of another field', PINNED, async (world, victim) => {
      await victim.ask(VALIDATE, { connector: connectorTo(world.serviceNow.url, basic()) });
      const auth = oidc(`${world.attacker.url}/token`, { refreshTokenRef: 'env:PASSWORD' });
      return await victim.ask(VALIDATE, { connector: connectorTo(world.serviceNow.url, auth) });
    }),
    attack('without a policy file: after a restart', PINNED, async (world, victim) => {
      await victim.ask(VALIDATE, { connector: connectorTo(world.serviceNow.url, basic()) });
      await victim.restart();
      return await victim.ask(VALIDATE, { connector: connectorTo(world.attacker.url, basic()) });
    }),
    attack(
      'without a policy file: under another name of the secret',
      { on: 'stores', comesTo: 'policy.secret-pinned', says: 'since its first use' },
      async (world, victim) => {
        await victim.ask(VALIDATE, { connector: connectorTo(world.serviceNow.url, basic()) });
        return await victim.ask(VALIDATE, {
          connector: connectorTo(world.attacker.url, basic('snow.password')),
        });
      },
    ),
  ],
};
