import { SEED, type FakeServiceNow } from '../../src/dev/fake-servicenow/index.ts';
import { faultCase, type ReportCase } from './case.ts';

/** Section C: reading tickets, and what is decided by them. */

const { changes } = SEED;

type Condition = readonly [key: string, operator: string, value: string];

interface Question {
  type?: string;
  number?: string;
  criteria?: readonly Condition[];
  rejection?: readonly Condition[];
  window?: Readonly<Record<string, string>>;
}

const keyValues = (conditions: readonly Condition[]): object => ({
  type: 'KeyValues',
  spec: { conditions: conditions.map(([key, operator, value]) => ({ key, operator, value })) },
});

const IN_IMPLEMENT: readonly Condition[] = [['state', 'equals', 'Implement']];

function question({
  type = 'change_request',
  number = changes.implement,
  criteria = IN_IMPLEMENT,
  rejection,
  window,
}: Question): Record<string, unknown> {
  return {
    ticket: { type, number },
    approvalCriteria: keyValues(criteria),
    ...(rejection === undefined ? {} : { rejectionCriteria: keyValues(rejection) }),
    ...(window === undefined ? {} : { changeWindow: window }),
  };
}

function reading(
  id: string,
  title: string,
  server: string,
  expected: string,
  asked: Question,
  arrange: (instance: FakeServiceNow) => void = () => {},
): ReportCase {
  return {
    id,
    title,
    server,
    expected,
    tasks: ['check'],
    arrange({ bench }) {
      arrange(bench.instance);
      return { question: question(asked) };
    },
  };
}

const WINDOW = { startField: 'start_date', endField: 'end_date' };
const CHECK = { tasks: ['check'] as const };

export const READING: readonly ReportCase[] = [
  reading('C29', 'Number that does not exist', '200 `[]`', 'servicenow.ticket-not-found', {
    number: 'CHG9999999',
  }),
  faultCase(
    'C30',
    'No match in version 1 of the API',
    '404 "No Record found"',
    'not-found-acl',
    'servicenow.ticket-not-found',
    CHECK,
  ),
  faultCase(
    'C31',
    'Ticket that the user may not see',
    '200 `[]`',
    'row-hidden',
    'servicenow.ticket-not-found',
    CHECK,
  ),
  reading(
    'C33',
    'Ticket type misspelled',
    '400 "Invalid table chnage_request", detail null',
    'servicenow.invalid-request',
    { type: 'chnage_request' },
  ),
  faultCase(
    'C34',
    'Filter dropped by ServiceNow',
    '200, another ticket',
    'another-row',
    'servicenow.filter-not-applied',
    CHECK,
  ),
  faultCase(
    'C35',
    'Number that two tickets have',
    '200, two tickets',
    'duplicate-number',
    'servicenow.ticket-ambiguous',
    CHECK,
  ),
  faultCase(
    'C37',
    'Field that the user may not see',
    '200 without the field',
    { fault: 'field-hidden', field: 'state' },
    'servicenow.field-missing',
    CHECK,
  ),
  reading('C37b', 'Field that does not exist', '200 without the field', 'servicenow.field-missing', {
    criteria: [['sttae', 'equals', 'Implement']],
  }),
  reading(
    'C36',
    'Field that does not exist, where invalid queries find nothing',
    '200 without the field',
    'servicenow.field-missing',
    { criteria: [['sttae', 'equals', 'Implement']] },
    ({ profile }) => void profile.update({ unknownFieldPolicy: 'none' }),
  ),
  faultCase(
    'C38',
    'Time limit of ServiceNow',
    '200 with rows and "Transaction cancelled"',
    'ok-with-error',
    'servicenow.transaction-cancelled',
  ),
  faultCase('C39', 'Body cut', '200, half of the JSON', 'truncate', 'servicenow.broken-answer'),
  faultCase(
    'C39b',
    'Error glued into the rows',
    '200, not JSON any more',
    'glued-error',
    'servicenow.broken-answer',
  ),
  reading('C47', 'Number with a query in it', 'Is not asked', 'invalid-input', {
    number: 'CHG1^NQactive=true',
  }),
  reading('C48', 'Characters that mean something in a URL', '200', 'approved', {
    number: changes.specialCharacters,
    criteria: [['short_description', 'equals', 'a^b,c=d & e+f #1 100% "quoted" <tag>']],
  }),
  reading('C49', 'Reference that is empty', '200, `"assigned_to":""`', 'approved', {
    number: changes.bare,
    criteria: [['assigned_to', 'equals', '']],
  }),
  reading('C49b', 'Reference that is set', '200, an object', 'pending', {
    criteria: [['assigned_to', 'equals', '']],
  }),
  reading('C51', 'State by its value', '200, both values', 'approved', {
    criteria: [['state', 'equals', '-1']],
  }),
  reading('C51b', 'State by its label', '200, both values', 'approved', {
    criteria: [['state', 'equals', 'Implement']],
  }),
  reading('C52', 'Inside the change window', '200, times in UTC', 'approved', {
    number: changes.windowOpen,
    window: WINDOW,
  }),
  reading('C52b', 'Before the change window', '200', 'pending', {
    number: changes.windowFuture,
    window: WINDOW,
  }),
  reading('C53', 'Window without an end', '200, end blank', 'servicenow.change-window-invalid', {
    number: changes.windowStartOnly,
    window: WINDOW,
  }),
  reading('C54', 'Window that ends before it starts', '200', 'servicenow.change-window-invalid', {
    number: changes.windowEndBeforeStart,
    window: WINDOW,
  }),
  reading('C54b', 'Window that is over', '200', 'servicenow.change-window-past', {
    number: changes.windowPast,
    window: WINDOW,
  }),
  {
    ...reading('C55', 'User in another time zone', '200, times shown in Asia/Kolkata', 'approved', {}),
    arrange: ({ bench }) => ({
      auth: bench.asUser('svc_deploy_ist'),
      question: question({ number: changes.windowOpen, window: WINDOW }),
    }),
  },
  reading('C59', 'Change on hold', '200, `on_hold` true', 'approved + servicenow.ticket-on-hold', {
    number: changes.onHold,
  }),
  reading(
    'C60',
    'Change cancelled while somebody waits',
    '200, state Canceled',
    'pending + servicenow.ticket-closed',
    {
      number: changes.canceled,
    },
  ),
  reading('C61', 'State that no list knows', '200, state 20', 'pending', { number: changes.unknownState }),
  {
    ...reading('C62', 'Ticket beside one that does not exist', '200, one of two', 'approved', {}),
    arrange: () => ({ question: question({}), beside: question({ number: 'CHG9999999' }) }),
  },
  {
    ...reading('C62b', 'The one that does not exist', '200, one of two', 'servicenow.ticket-not-found', {}),
    arrange: () => ({ question: question({ number: 'CHG9999999' }), beside: question({}) }),
  },
  reading('C61b', 'Rejected by its criteria', '200', 'rejected', {
    number: changes.canceled,
    rejection: [['state', 'in', 'Closed, Canceled']],
  }),
];
