import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Row } from '../../../../src/connectors/servicenow/answer.ts';
import { tableUrl } from '../../../../src/connectors/servicenow/client.ts';
import {
  inRequests,
  MAX_TICKETS,
  MAX_URL_BYTES,
  queryFor,
  readMany,
  readOne,
  type TicketQuestion,
} from '../../../../src/connectors/servicenow/tickets/batch.ts';
import type { TicketName } from '../../../../src/connectors/servicenow/tickets/ticket-name.ts';
import { DelegateError } from '../../../../src/kit/errors.ts';

const BASE = 'https://example.service-now.com';

const change = (asked: string): TicketName => ({ type: 'change_request', field: 'number', asked });
const about = (asked: string, ...fields: string[]): TicketQuestion => ({
  ticket: change(asked),
  fields: new Set(fields),
});
const row = (number: string, more: Readonly<Record<string, string>> = {}): Row =>
  Object.fromEntries(
    Object.entries({ number, ...more }).map(([name, value]) => [name, { value, displayValue: value }]),
  );
const code = (answer: unknown): unknown => (answer instanceof DelegateError ? answer.code : answer);

describe('questions about tickets, as requests', () => {
  it('of one ticket, the plain condition', () => {
    expect(queryFor([about('CHG1', 'state', 'number')])).to.deep.equal({
      table: 'change_request',
      maxRows: 2,
      params: {
        sysparm_query: 'number=CHG1^ORDERBYsys_id',
        sysparm_display_value: 'all',
        sysparm_exclude_reference_link: 'true',
        sysparm_no_count: 'true',
        sysparm_suppress_pagination_header: 'true',
        sysparm_fields: 'state,number',
      },
    });
  });

  it('of several, a list, every field that any of them needs, and room for twice as many rows', () => {
    const { params, maxRows } = queryFor([about('CHG2', 'state'), about('CHG1', 'risk', 'state')]);
    expect(params['sysparm_query']).to.equal('numberINCHG2,CHG1^ORDERBYnumber');
    expect(params['sysparm_fields']).to.equal('state,risk');
    expect(maxRows).to.equal(4);
  });

  it('of one ticket asked for twice, still the plain condition', () => {
    const { params, maxRows } = queryFor([about('CHG1', 'state'), about('CHG1', 'risk')]);
    expect(params['sysparm_query']).to.equal('number=CHG1^ORDERBYsys_id');
    expect(params['sysparm_fields']).to.equal('state,risk');
    expect(maxRows).to.equal(2);
  });

  it('by sys_id as well', () => {
    const ticket = { type: 'incident', field: 'sys_id', asked: 'a'.repeat(32) } as const;
    const other = { ...ticket, asked: 'b'.repeat(32) };
    const fields = new Set(['state']);
    expect(
      queryFor([
        { ticket, fields },
        { ticket: other, fields },
      ]).params['sysparm_query'],
    ).to.equal(`sys_idIN${'a'.repeat(32)},${'b'.repeat(32)}^ORDERBYsys_id`);
  });

  it('without a named field, all that the user may read', () => {
    expect(queryFor([about('CHG1')]).params).not.to.have.property('sysparm_fields');
  });

  it('a hundred tickets are one request, the next is another', () => {
    const questions = Array.from({ length: 101 }, (_, index) => about(`CHG00${30_000 + index}`, 'state'));
    expect(inRequests(questions.slice(0, 100), BASE).map((request) => request.length)).to.deep.equal([100]);
    expect(inRequests(questions, BASE).map((request) => request.length)).to.deep.equal([100, 1]);
  });

  it('a thousand changes with the usual fields are ten requests', () => {
    const fields = ['number', 'sys_id', 'sys_updated_on', 'state', 'approval', 'start_date', 'end_date'];
    const questions = Array.from({ length: 1_000 }, (_, index) => about(`CHG00${30_000 + index}`, ...fields));
    expect(inRequests(questions, BASE)).to.have.length(10);
  });

  it('many questions about one ticket count once and stay together', () => {
    const questions = Array.from({ length: 250 }, (_, index) => about(`CHG${index % 2}`, 'state'));
    expect(inRequests(questions, BASE).map((request) => request.length)).to.deep.equal([250]);
  });

  it('one that is too long by itself is a request of its own', () => {
    const long = about('CHG1', ...Array.from({ length: 40 }, (_, index) => `u_${'x'.repeat(100)}_${index}`));
    const requests = inRequests([about('CHG0', 'state'), long, about('CHG2', 'state')], BASE);
    expect(requests.map((request) => request.map(({ ticket }) => ticket.asked))).to.deep.equal([
      ['CHG0'],
      ['CHG1'],
      ['CHG2'],
    ]);
  });

  it('whatever is asked, each question is asked once, in order, within the bounds', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
    const field = fc.stringMatching(/^[a-z][a-z0-9_.]{0,40}$/);
    const question = fc
      .record({ asked: name, fields: fc.uniqueArray(field, { minLength: 1, maxLength: 8 }) })
      .map(({ asked, fields }) => about(asked, ...fields));
    fc.assert(
      fc.property(
        fc.array(question, { maxLength: 300 }),
        fc.constantFrom(BASE, 'https://gateway.example.com/a/context/path'),
        (questions, baseUrl) => {
          const requests = inRequests(questions, baseUrl);
          expect(requests.flat()).to.have.members(questions);
          const tickets = requests.map((request) => new Set(request.map(({ ticket }) => ticket.asked)));
          const distinct = new Set(questions.map(({ ticket }) => ticket.asked));
          expect(tickets.reduce((sum, { size }) => sum + size, 0)).to.equal(distinct.size);
          for (const request of requests) {
            const query = queryFor(request);
            const url = tableUrl(baseUrl, query);
            url.searchParams.set('sysparm_limit', String(query.maxRows));
            const { size } = new Set(request.map(({ ticket }) => ticket.asked));
            expect(size).to.be.at.most(MAX_TICKETS);
            if (size > 1) expect(url.href.length).to.be.at.most(MAX_URL_BYTES);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('no request is half empty for want of arithmetic', () => {
    const questions = Array.from({ length: 200 }, (_, index) => about(`${'x'.repeat(50)}${index}`, 'state'));
    const [first = [], ...rest] = inRequests(questions, BASE);
    const [next] = rest[0] ?? [];
    expect(next).not.to.equal(undefined);
    if (next === undefined) return;
    const { href } = tableUrl(BASE, queryFor([...first, next]));
    expect(href.length).to.be.greaterThan(MAX_URL_BYTES - 40);
  });
});

describe('the answer about one ticket', () => {
  it('its row', () => {
    expect(readOne([row('CHG1')], change('CHG1'))).to.deep.equal(row('CHG1'));
  });

  for (const [what, rows, expected] of [
    ['no row', [], 'servicenow.ticket-not-found'],
    ['another row', [row('CHG2')], 'servicenow.filter-not-applied'],
    ['another spelling', [row('chg1')], 'servicenow.filter-not-applied'],
    ['its row and another', [row('CHG1'), row('CHG2')], 'servicenow.filter-not-applied'],
    ['two rows', [row('CHG1'), row('CHG1')], 'servicenow.ticket-ambiguous'],
    ['a row without its number', [{}], 'servicenow.field-missing'],
  ] as const) {
    it(`${what}: ${expected}`, () => {
      expect(code(readOne(rows, change('CHG1')))).to.equal(expected);
    });
  }
});

describe('the answer about several tickets', () => {
  const read = (rows: readonly Row[], ...asked: string[]): unknown[] =>
    readMany(rows, asked.map(change)).map((answer) =>
      answer instanceof DelegateError ? answer.code : answer?.['number']?.value,
    );

  it('each gets its own row, in whatever order they come', () => {
    expect(read([row('CHG2'), row('CHG1')], 'CHG1', 'CHG2')).to.deep.equal(['CHG1', 'CHG2']);
  });

  it('one without a row is not called missing', () => {
    expect(read([row('CHG1')], 'CHG1', 'CHG2')).to.deep.equal(['CHG1', undefined]);
  });

  it('one that exists twice does not concern the others', () => {
    expect(read([row('CHG1'), row('CHG2'), row('CHG2')], 'CHG1', 'CHG2')).to.deep.equal([
      'CHG1',
      'servicenow.ticket-ambiguous',
    ]);
  });

  it('another spelling of one is nobody’s row, and does not concern the others', () => {
    expect(read([row('CHG1'), row('CHG2')], 'CHG1', 'chg2')).to.deep.equal(['CHG1', undefined]);
  });

  it('two spellings of one ticket each get what is exactly theirs', () => {
    expect(read([row('CHG1')], 'CHG1', 'chg1')).to.deep.equal(['CHG1', undefined]);
  });

  it('a row that nobody asked for means that the list was not looked at', () => {
    expect(read([row('CHG1'), row('CHG9')], 'CHG1', 'CHG2')).to.deep.equal([
      'servicenow.filter-not-applied',
      'servicenow.filter-not-applied',
    ]);
  });

  it('fewer rows without numbers than tickets leave open which ticket is missing', () => {
    expect(read([{}], 'CHG1', 'CHG2')).to.deep.equal([undefined, undefined]);
  });

  it('rows that are all without numbers mean that the user may not read them', () => {
    expect(read([{}, {}], 'CHG1', 'CHG2')).to.deep.equal([
      'servicenow.field-missing',
      'servicenow.field-missing',
    ]);
  });

  it('one row without a number says nothing of the others, nor whose it is', () => {
    expect(read([{}, row('CHG1')], 'CHG1', 'CHG2')).to.deep.equal(['CHG1', undefined]);
  });
});
