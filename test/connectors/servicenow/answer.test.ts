import { expect } from 'chai';
import * as fc from 'fast-check';
import { readListAnswer, type Row } from '../../../src/connectors/servicenow/answer.ts';
import type { RequestFacts } from '../../../src/connectors/servicenow/errors.ts';
import { DelegateError } from '../../../src/kit/errors.ts';
import type { HttpResponse } from '../../../src/kit/http-exchange.ts';

const REQUEST: RequestFacts = {
  baseUrl: 'https://example.service-now.com',
  target: 'https://example.service-now.com/api/now/table/change_request',
  user: 'svc_deploy',
  usedBearer: false,
  scrub: (text) => text.replaceAll('s3cret  word', '[secret]'),
};

const MAX_ROWS = 2;

const text = (body: string, status = 200): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/json;charset=UTF-8' },
  body,
});
const json = (value: unknown, status = 200): HttpResponse => text(JSON.stringify(value), status);
const read = (response: HttpResponse): Row[] => readListAnswer(response, REQUEST, MAX_ROWS);

const failure = (response: HttpResponse): DelegateError => {
  try {
    read(response);
  } catch (thrown) {
    if (thrown instanceof DelegateError) return thrown;
    throw thrown;
  }
  throw new Error('the answer was read');
};

const CANCELLED = {
  error: { message: 'Transaction cancelled: maximum execution time exceeded', detail: 'Check logs' },
  status: 'failure',
};

describe('a list answer of the Table API', () => {
  it('no rows are no rows', () => {
    expect(read(json({ result: [] }))).to.deep.equal([]);
  });

  describe('cells', () => {
    const cell = (value: unknown): unknown => read(json({ result: [{ field: value }] }))[0]?.['field'];

    for (const [name, value, expected] of [
      ['both values', { display_value: 'New', value: '-5' }, ['-5', 'New']],
      [
        'a reference with its link',
        { display_value: 'Admin', link: 'https://i/x', value: '681f' },
        ['681f', 'Admin'],
      ],
      ['an empty reference', { display_value: '', value: '' }, ['', '']],
      ['an empty reference with null for its name', { display_value: null, value: '' }, ['', '']],
      ['null for both', { display_value: null, value: null }, ['', '']],
      ['a display value alone', { display_value: 'Admin', link: 'https://i/x' }, ['', 'Admin']],
      ['bare text', 'New', ['New', 'New']],
      ['empty text', '', ['', '']],
      ['null', null, ['', '']],
      ['a number of a relative of the API', 3, ['3', '3']],
      ['a boolean of a relative of the API', true, ['true', 'true']],
    ] as const) {
      it(`${name} is read`, () => {
        expect(cell(value)).to.deep.equal({ value: expected[0], displayValue: expected[1] });
      });
    }

    it('a field that was left out stays absent: it is never an empty one', () => {
      expect(read(json({ result: [{}] }))).to.deep.equal([{}]);
    });
  });

  it('404 in the envelope is an empty list: so does version 1 answer when nothing matches', () => {
    const response = json({ error: { message: 'No Record found', detail: null }, status: 'failure' }, 404);
    expect(read(response)).to.deep.equal([]);
  });

  it('404 of somebody else is an error', () => {
    expect(failure(text('gone', 404)).code).to.equal('servicenow.not-found');
    expect(failure(json({ message: 'no such route' }, 404)).code).to.equal('servicenow.not-found');
  });

  it('any other refusal is judged as such', () => {
    expect(failure(json({ error: { message: 'Invalid table x', detail: null } }, 400)).code).to.equal(
      'servicenow.invalid-request',
    );
  });

  describe('of status 200 that is a failure', () => {
    for (const [name, value] of Object.entries({
      'rows beside an error': { result: [{ number: 'CHG1' }], ...CANCELLED },
      'rows beside an error whose texts say something else': {
        result: [{ number: 'CHG1' }],
        error: { message: 'Vorgang abgebrochen', detail: null },
      },
      'rows beside status failure alone': { result: [{ number: 'CHG1' }], status: 'failure' },
      'an error of another shape': { result: [], error: 'cancelled' },
      'an error and no rows': CANCELLED,
    })) {
      it(`${name}: the rows are thrown away, and asking again may help`, () => {
        expect(failure(json(value))).to.include({
          code: 'servicenow.transaction-cancelled',
          category: 'unavailable',
          retryable: true,
          status: 200,
        });
      });
    }

    it('names the time limit, and what ServiceNow said', () => {
      const error = failure(json({ result: [], ...CANCELLED }));
      expect(error.hint).to.contain('time limit for REST requests');
      expect(error.details?.['serverText']).to.contain('maximum execution time');
    });

    it('a secret in it is masked before its spaces are put in order', () => {
      const error = failure(json({ result: [], error: { message: 'of s3cret  word', detail: null } }));
      expect(error.details?.['serverText']).to.equal('of [secret]');
    });

    it('status success beside the rows is none', () => {
      expect(read(json({ result: [{ number: 'CHG1' }], status: 'success' }))).to.have.length(1);
    });
  });

  describe('of more than was asked for', () => {
    it('as many rows as asked for are read, one more is refused', () => {
      expect(read(json({ result: [{}, {}] }))).to.have.length(2);
      expect(failure(json({ result: [{}, {}, {}] }))).to.include({
        code: 'servicenow.unexpected-shape',
        retryable: false,
      });
    });

    it('no row is looked at where there are too many', () => {
      expect(failure(json({ result: Array.from({ length: 3 }, () => ({ a: [] })) })).message).to.contain(
        'has 3 rows where 2 at most',
      );
    });

    it('2,000 columns are read, one more is refused', () => {
      const row = (columns: number): Record<string, string> =>
        Object.fromEntries(Array.from({ length: columns }, (_, index) => [`f${index}`, 'x']));
      expect(Object.keys(read(json({ result: [row(2_000)] }))[0] ?? {})).to.have.length(2_000);
      expect(failure(json({ result: [row(2_001)] })).code).to.equal('servicenow.unexpected-shape');
    });
  });

  it('a body cut anywhere is broken, and asking again may help', () => {
    const whole = JSON.stringify({ result: [{ number: { display_value: 'CHG1', value: 'CHG1' } }] });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 1 }), (end) => {
        expect(failure(text(whole.slice(0, end)))).to.include({
          code: 'servicenow.broken-answer',
          category: 'bad-response',
          retryable: true,
        });
      }),
    );
  });

  it('an error glued into the array is broken JSON', () => {
    expect(
      failure(text('{"result":[{"number":"CHG1"},"error":{"message":"m"},"status":"failure"}')).code,
    ).to.equal('servicenow.broken-answer');
  });

  it('a broken body is not quoted: it may hold anything', () => {
    expect(JSON.stringify(failure(text('{"result":[{"salary":"12345')).toWire())).not.to.contain('12345');
  });

  for (const [name, value] of Object.entries({
    'one record in place of a list': { result: { number: 'CHG1' } },
    'no result': { records: [] },
    'a list of lists': { result: [[]] },
    'a row that is text': { result: ['CHG1'] },
    'a field whose value is an object': { result: [{ number: { value: {} } }] },
    'a field that is a list': { result: [{ watch_list: [] }] },
    null: null,
    'a bare list': [],
  })) {
    it(`JSON of another API (${name}) is refused`, () => {
      expect(failure(json(value))).to.include({
        code: 'servicenow.unexpected-shape',
        category: 'not-servicenow',
        retryable: false,
      });
    });
  }
});
