import { expect } from 'chai';
import { SEED } from '../../../../src/dev/fake-servicenow/index.ts';
import type { DelegateError } from '../../../../src/kit/errors.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import {
  failureOf,
  openBench,
  QUESTION,
  tableCalls,
  type Answer,
  type Bench,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { change, expression, IN_IMPLEMENT, keyValues, WINDOW, type Question } from './questions.ts';

const HOUR_MS = 3_600_000;

describe('servicenow.approval.check, rule', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  const check = (question: Question): Promise<Answer> => bench.check(bench.asUser('svc_deploy'), question);
  const failure = (question: Question): Promise<DelegateError> => failureOf(() => check(question));

  leavesNothingOpen();

  describe('1: which criteria come first', () => {
    const both = { approvalCriteria: IN_IMPLEMENT, rejectionCriteria: keyValues(['state', 'equals', '-1']) };

    it('approval wins if both match, and rejection is not looked at', async () => {
      const answer = await check({ ...QUESTION, ...both });
      expect(answer).to.include({ decision: 'approved', rejection: null });
    });

    it('met before the window: pending, and rejection is not looked at', async () => {
      const answer = await check({
        ...both,
        ticket: change(SEED.changes.windowFuture),
        changeWindow: WINDOW,
      });
      expect(answer).to.include({ decision: 'pending', rejection: null });
      expect(answer.reason).to.match(/^waiting for the change window: it opens at/);
      expect(answer.window?.inside).to.equal(false);
    });

    it('not met, rejection met: rejected, and the window is not looked at', async () => {
      const answer = await check({
        ticket: change(SEED.changes.canceled),
        approvalCriteria: IN_IMPLEMENT,
        rejectionCriteria: keyValues(['state', 'in', 'Canceled, Closed']),
        changeWindow: WINDOW,
      });
      expect(answer).to.deep.include({
        decision: 'rejected',
        reason: 'rejected: state is Canceled',
        window: null,
      });
    });

    it('neither met: pending', async () => {
      const answer = await check({
        ticket: change(SEED.changes.new),
        approvalCriteria: IN_IMPLEMENT,
        rejectionCriteria: keyValues(['state', 'equals', 'Canceled']),
      });
      expect(answer.decision).to.equal('pending');
    });
  });

  describe('2: KeyValues', () => {
    const decisions: readonly (readonly [Question, Answer['decision']])[] = [
      [keyValues(['state', 'equals', 'Implement']), 'approved'],
      [keyValues(['state', 'equals', '-1']), 'approved'],
      [keyValues(['state', 'equals', 'implement']), 'pending'],
      [keyValues(['state', 'not equals', 'Implement']), 'pending'],
      [keyValues(['state', 'not equals', '-1']), 'pending'],
      [keyValues(['state', 'not equals', 'New']), 'approved'],
      [keyValues(['state', 'in', 'Scheduled, "Implement"']), 'approved'],
      [keyValues(['state', 'not in', 'New, -1']), 'pending'],
      [keyValues(['start_date', 'equals', '']), 'approved'],
      [keyValues(['state', 'equals', 'Implement'], ['risk', 'equals', 'High']), 'pending'],
    ];
    for (const [criteria, decision] of decisions) {
      it(`${JSON.stringify(criteria['spec'])} is ${decision}`, async () => {
        expect((await check({ ...QUESTION, approvalCriteria: criteria })).decision).to.equal(decision);
      });
    }

    it('with matchAnyCondition one condition is enough', async () => {
      const conditions = [
        { key: 'state', operator: 'equals', value: 'Implement' },
        { key: 'risk', operator: 'equals', value: 'High' },
      ];
      const approvalCriteria = { type: 'KeyValues', spec: { matchAnyCondition: true, conditions } };
      expect((await check({ ...QUESTION, approvalCriteria })).decision).to.equal('approved');
    });

    it('a state that no choice list knows is shown as it is, and breaks nothing', async () => {
      const { reason } = await check({ ...QUESTION, ticket: change(SEED.changes.unknownState) });
      expect(reason).to.equal('waiting: state is 20, not Implement');
    });

    it('a reference is compared by sys_id and by name, and may be walked through', async () => {
      const { ticket, decision } = await check({
        ...QUESTION,
        approvalCriteria: keyValues(
          ['assignment_group', 'equals', 'Network'],
          ['assignment_group', 'equals', SEED.sysIds.networkGroup],
          ['assigned_to.email', 'equals', 'svc_deploy@example.com'],
        ),
      });
      expect(decision).to.equal('approved');
      expect(ticket.fields['assigned_to.email']?.value).to.equal('svc_deploy@example.com');
    });

    it('an empty reference is a blank field', async () => {
      const answer = await check({
        ticket: change(SEED.changes.bare),
        approvalCriteria: keyValues(['assigned_to', 'equals', '']),
      });
      expect(answer.decision).to.equal('approved');
    });

    it('a field may hold what would mean something in a query', async () => {
      const value = bench.instance.tickets.get('change_request', SEED.changes.specialCharacters)[
        'short_description'
      ];
      const { decision } = await check({
        ticket: change(SEED.changes.specialCharacters),
        approvalCriteria: keyValues(['short_description', 'equals', value ?? '']),
      });
      expect(decision).to.equal('approved');
    });

    it('any table that extends task will do, a custom one with custom fields among them', async () => {
      for (const [ticket, criteria] of [
        [{ type: 'u_demo_custom', number: SEED.gates.open }, keyValues(['u_gate', 'equals', 'Open'])],
        [{ type: 'incident', number: SEED.incidents.resolved }, keyValues(['state', 'equals', 'Resolved'])],
        [{ type: 'task', number: SEED.changes.implement }, keyValues(['active', 'equals', 'true'])],
      ] as const) {
        const answer = await check({ ticket, approvalCriteria: criteria });
        expect(answer.decision).to.equal('approved');
        expect(answer.ticket.type).to.equal(ticket.type);
      }
    });
  });

  describe('3: expressions', () => {
    for (const [text, type, decision] of [
      ['<+ticket.state.displayValue> == "Implement"', 'Expression', 'approved'],
      [
        'ticket.state.value == "-1" && ticket.risk.displayValue =~ ["Moderate", "Low"]',
        'Expression',
        'approved',
      ],
      [
        'ticket.state.displayValue eq "Implement" and not (ticket.on_hold.value == "true")',
        'Jexl',
        'approved',
      ],
      ['ticket.start_date.value != null', 'Jexl', 'pending'],
    ] as const) {
      it(`${type} ${text} is ${decision}`, async () => {
        const answer = await check({ ...QUESTION, approvalCriteria: expression(text, type) });
        expect(answer.decision).to.equal(decision);
      });
    }

    it('a malformed one is refused before anything is sent, with its place', async () => {
      const error = await failure({ ...QUESTION, approvalCriteria: expression('ticket.state.value = "x"') });
      expect(error.code).to.equal('invalid-input');
      expect(error.message).to.match(/^approvalCriteria\.spec\.expression: /);
      expect(bench.instance.journal()).to.deep.equal([]);
    });
  });

  describe('4: a field that is not in the answer', () => {
    it('misspelt: the task fails, names it, says why it may be, and proposes near names', async () => {
      const error = await failure({
        ...QUESTION,
        approvalCriteria: keyValues(['stat', 'equals', 'Implement']),
      });
      expect(error).to.include({ code: 'servicenow.field-missing', category: 'not-found', retryable: false });
      expect(error.message).to.equal(
        "The field stat is not in the answer for table change_request: it doesn't exist, or this user may not read it.",
      );
      expect(error.hint).to.match(/^Did you mean state/);
      expect(error.details).to.deep.include({ field: 'stat', table: 'change_request' });
      const [first, second, ...more] = tableCalls(bench.instance);
      expect(more).to.deep.equal([]);
      expect(second?.query['sysparm_query']).to.equal(first?.query['sysparm_query']);
      expect(second?.query, 'the names are learnt from the ticket itself').not.to.have.property(
        'sysparm_fields',
      );
    });

    it('hidden from this user: the same, and never taken for blank', async () => {
      const question = {
        ticket: change(SEED.changes.customFields),
        approvalCriteria: keyValues(['u_security_review', 'not equals', 'Pending']),
      };
      expect((await check(question)).decision, 'who may read it can decide').to.equal('approved');
      const error = await failureOf(() => bench.check(bench.asUser('svc_read'), question));
      expect(error).to.include({ code: 'servicenow.field-missing' });
      expect(error.details).to.include({ field: 'u_security_review' });
      expect(error.hint).to.contain('roles let it read this field');
    });

    for (const [place, question] of Object.entries<Question>({
      'an expression': { approvalCriteria: expression('ticket.stat.value == null') },
      'the rejection criteria, though approval is met': {
        rejectionCriteria: keyValues(['stat', 'equals', 'x']),
      },
      'a branch of an expression that would not be reached': {
        approvalCriteria: expression('ticket.state.value == "-1" || ticket.stat.value == "x"'),
      },
      'the window': { changeWindow: { startField: 'stat', endField: 'end_date' } },
    })) {
      it(`in ${place}: the same`, async () => {
        const error = await failure({ ...QUESTION, ...question });
        expect(error).to.include({ code: 'servicenow.field-missing' });
        expect(error.details).to.include({ field: 'stat' });
      });
    }

    it('of the summary: the same, since a ticket without an identity is none', async () => {
      bench.instance.faults.add({ fault: 'field-hidden', field: 'sys_id' });
      expect((await failure(QUESTION)).details).to.include({ field: 'sys_id' });
    });

    it('is told even if no names can be learnt to propose', async () => {
      bench.instance.faults.add({ fault: 'forbidden-acl', skip: 1 });
      const error = await failure({ ...QUESTION, approvalCriteria: keyValues(['stat', 'equals', 'x']) });
      expect(error.code).to.equal('servicenow.field-missing');
      expect(error.details?.['suggestions']).to.deep.equal([]);
    });
  });

  describe('5: the change window', () => {
    const inWindow = (number: string, window: Question = {}): Question => ({
      ticket: change(number),
      approvalCriteria: IN_IMPLEMENT,
      changeWindow: { ...WINDOW, ...window },
    });
    const { changes } = SEED;

    it('open: approved', async () => {
      expect((await check(inWindow(changes.windowOpen))).decision).to.equal('approved');
    });

    it('goes by the stored UTC values, whatever zone and format the user sees', async () => {
      const answer = await bench.check(bench.asUser('svc_deploy_ist'), inWindow(changes.windowOpen));
      const { value, displayValue } = answer.ticket.fields['start_date'] ?? {};
      expect(displayValue, 'the user lives in another zone').to.not.equal(value);
      expect(answer.decision).to.equal('approved');
      expect(answer.window?.start).to.equal(`${value?.replace(' ', 'T')}.000Z`);
    });

    it('is strict at both ends', async () => {
      const clock = new ManualClock(Date.parse('2026-11-23T10:00:00Z'));
      await using timed = await openBench({ clock });
      const decisionAt = async (offsetMs: number): Promise<string> => {
        clock.setWall(Date.parse('2026-11-23T10:00:00Z') + offsetMs);
        try {
          return (await timed.check(timed.asUser('svc_deploy'), inWindow(changes.windowFuture))).decision;
        } catch (thrown) {
          return (await failureOf(() => Promise.reject(thrown))).code;
        }
      };
      expect(await decisionAt(HOUR_MS)).to.equal('pending');
      expect(await decisionAt(HOUR_MS + 1)).to.equal('approved');
      expect(await decisionAt(2 * HOUR_MS - 1)).to.equal('approved');
      expect(await decisionAt(2 * HOUR_MS)).to.equal('servicenow.change-window-past');
    });

    it('of whole days: from midnight to the end of the day', async () => {
      const answer = await check(
        inWindow(changes.windowDays, { startField: 'u_start_day', endField: 'u_end_day' }),
      );
      expect(answer.decision).to.equal('approved');
      expect(answer.window?.start).to.match(/T00:00:00\.000Z$/);
      const { value } = answer.ticket.fields['u_end_day'] ?? {};
      const dayAfter = new Date(Date.parse(`${value}T00:00:00Z`) + 24 * HOUR_MS).toISOString();
      expect(answer.window?.end, 'exclusive').to.equal(dayAfter);
    });

    for (const [number, code] of [
      [changes.windowPast, 'servicenow.change-window-past'],
      [changes.windowStartOnly, 'servicenow.change-window-invalid'],
      [changes.windowEndOnly, 'servicenow.change-window-invalid'],
      [changes.windowEndBeforeStart, 'servicenow.change-window-invalid'],
      [changes.implement, 'servicenow.change-window-invalid'],
    ] as const) {
      it(`${number} fails with ${code}, and both values in the text`, async () => {
        const row = bench.instance.tickets.get('change_request', number);
        const error = await failure(inWindow(number));
        expect(error.code).to.equal(code);
        expect(error.message).to.contain(`start_date is "${row['start_date'] ?? ''}"`);
        expect(error.message).to.contain(`end_date is "${row['end_date'] ?? ''}"`);
      });
    }

    it('that is no date fails with what stands there', async () => {
      bench.instance.tickets.patch('change_request', changes.windowOpen, { start_date: 'next Monday' });
      expect((await failure(inWindow(changes.windowOpen))).message).to.contain('"next Monday"');
    });

    for (const [number, option, decision] of [
      [changes.windowStartOnly, { onMissing: 'pending' }, 'pending'],
      [changes.windowStartOnly, { onMissing: 'ignore' }, 'approved'],
      [changes.windowEndOnly, { onMissing: 'ignore' }, 'approved'],
      [changes.implement, { onMissing: 'ignore' }, 'approved'],
      [changes.windowPast, { onPast: 'reject' }, 'rejected'],
    ] as const) {
      it(`${number} with ${JSON.stringify(option)} is ${decision}`, async () => {
        expect((await check(inWindow(number, option))).decision).to.equal(decision);
      });
    }
  });
});
