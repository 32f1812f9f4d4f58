import { CANARIES } from '../canaries.ts';
import { honestServiceNow, type Reply } from '../servers.ts';
import {
  answered,
  attack,
  basic,
  CHECK,
  connectorTo,
  oidc,
  question,
  tokenAnswered,
  type AttackGroup,
} from '../attack.ts';

const { PASSWORD, CLIENT_SECRET, REFRESH_TOKEN } = CANARIES;
const BASIC = `Basic ${Buffer.from(`svc_deploy:${PASSWORD}`).toString('base64')}`;
const MASKED = { on: 'policy', comesTo: 'succeeded', says: '[secret]' } as const;

const mirrored = (state: string): Reply =>
  honestServiceNow(
    { method: 'GET', path: '/?sysparm_fields=number,sys_id,sys_updated_on,state', headers: {}, body: '' },
    { state: { value: state, display_value: state } },
  );

const fieldForms: readonly (readonly [string, (secret: string) => string])[] = [
  ['as it is', (secret) => secret],
  ['in URL form', (secret) => encodeURIComponent(secret)],
  ['in a form', (secret) => new URLSearchParams({ p: secret }).toString()],
  ['in hexadecimal', (secret) => Buffer.from(secret).toString('hex')],
  ['in base64', (secret) => Buffer.from(secret).toString('base64')],
  ['in base64, behind another byte', (secret) => Buffer.from(`x${secret}`).toString('base64')],
  ['in base64url, behind two bytes', (secret) => Buffer.from(`xy${secret}`).toString('base64url')],
  ['in JSON in JSON', (secret) => JSON.stringify({ a: JSON.stringify({ b: secret }) })],
  ['in HTML', (secret) => Array.from(secret, (char) => `&#${char.codePointAt(0) ?? 0};`).join('')],
  ['in UTF-8 read as Latin 1', (secret) => Buffer.from(secret).toString('latin1')],
];

const guess =
  (value: string) =>
  (): { approvalCriteria: { type: string; spec: { conditions: Record<string, string>[] } } } => ({
    approvalCriteria: {
      type: 'KeyValues',
      spec: { conditions: [{ key: 'state', operator: 'equals', value }] },
    },
  });

