import type { Json } from '../../../src/protocol/messages.ts';
import {
  asking,
  attack,
  basic,
  CHECK,
  connectorTo,
  question,
  VALIDATE,
  validating,
  type AttackGroup,
} from '../attack.ts';

const INVALID = { on: 'policy', comesTo: 'invalid-input' } as const;
const TICKET = { ...INVALID, says: 'ticket' } as const;
const CRITERIA = { ...INVALID, says: 'approvalCriteria' } as const;
const CONNECTOR = { ...INVALID, says: 'connector' } as const;

const about = (ticket: Record<string, Json>) => (): { ticket: Json } => ({ ticket });
const expression = (text: string) => (): { approvalCriteria: Json } => ({
  approvalCriteria: { type: 'Expression', spec: { expression: text } },
});
const conditions =
  (...list: Json[]) =>
  (): { approvalCriteria: Json } => ({
    approvalCriteria: { type: 'KeyValues', spec: { conditions: list } },
  });
const condition = (key: string, operator = 'equals', value = 'x'): Json => ({ key, operator, value });

export const QUESTIONS: AttackGroup = {
  title: 'Questions that say more than they should',
  attacks: [
    asking(
      'another table',
      { on: 'policy', comesTo: 'policy-denied', says: 'sys_user' },
      about({ type: 'sys_user', number: 'CHG0030001' }),
    ),
    asking(
      'a table with a path',
      TICKET,
      about({ type: 'change_request/../sys_user', number: 'CHG0030001' }),
    ),
    asking(
      'a table with an encoded path',
      TICKET,
      about({ type: 'change_request%2f..%2fsys_user', number: 'CHG0030001' }),
    ),
    asking('a table with a query', TICKET, about({ type: 'sys_user?sysparm_limit=1', number: 'CHG0030001' })),
    asking(
      'a number that is a query',
      TICKET,
      about({ type: 'change_request', number: 'CHG0030001^ORnumberISNOTEMPTY' }),
    ),
    asking('a number with a header', TICKET, about({ type: 'change_request', number: 'CHG1\r\nX-Evil: 1' })),
    asking(
      'a number with a parameter',
      TICKET,
      about({ type: 'change_request', number: 'CHG1&sysparm_display_value=true' }),
    ),
    asking(
      'a sys_id with a parameter',
      TICKET,
      about({ type: 'change_request', sysId: 'a&sysparm_limit=100000' }),
    ),
    asking(
      'a sys_id that runs a script',
      TICKET,
      about({ type: 'change_request', sysId: 'javascript:gs.getUserID()' }),
    ),
    asking('a field with a parameter', CRITERIA, conditions(condition('state&sysparm_view=x'))),
    asking('a field that is a query', CRITERIA, conditions(condition('state^ORsys_id'))),
    asking('a field with a comma', CRITERIA, conditions(condition('state,user_password'))),
    asking('a field that every object has', CRITERIA, conditions(condition('__proto__'))),
    asking('a parameter that ServiceNow would know', { on: 'policy', comesTo: 'succeeded' }, () => ({
      sysparm_query: 'ORnumberISNOTEMPTY',
      sysparm_limit: 10_000,
      params: { sysparm_display_value: 'true' },
    })),
    asking('an expression that calls code', CRITERIA, expression('process.exit(1)')),
    asking(
      'an expression that reaches for a constructor',
      { on: 'policy', comesTo: 'invalid-input' },
      expression('ticket.constructor.constructor("return 1")() == 1'),
    ),
    asking(
      'an expression that reads what every object has',
      { on: 'policy', comesTo: 'succeeded', says: 'constructor is blank' },
      expression('ticket.constructor.value == "x"'),
    ),
    asking('an expression of half a million characters', CRITERIA, expression('('.repeat(500_000))),
    asking('an expression nested three thousand deep', CRITERIA, expression(`${'('.repeat(3_000)}true`)),
    asking('a number beyond all numbers', CRITERIA, expression('ticket.state.value == 1e400')),
    asking(
      'a pattern that never ends elsewhere',
      { on: 'policy', comesTo: 'succeeded' },
      expression('ticket.state.value =~ "(a+)+$"'),
    ),
    asking(
      'a pattern that counts to a million',
      CRITERIA,
      conditions(condition('state', 'matches', '((a{1000}){1000}){1000}')),
    ),
    asking(
      'ten thousand conditions',
      CRITERIA,
      conditions(...Array.from({ length: 10_000 }, () => condition('state'))),
    ),
    asking(
      'a value of a hundred thousand characters',
      CRITERIA,
      conditions(condition('state', 'equals', 'x'.repeat(100_000))),
    ),
    validating('a connector that ends the line', CONNECTOR, ({ serviceNow }) =>
      connectorTo(serviceNow.url, basic(), { identifier: 'a\r\nb' }),
    ),
    validating('a connector with a path for a name', CONNECTOR, ({ serviceNow }) =>
      connectorTo(serviceNow.url, basic(), { identifier: '../../identity' }),
    ),
    validating('a connector of another type', CONNECTOR, ({ serviceNow }) =>
      connectorTo(serviceNow.url, basic(), { type: 'Shell' }),
    ),
    validating('an authentication that every object has', CONNECTOR, ({ serviceNow }) =>
      connectorTo(serviceNow.url, { type: '__proto__', spec: {} }),
    ),
    attack(
      'a user name that ends the header',
      { on: 'policy', comesTo: 'succeeded' },
      async (world, victim) => {
        const connector = connectorTo(world.serviceNow.url, basic('env:PASSWORD', 'svc\r\nX-Evil'));
        const came = await victim.ask(CHECK, question(connector));
        const isInjected = world.serviceNow.got.some(({ headers }) => 'x-evil' in headers);
        return isInjected ? { code: 'a header was injected', text: '' } : came;
      },
    ),
    attack(
      'a user name with a colon',
      { on: 'policy', comesTo: 'servicenow.username-has-colon' },
      async (world, victim) =>
        await victim.ask(CHECK, question(connectorTo(world.serviceNow.url, basic('env:PASSWORD', 'admin:')))),
    ),
    attack('a trace that ends the line', { on: 'policy', comesTo: 'succeeded' }, async (world, victim) => {
      const connector = connectorTo(world.serviceNow.url, basic());
      const traceparent = '00-x\r\nAuthorization: Bearer evil';
      const came = await victim.ask(CHECK, question(connector), { traceparent });
      const isInjected = world.serviceNow.got.some(({ headers }) => JSON.stringify(headers).includes('evil'));
      return isInjected ? { code: 'a header was injected', text: '' } : came;
    }),
    attack(
      'a task that this delegate does not know',
      { on: 'policy', comesTo: 'unknown-task' },
      async (_world, victim) => await victim.ask('shell.run', { command: 'id' }),
    ),
    attack(
      'a task that every object has',
      { on: 'policy', comesTo: 'unknown-task' },
      async (_world, victim) => await victim.ask('constructor', {}),
    ),
    attack(
      'a task of a version to come',
      { on: 'policy', comesTo: 'unsupported-version' },
      async (world, victim) => {
        const input = { connector: connectorTo(world.serviceNow.url, basic()) };
        const taskId = victim.newTaskId();
        victim.connection.assign({ taskId, attempt: 1 }, VALIDATE, { input, version: 2 });
        return await victim.endOf(taskId);
      },
    ),
  ],
};
