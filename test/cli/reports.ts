import type { Approval } from '../../src/cli/report/approval.ts';
import type { ShownError } from '../../src/cli/report/failure.ts';
import type { Validation } from '../../src/cli/report/validation.ts';

const TESTED = {
  testedAt: '2026-11-23T18:00:00.000Z',
  delegate: { id: 'dlg-1', name: 'eu-1', version: '26.11.90100' },
};

export const SUCCESS: Validation = {
  ...TESTED,
  status: 'SUCCESS',
  errors: [],
  warnings: [],
  checks: [
    { id: 'secrets', title: 'Secrets resolve', status: 'passed', durationMs: 3, detail: '1 of 1' },
    { id: 'api', title: 'Table API answers', status: 'passed', durationMs: 1_063, detail: 'HTTP 200' },
  ],
};

const NOT_AUTHENTICATED = 'example.service-now.com does not accept the credentials of user svc_deploy.';
const SHORTENED = 'serviceNowUrl: the path /nav_to.do was left away';

export const FAILURE: Validation = {
  ...TESTED,
  status: 'FAILURE',
  errorSummary: 'Credentials: the name or the password of user svc_deploy is wrong; check both in a browser.',
  errors: [
    {
      code: 'servicenow.not-authenticated',
      message: NOT_AUTHENTICATED,
      hint: 'The name or password is wrong, or the user is locked out. It is not tried again, so as not to lock it.',
      category: 'credentials',
      retryable: false,
      status: 401,
    },
  ],
  warnings: [
    {
      code: 'servicenow.url-shortened',
      message: SHORTENED,
      hint: 'Enter the address of the instance alone.',
      category: 'invalid-input',
      retryable: false,
    },
  ],
  checks: [
    { id: 'secrets', title: 'Secrets resolve', status: 'warned', durationMs: 3, detail: SHORTENED },
    {
      id: 'network',
      title: 'Hosts can be reached',
      status: 'passed',
      durationMs: 412,
      detail:
        'example.service-now.com at 192.0.2.10, TLSv1.3, certificate of *.service-now.com by Example CA until 2027-03-01',
    },
    { id: 'api', title: 'Table API answers', status: 'failed', durationMs: 95, detail: NOT_AUTHENTICATED },
    { id: 'access', title: 'User sees tasks', status: 'skipped', durationMs: 0 },
  ],
};

export const LOOK: Approval = {
  decision: 'pending',
  reason: 'waiting: state is Scheduled, not Implement',
  approval: {
    met: false,
    conditions: [
      {
        key: 'state',
        operator: 'equals',
        expected: 'Implement',
        value: '-2',
        displayValue: 'Scheduled',
        compared: 'either',
        met: false,
      },
      {
        key: 'assignment_group',
        operator: 'in',
        expected: 'Network, 東京',
        value: 'd625dccec0a8016700a222a0f7900d06',
        displayValue: '東京',
        compared: 'either',
        met: true,
      },
    ],
  },
  rejection: {
    met: false,
    conditions: [
      {
        key: 'close_code',
        operator: 'not equals',
        expected: '',
        value: '',
        displayValue: '',
        compared: 'either',
        met: false,
      },
    ],
  },
  window: {
    start: '2026-11-23T20:00:00.000Z',
    end: null,
    now: '2026-11-23T18:00:00.000Z',
    inside: false,
  },
  ticket: {
    type: 'change_request',
    number: 'CHG0030004',
    sysId: '57b3429d5c20',
    url: 'https://example.service-now.com/nav_to.do?uri=change_request.do%3Fsys_id%3D57b3429d5c20',
    updatedAt: '2026-11-23T17:22:46Z',
    fields: {},
  },
  warnings: [],
  checkedAt: '2026-11-23T18:00:00.000Z',
};

export const THROTTLED: ShownError = {
  code: 'servicenow.throttled',
  message: 'example.service-now.com has had enough requests for now.',
  hint: 'Wait, or ask for a higher limit.',
  status: 429,
  retryable: true,
};