export const MIRRORS: AttackGroup = {
  title: 'Answers that mirror what was sent',
  attacks: [
    ...fieldForms.map(([form, write]) =>
      answered(`the password in a field, ${form}`, MASKED, () => mirrored(write(PASSWORD))),
    ),
    answered('the Authorization header in a field', MASKED, (_world, { headers }) =>
      mirrored(headers.authorization ?? ''),
    ),
    answered('the password in the display value alone', MASKED, () =>
      honestServiceNow(
        { method: 'GET', path: '/?sysparm_fields=number,sys_id,sys_updated_on,state', headers: {}, body: '' },
        { state: { value: '1', display_value: `of ${PASSWORD}` } },
      ),
    ),
    answered(
      'the password as the name of a field',
      { on: 'policy', comesTo: 'servicenow.field-missing' },
      () => ({
        body: { result: [{ [PASSWORD]: PASSWORD, number: 'CHG0030001' }] },
      }),
    ),
    answered(
      'the password as the number of the ticket',
      { on: 'policy', comesTo: 'servicenow.filter-not-applied' },
      () => ({
        body: { result: [{ number: PASSWORD, sys_id: PASSWORD, state: '1' }] },
      }),
    ),
    answered('the password in a page', { on: 'policy', comesTo: 'servicenow.server-error' }, () => ({
      status: 500,
      headers: { 'content-type': 'text/html' },
      body: `<html><title>${PASSWORD.replaceAll('&', '&amp;').replaceAll('<', '&#60;')}</title></html>`,
    })),
    answered(
      'the password in an error',
      { on: 'policy', comesTo: 'servicenow.forbidden', says: '[secret]' },
      () => ({
        status: 403,
        body: { error: { message: PASSWORD, detail: BASIC }, status: 'failure' },
      }),
    ),
    answered(
      'the password in an error that is cut',
      { on: 'policy', comesTo: 'servicenow.forbidden' },
      () => ({
        status: 403,
        body: {
          error: { message: `${'x'.repeat(190)}${PASSWORD}`, detail: `${'y'.repeat(490)}${PASSWORD}` },
          status: 'failure',
        },
      }),
    ),
    answered(
      'the password in where a redirect leads',
      { on: 'policy', comesTo: 'servicenow.redirected' },
      ({ attacker }) => ({
        status: 302,
        headers: { location: `${attacker.url}/?p=${encodeURIComponent(PASSWORD)}` },
      }),
    ),
    answered('the password in headers', { on: 'policy', comesTo: 'servicenow.unexpected-status' }, () => ({
      status: 418,
      headers: { 'x-echo': encodeURIComponent(PASSWORD), server: encodeURIComponent(PASSWORD) },
      body: {},
    })),
    answered('the password as the kind of content', { on: 'policy', comesTo: 'servicenow.not-json' }, () => ({
      headers: { 'content-type': `text/${encodeURIComponent(PASSWORD)}` },
      body: 'x',
    })),
    answered(
      'the password as the packing of the content',
      { on: 'policy', comesTo: 'http.broken-response' },
      () => ({
        headers: { 'content-encoding': encodeURIComponent(PASSWORD) },
        body: 'x',
      }),
    ),
    answered(
      'the password as the text of the status',
      { on: 'policy', comesTo: 'servicenow.unexpected-status' },
      () => ({
        status: 418,
        statusText: encodeURIComponent(PASSWORD),
        body: {},
      }),
    ),
    tokenAnswered(
      'the client secret in error_description',
      { on: 'policy', comesTo: 'token.invalid-client', says: '[secret]' },
      (sent) => ({
        status: 400,
        body: { error: 'invalid_client', error_description: `${CLIENT_SECRET} ${sent}` },
      }),
    ),
    tokenAnswered(
      'the refresh token in error_description, in base64',
      { on: 'policy', comesTo: 'token.invalid-grant', says: '[secret]' },
      () => ({
        status: 400,
        body: {
          error: 'invalid_grant',
          error_description: Buffer.from(`r=${REFRESH_TOKEN}`).toString('base64'),
        },
      }),
    ),
    tokenAnswered('the refresh token as the error', { on: 'policy', comesTo: 'token.bad-response' }, () => ({
      status: 400,
      body: { error: REFRESH_TOKEN },
    })),
    tokenAnswered('what was sent in a page', { on: 'policy', comesTo: 'token.unavailable' }, (sent) => ({
      status: 502,
      headers: { 'content-type': 'text/html' },
      body: `<p>${sent}</p>${REFRESH_TOKEN}`,
    })),
    attack(
      'the token in what ServiceNow says',
      { on: 'policy', comesTo: 'servicenow.forbidden', says: '[secret]' },
      async (world, victim) => {
        world.serviceNow.reply = ({ headers }) => ({
          status: 403,
          body: { error: { message: headers.authorization ?? '' }, status: 'failure' },
        });
        const connector = connectorTo(world.serviceNow.url, oidc(world.tokenUrl), { identifier: 'echo' });
        return await victim.ask(CHECK, question(connector));
      },
    ),
    attack(
      'the user name, where it is a secret',
      { on: 'policy', comesTo: 'servicenow.forbidden', says: '[secret]' },
      async (world, victim) => {
        world.serviceNow.reply = ({ headers }) => {
          const credentials = headers.authorization?.replace('Basic ', '') ?? '';
          const message = Buffer.from(credentials, 'base64').toString().split(':')[0];
          return { status: 403, body: { error: { message }, status: 'failure' } };
        };
        const spec = { usernameRef: 'env:CLIENT_ID', passwordRef: 'env:PASSWORD' };
        const connector = connectorTo(world.serviceNow.url, { type: 'UsernamePassword', spec });
        return await victim.ask(CHECK, question(connector));
      },
    ),
    attack(
      'a guess at a secret, told by what is masked',
      { on: 'policy', comesTo: 'the same' },
      async (world, victim) => {
        const connector = connectorTo(world.serviceNow.url, basic('env:GUESSABLE'), { identifier: 'oracle' });
        const answers = [];
        for (const value of ['tiger-77', 'tiger-78']) {
          const { text } = await victim.ask(CHECK, question(connector, guess(value)()));
          answers.push(text.replaceAll(value, 'the guess').replace(/"checkedAt":"[^"]*"/, ''));
        }
        return { code: answers[0] === answers[1] ? 'the same' : 'told apart', text: answers.join('\n') };
      },
    ),
  ],
};
