import { expect } from 'chai';
import { SEED, type JournalEntry } from '../../../../src/dev/fake-servicenow/index.ts';
import type { DelegateError } from '../../../../src/kit/errors.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import {
  connectorTo,
  failureOf,
  listen,
  openBench,
  QUESTION,
  tableCalls,
  taskContext,
  type Answer,
  type Bench,
  type RunOptions,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { change, expression, IN_IMPLEMENT, keyValues, WINDOW, type Question } from './questions.ts';

describe('servicenow.approval.check', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  const check = (question: Question, run?: RunOptions): Promise<Answer> =>
    bench.check(bench.asUser('svc_deploy'), question, run);
  const failure = (question: Question): Promise<DelegateError> => failureOf(() => check(question));
  const calls = (): JournalEntry[] => tableCalls(bench.instance);

  leavesNothingOpen();

  it('a secret on the ticket is decided on and never shown, not even the part that a cut would leave', async () => {
    const secret = 'canary  of a key, in two lines\nand long';
    bench.surroundings.redactor.register(secret);
    const description = `${'x'.repeat(1_010)}${secret}`;
    const cell = (value: string): unknown => ({ value, display_value: value });
    await using server = await listen((_request, response) => {
      const row = {
        number: cell(SEED.changes.implement),
        sys_id: cell(SEED.sysIds.demoChange),
        sys_updated_on: cell(''),
        work_notes: cell(secret),
        description: cell(description),
      };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ result: [row] }));
    });
    const answer = await check(
      {
        ...QUESTION,
        approvalCriteria: keyValues(['work_notes', 'not equals', '[secret]'], ['description', 'equals', '']),
      },
      { url: server.url },
    );
    expect(answer.approval.conditions.map(({ met }) => met)).to.deep.equal([true, false]);
    expect(answer.ticket.fields['work_notes']).to.deep.equal({ value: '[secret]', displayValue: '[secret]' });
    expect(JSON.stringify(answer)).not.to.contain('canary');
  });

  describe('the request', () => {
    it('is one GET for that very ticket, with nothing but the fields that answer and warnings need', async () => {
      await check({
        ticket: change(SEED.changes.windowOpen),
        approvalCriteria: keyValues(['state', 'equals', 'Implement'], ['risk', 'not equals', 'High']),
        rejectionCriteria: expression('ticket.approval.value == "rejected" || ticket.state.value == "4"'),
        changeWindow: WINDOW,
      });
      const [call, ...more] = bench.instance.journal();
      expect(more).to.deep.equal([]);
      expect(call).to.include({ method: 'GET', path: '/api/now/table/change_request' });
      const { sysparm_fields: fields, ...query } = call?.query ?? {};
      expect(query).to.deep.equal({
        sysparm_query: `number=${SEED.changes.windowOpen}^ORDERBYsys_id`,
        sysparm_display_value: 'all',
        sysparm_exclude_reference_link: 'true',
        sysparm_no_count: 'true',
        sysparm_suppress_pagination_header: 'true',
        sysparm_limit: '2',
      });
      expect(fields?.split(',')).to.have.members([
        'number',
        'sys_id',
        'sys_updated_on',
        'state',
        'risk',
        'approval',
        'start_date',
        'end_date',
        // What may be warned of.
        'on_hold',
        'active',
      ]);
    });

    it('by sysId asks for the record by that', async () => {
      const { ticket } = await check({
        ...QUESTION,
        ticket: { type: 'change_request', sysId: SEED.sysIds.demoChange },
        approvalCriteria: keyValues(['state', 'equals', 'New']),
      });
      expect(ticket).to.include({ number: SEED.changes.demo, sysId: SEED.sysIds.demoChange });
      expect(calls()[0]?.query['sysparm_query']).to.equal(`sys_id=${SEED.sysIds.demoChange}^ORDERBYsys_id`);
    });

    it('is one look: a ticket that is not approved costs no second one', async () => {
      const { decision } = await check({ ...QUESTION, ticket: change(SEED.changes.new) });
      expect(decision).to.equal('pending');
      expect(calls()).to.have.length(1);
    });
  });

  describe('the answer', () => {
    it('has each field of its contract', async () => {
      const clock = new ManualClock();
      await using timed = await openBench({ clock });
      const row = timed.instance.tickets.get('change_request', SEED.changes.windowOpen);
      const answer = await timed.check(timed.asUser('svc_deploy'), {
        ticket: change(SEED.changes.windowOpen),
        approvalCriteria: IN_IMPLEMENT,
        rejectionCriteria: keyValues(['state', 'equals', 'Canceled']),
        changeWindow: WINDOW,
      });
      const rfc3339 = (stored = ''): string => `${stored.replace(' ', 'T')}.000Z`;
      const now = new Date(clock.now()).toISOString();
      expect(answer).to.deep.equal({
        decision: 'approved',
        reason: `approved: state is Implement, and the change window is open until ${row['end_date']} UTC`,
        approval: {
          met: true,
          conditions: [
            {
              key: 'state',
              operator: 'equals',
              expected: 'Implement',
              value: '-1',
              displayValue: 'Implement',
              compared: 'either',
              met: true,
            },
          ],
        },
        rejection: null,
        window: { start: rfc3339(row['start_date']), end: rfc3339(row['end_date']), now, inside: true },
        ticket: {
          type: 'change_request',
          number: SEED.changes.windowOpen,
          sysId: row['sys_id'],
          url: `${timed.instance.url}/nav_to.do?uri=change_request.do%3Fsys_id%3D${row['sys_id']}`,
          updatedAt: `${row['sys_updated_on']?.replace(' ', 'T')}Z`,
          fields: {
            number: { value: SEED.changes.windowOpen, displayValue: SEED.changes.windowOpen },
            sys_id: { value: row['sys_id'], displayValue: row['sys_id'] },
            sys_updated_on: { value: row['sys_updated_on'], displayValue: row['sys_updated_on'] },
            state: { value: '-1', displayValue: 'Implement' },
            start_date: { value: row['start_date'], displayValue: row['start_date'] },
            end_date: { value: row['end_date'], displayValue: row['end_date'] },
          },
        },
        warnings: [],
        checkedAt: now,
      });
    });

    it('shows the ticket as the person would see it, when pending', async () => {
      const answer = await check({
        ...QUESTION,
        ticket: change(SEED.changes.assess),
        rejectionCriteria: keyValues(['state', 'equals', 'Canceled']),
      });
      expect(answer.reason).to.equal('waiting: state is Assess, not Implement');
      expect(answer).to.deep.include({ decision: 'pending', window: null });
      expect(answer.rejection?.met).to.equal(false);
    });

    it('neither body nor field values are logged', async () => {
      const context = taskContext();
      bench.instance.faults.add({ fault: 'gateway-503', times: 1 });
      await check(QUESTION, { context });
      expect(JSON.stringify(context.logged))
        .not.to.contain('Implement')
        .and.not.contain(SEED.changes.implement);
    });
  });

  describe('6: the row is the one that was asked for', () => {
    for (const [name, arrange] of Object.entries<() => void>({
      'that is not there': () => undefined,
      'that this user may not see': () => void bench.instance.faults.add({ fault: 'row-hidden' }),
      'answered with 404, as version 1 of the API does': () =>
        void bench.instance.faults.add({ fault: 'not-found-acl' }),
      'with every unknown query answered by nothing': () =>
        void bench.instance.profile.update({ unknownFieldPolicy: 'none' }),
    })) {
      it(`a ticket ${name} is not found`, async () => {
        arrange();
        const error = await failure({ ...QUESTION, ticket: change('CHG9999999') });
        expect(error).to.include({
          code: 'servicenow.ticket-not-found',
          category: 'not-found',
          retryable: false,
        });
        expect(error.message).to.equal(
          'change_request CHG9999999 does not exist, or is not visible to this user.',
        );
        expect(calls()).to.have.length(1);
      });
    }

    it('another row in its place is no answer: the filter was not applied', async () => {
      bench.instance.faults.add({ fault: 'another-row' });
      const error = await failure(QUESTION);
      expect(error).to.include({ code: 'servicenow.filter-not-applied', category: 'invalid-input' });
      expect(error.message).to.contain(`change_request ${SEED.changes.implement}`);
    });

    it('nor is a row whose number differs in case alone', async () => {
      bench.instance.profile.update({ valueCase: 'insensitive' });
      const error = await failure({ ...QUESTION, ticket: change(SEED.changes.implement.toLowerCase()) });
      expect(error.code).to.equal('servicenow.filter-not-applied');
    });

    it('a table without numbers, where the condition is dropped and any rows come, is told as that', async () => {
      const error = await failure({
        ticket: { type: 'cmdb_ci', number: 'CHG0030005' },
        approvalCriteria: keyValues(['name', 'not equals', '']),
      });
      expect(error.code).to.equal('servicenow.field-missing');
      expect(error.details).to.include({ field: 'number', table: 'cmdb_ci' });
    });

    it('a number that exists twice is ambiguous, and the hint is to give the sysId', async () => {
      bench.instance.faults.add({ fault: 'duplicate-number' });
      const error = await failure(QUESTION);
      expect(error.code).to.equal('servicenow.ticket-ambiguous');
      expect(error.hint).to.contain('sysId');
    });

    it('a misspelt table is refused by ServiceNow, whose null detail does no harm', async () => {
      const error = await failure({ ...QUESTION, ticket: { type: 'chnage_request', number: 'CHG1' } });
      expect(error).to.include({
        code: 'servicenow.invalid-request',
        category: 'invalid-input',
        status: 400,
      });
      expect(error.details).to.include({ serverText: 'Invalid table chnage_request' });
    });

    it('a table that this user may not read is forbidden, or looks empty', async () => {
      const { refused, empty } = SEED.unreadable;
      const byName = (type: string): Question => ({ ...QUESTION, ticket: { type, number: 'CONF0000001' } });
      expect((await failure(byName(refused))).code).to.equal('servicenow.forbidden');
      expect((await failure(byName(empty))).code).to.equal('servicenow.ticket-not-found');
    });
  });

  describe('7: nothing else reaches a query', () => {
    const connector = (): Question => connectorTo(bench.instance.url, bench.asUser('svc_deploy'));
    const inputs: Record<string, [Question, path: string]> = {};
    for (const number of [
      'CHG1^NQactive=true',
      'CHG1,CHG2',
      'CHG1 ',
      'javascript:gs.getUserID()',
      'CHG1&sysparm_limit=1',
      'x'.repeat(65),
      '',
    ]) {
      inputs[`number "${number.slice(0, 30)}"`] = [{ ticket: change(number) }, 'ticket.number'];
    }
    for (const type of ['Change_Request', 'task/../sys_user', 'task?sysparm_limit=9', '9task', 'a b', '']) {
      inputs[`type "${type}"`] = [{ ticket: { type, number: 'CHG1' } }, 'ticket.type'];
    }
    for (const sysId of [SEED.sysIds.demoChange.toUpperCase(), '1766f1de', `${SEED.sysIds.demoChange}^NQ`]) {
      inputs[`sysId "${sysId}"`] = [{ ticket: { type: 'task', sysId } }, 'ticket.sysId'];
    }
    for (const field of ['state^NQactive=true', 'state,number', 'State', 'javascript:x', '']) {
      inputs[`key "${field}"`] = [
        { approvalCriteria: keyValues([field, 'equals', 'x']) },
        'approvalCriteria.spec.conditions.0.key',
      ];
      inputs[`start field "${field}"`] = [
        { changeWindow: { startField: field, endField: 'end_date' } },
        'changeWindow.startField',
      ];
    }
    for (const [name, [question, path]] of Object.entries(inputs)) {
      it(`${name} is refused at ${path}, and nothing is sent`, async () => {
        const error = await failureOf(() =>
          Promise.resolve().then(() =>
            bench.tasks.check.prepare({ connector: connector(), ...QUESTION, ...question }),
          ),
        );
        expect(error).to.include({ code: 'invalid-input', category: 'invalid-input' });
        expect(error.message).to.contain(`${path}: `);
        expect(bench.instance.journal()).to.deep.equal([]);
      });
    }

    it('a number of 64 letters, digits, "_" and "-" is asked for as it is', async () => {
      const number = `Az09_-${'x'.repeat(58)}`;
      await failure({ ...QUESTION, ticket: change(number) });
      expect(calls()[0]?.query['sysparm_query']).to.equal(`number=${number}^ORDERBYsys_id`);
    });

    it('number and sysId both, or neither, is refused', async () => {
      for (const ticket of [{ type: 'task' }, { type: 'task', number: 'A', sysId: SEED.sysIds.demoChange }]) {
        expect((await failure({ ...QUESTION, ticket })).message).to.equal(
          'ticket.number: give either number or sysId',
        );
      }
    });
  });

  describe('the criteria of the input', () => {
    for (const [name, rejectionCriteria] of Object.entries({
      'left out': undefined,
      null: null,
      'without conditions': keyValues(),
      'a blank expression': expression(' '),
    })) {
      it(`rejection ${name} means none`, async () => {
        const answer = await check({ ...QUESTION, ticket: change(SEED.changes.canceled), rejectionCriteria });
        expect(answer).to.include({ decision: 'pending', rejection: null });
      });
    }

    for (const [name, approvalCriteria] of Object.entries({
      'left out': undefined,
      'without conditions': keyValues(),
      'a blank expression': expression(' '),
      'of another type': { type: 'Script', spec: {} },
    })) {
      it(`approval ${name} is refused: it would approve everything`, async () => {
        const error = await failure({ ...QUESTION, approvalCriteria });
        expect(error.code).to.equal('invalid-input');
        expect(error.message).to.match(/^approvalCriteria/);
      });
    }

    it('unknown keys anywhere do not break an older delegate', async () => {
      const answer = await check(
        { ...QUESTION, pollEvery: '1m', ticket: { ...QUESTION.ticket, title: 'x' } },
        { connector: { orgIdentifier: 'default' } },
      );
      expect(answer.decision).to.equal('approved');
    });
  });

  it('a connector whose address this delegate may not call is refused before its secrets are touched', async () => {
    await using strict = await openBench({ allowLoopback: false });
    const auth = strict.asUser('svc_deploy');
    strict.surroundings.secrets.clear();
    expect(await failureOf(() => strict.check(auth, QUESTION))).to.include({
      code: 'policy.loopback-refused',
      category: 'policy',
    });
    expect(strict.instance.journal()).to.deep.equal([]);
  });

  it('a task that is cancelled ends at once, with its reason', async () => {
    const stop = new AbortController();
    const reason = new Error('cancelled');
    bench.instance.faults.add({ fault: 'stall-body' });
    const work = check(QUESTION, { context: taskContext({ signal: stop.signal }) }).catch(
      (thrown: unknown) => thrown,
    );
    setImmediate(() => stop.abort(reason));
    expect(await work).to.equal(reason);
  });
});
