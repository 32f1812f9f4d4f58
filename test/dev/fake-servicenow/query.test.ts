import { expect } from 'chai';
import * as fc from 'fast-check';
import { segmentsOf, termOf } from '../../../src/dev/fake-servicenow/query/lexer.ts';
import { select } from '../../../src/dev/fake-servicenow/query/select.ts';
import { dateDisplay } from '../../../src/dev/fake-servicenow/records/dates.ts';
import { Records, valueOf } from '../../../src/dev/fake-servicenow/records/store.ts';
import { seed } from '../../../src/dev/fake-servicenow/seed/seed.ts';
import { SEED } from '../../../src/dev/fake-servicenow/index.ts';
import { systemClock } from '../../../src/kit/time.ts';

interface Asking {
  table?: string;
  policy?: 'drop' | 'none';
  insensitive?: boolean;
  shuffleSeed?: number;
  named?: [string, string][];
}

describe('encoded queries of the fake', () => {
  const records = new Records(systemClock);
  seed(records, systemClock);
  const all = records.in('change_request').length;

  function numbers(query: string, asking: Asking = {}): string[] {
    const {
      table = 'change_request',
      policy = 'drop',
      insensitive = false,
      shuffleSeed = 1,
      named = [],
    } = asking;
    const rows = select(
      {
        table,
        query,
        named,
        policy,
        evaluate: (script) => (script === 'known()' ? '-1' : undefined),
        shuffleSeed,
      },
      {
        records,
        dates: dateDisplay('UTC', 'yyyy-MM-dd'),
        fold: insensitive ? (value) => value.toLowerCase() : (value) => value,
      },
    );
    return rows.map((row) => valueOf(row, 'number'));
  }

  const sorted = (query: string, asking?: Asking): string[] => numbers(query, asking).sort();

  it('IN selects what the chain of ORs selects', () => {
    const field = fc.constantFrom(
      'state',
      'type',
      'number',
      'risk',
      'approval',
      'assigned_to.user_name',
      'on_hold',
    );
    const item = fc.constantFrom(
      '-5',
      '-1',
      '0',
      '3',
      'normal',
      'standard',
      SEED.changes.bare,
      'approved',
      '',
      'svc_deploy',
    );
    fc.assert(
      fc.property(field, fc.array(item, { minLength: 1, maxLength: 6 }), (name, items) => {
        const chain = items.map((value) => `${name}=${value}`).join('^OR');
        expect(sorted(`${name}IN${items.join(',')}`)).to.deep.equal(sorted(chain));
      }),
    );
  });

  it('OR binds tighter than AND, and a sort at the end changes nothing', () => {
    const term = fc.constantFrom(
      'state=-1',
      'state=3',
      'type=normal',
      'type=standard',
      'on_hold=true',
      'risk=3',
      'active=true',
    );
    fc.assert(
      fc.property(term, term, term, term, (a, b, c, d) => {
        const left = new Set([...numbers(a), ...numbers(b)]);
        const right = new Set([...numbers(c), ...numbers(d)]);
        const expected = [...left].filter((number) => right.has(number)).sort();
        expect(sorted(`${a}^OR${b}^${c}^OR${d}`)).to.deep.equal(expected);
        expect(sorted(`${a}^OR${b}^${c}^OR${d}^ORDERBYnumber`)).to.deep.equal(expected);
      }),
    );
  });

  it('NQ adds a branch', () => {
    const either = new Set([...numbers('state=-1^type=normal'), ...numbers('state=3')]);
    expect(sorted('state=-1^type=normal^NQstate=3^EQ')).to.deep.equal([...either].sort());
  });

  it('2,300 unknown terms and a sys_id select one row where unknown terms are dropped, none where they void the query', () => {
    const query = `${'AAAA=BBBB^'.repeat(2_300)}sys_id=${SEED.sysIds.demoChange}`;
    expect(numbers(query)).to.deep.equal([SEED.changes.demo]);
    expect(numbers(query, { policy: 'none' })).to.deep.equal([]);
  });

  it('an unknown field widens the query to the whole table; an unknown value narrows it to nothing', () => {
    expect(numbers('nmber=CHG0030001')).to.have.lengthOf(all);
    expect(numbers('number=CHG9999999')).to.deep.equal([]);
    expect(numbers('Number=CHG0030001'), 'names mind case').to.have.lengthOf(all);
    expect(numbers('number=CHG0030001^ORDERBYnmber', { policy: 'none' })).to.deep.equal([]);
  });

  it('no query makes it throw', () => {
    const piece = fc.constantFrom(
      '^',
      '^OR',
      '^NQ',
      '^EQ',
      'ORDERBY',
      'ORDERBYDESC',
      'state',
      'number',
      '=',
      '!=',
      'IN',
      'BETWEEN',
      '@',
      'SAMEAS',
      'INSTANCEOF',
      'ISEMPTY',
      'LIKE',
      '.',
      'assigned_to.',
      'javascript:',
      '-1',
      '__proto__',
      'constructor',
      ',',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(text, fc.constantFrom('drop' as const, 'none' as const), (query, policy) => {
        expect(numbers(query, { policy })).to.be.an('array');
      }),
    );
  });

  const { changes } = SEED;
  const cases: readonly (readonly [query: string, expected: readonly string[]])[] = [
    ['state=20', [changes.unknownState]],
    ['u_risk_score>9', [changes.customFields]],
    ['u_risk_score>100', []],
    ['u_risk_score<=42', [changes.customFields]],
    ['u_risk_scoreBETWEEN41@43', [changes.customFields]],
    ['u_start_dayBETWEEN2026-12-01@2026-12-01^u_releaseISNOTEMPTY', [changes.customFields]],
    ['number>=CHG0030040', [changes.bare]],
    ['short_descriptionLIKEorder', [changes.demo]],
    ['short_descriptionCONTAINSorder', [changes.demo]],
    ['short_description*order', [changes.demo]],
    ['short_descriptionSTARTSWITHReboot', [changes.demo]],
    ['short_descriptionENDSWITHserver', [changes.demo]],
    ['short_description%server', [changes.demo]],
    ['short_descriptionNOT LIKECHG^numberNOT INCHG0030034,CHG0030035,CHG0030036,CHG0030040', [changes.demo]],
    ['short_descriptionISEMPTY', [changes.bare]],
    ['short_descriptionEMPTYSTRING', [changes.bare]],
    ['on_hold=true', [changes.onHold]],
    ['on_hold!=false', [changes.onHold, changes.bare]],
    ['assigned_toISEMPTY', [changes.bare]],
    ['assigned_to.user_name!=svc_deploy', [changes.bare]],
    ['assigned_to.manager.user_name=admin^state=20', [changes.unknownState]],
    ['assigned_toSTARTSWITHDeployment^on_hold=true', [changes.onHold]],
    ['opened_bySAMEASassigned_to^state=-5', []],
    ['impactSAMEASurgency^state=20', [changes.unknownState]],
    ['impactNSAMEASpriority^state=20', [changes.unknownState]],
    ['short_descriptionANYTHING^state=20', [changes.unknownState]],
    ['state=javascript:known()^on_hold=true', [changes.onHold]],
    ['^ORon_hold=true', [changes.onHold]],
    ['on_hold=true^', [changes.onHold]],
    ['state=20^GROUPBYtype', [changes.unknownState]],
  ];
  for (const [query, expected] of cases) {
    it(`${query} selects ${expected.length === 0 ? 'nothing' : expected.join(', ')}`, () => {
      expect(sorted(query)).to.deep.equal([...expected].sort());
    });
  }

  it('a class is exact with =, and includes its children with INSTANCEOF', () => {
    expect(numbers('sys_class_name=task', { table: 'task' })).to.deep.equal([]);
    expect(numbers('sys_class_nameINSTANCEOFtask', { table: 'task' })).to.include.members([
      changes.demo,
      SEED.incidents.demo,
      SEED.gates.open,
    ]);
  });

  it('a dot-walk through more than three references is an unknown field', () => {
    const walk = 'assigned_to.manager.manager.manager.name=x';
    expect(numbers(walk, { policy: 'none' })).to.deep.equal([]);
    expect(numbers(walk)).to.have.lengthOf(all);
  });

  it('values mind case only where the profile says so', () => {
    expect(numbers('number=chg0030001')).to.deep.equal([]);
    expect(numbers('number=chg0030001', { insensitive: true })).to.deep.equal([changes.new]);
  });

  it('a name=value parameter takes the label as well as the value', () => {
    const closed = sorted('state=3');
    expect(sorted('', { named: [['state', 'Closed']] })).to.deep.equal(closed);
    expect(sorted('', { named: [['state', '3']] })).to.deep.equal(closed);
    expect(numbers('', { named: [['no_such', 'x']], policy: 'none' })).to.deep.equal([]);
  });

  it('sorts by several keys, numbers as numbers, and downwards', () => {
    const ordered = numbers('numberINCHG0030001,CHG0030009,CHG0030010^ORDERBYtype^ORDERBYDESCnumber');
    expect(ordered).to.deep.equal([changes.new, changes.standardAssess, changes.standardNew]);
  });

  it('rows whose order was not asked for come in another order each time, and in the same for the same seed', () => {
    expect(numbers('', { shuffleSeed: 1 })).to.not.deep.equal(numbers('', { shuffleSeed: 2 }));
    expect(numbers('', { shuffleSeed: 1 })).to.deep.equal(numbers('', { shuffleSeed: 1 }));
  });

  it('a caret cannot be escaped: it always begins another term', () => {
    expect(segmentsOf(String.raw`a=b\^c=d^NQe=f^ORg=h^ORDERBYi^EQ^j=k`)).to.deep.equal([
      { joint: 'and', text: String.raw`a=b\ `.trim() },
      { joint: 'and', text: 'c=d' },
      { joint: 'branch', text: 'e=f' },
      { joint: 'or', text: 'g=h' },
      { joint: 'and', text: 'ORDERBYi' },
    ]);
  });

  it('takes the earliest operator, and the longest of those', () => {
    expect(termOf('a<=b')).to.include({ field: 'a', value: 'b' });
    expect(termOf('aNOT INb')?.spelling.text).to.equal('NOT IN');
    expect(termOf('aNSAMEASb')?.spelling.text).to.equal('NSAMEAS');
    expect(termOf('=b')).to.equal(undefined);
    expect(termOf('a b=c')).to.equal(undefined);
  });
});
