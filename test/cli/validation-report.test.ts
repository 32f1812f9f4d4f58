import { expect } from 'chai';
import { validationReport } from '../../src/cli/report/validation.ts';
import { FAILURE, SUCCESS } from './reports.ts';
import { colourTerminal, namedColours, plainTerminal } from './support.ts';

/** By the width of the terminal; the first line is empty. */
const FAILURE_AT: Readonly<Record<number, string>> = {
  40: `
! Secrets resolve          3 ms
✓ Hosts can be reached   412 ms
  example.service-now.com at 192.0.2.10,
  TLSv1.3, certificate of
  *.service-now.com by Example CA until
  2027-03-01
✗ Table API answers       95 ms
– User sees tasks

Warning: serviceNowUrl: the path
         /nav_to.do was left away
  → Enter the address of the instance
    alone.
    servicenow.url-shortened

Error: example.service-now.com does not
       accept the credentials of user
       svc_deploy.
  → The name or password is wrong, or
    the user is locked out. It is not
    tried again, so as not to lock it.
    servicenow.not-authenticated, HTTP
    401

FAILURE: Credentials: the name or the
         password of user svc_deploy is
         wrong; check both in a browser.
Tested 2026-11-23T18:00:00.000Z by eu-1,
version 26.11.90100
`,
  80: `
! Secrets resolve          3 ms
✓ Hosts can be reached   412 ms  example.service-now.com at 192.0.2.10, TLSv1.3,
                                 certificate of *.service-now.com by Example CA
                                 until 2027-03-01
✗ Table API answers       95 ms
– User sees tasks

Warning: serviceNowUrl: the path /nav_to.do was left away
  → Enter the address of the instance alone.
    servicenow.url-shortened

Error: example.service-now.com does not accept the credentials of user
       svc_deploy.
  → The name or password is wrong, or the user is locked out. It is not tried
    again, so as not to lock it.
    servicenow.not-authenticated, HTTP 401

FAILURE: Credentials: the name or the password of user svc_deploy is wrong;
         check both in a browser.
Tested 2026-11-23T18:00:00.000Z by eu-1, version 26.11.90100
`,
  120: `
! Secrets resolve          3 ms
✓ Hosts can be reached   412 ms  example.service-now.com at 192.0.2.10, TLSv1.3, certificate of *.service-now.com by
                                 Example CA until 2027-03-01
✗ Table API answers       95 ms
– User sees tasks

Warning: serviceNowUrl: the path /nav_to.do was left away
  → Enter the address of the instance alone.
    servicenow.url-shortened

Error: example.service-now.com does not accept the credentials of user svc_deploy.
  → The name or password is wrong, or the user is locked out. It is not tried again, so as not to lock it.
    servicenow.not-authenticated, HTTP 401

FAILURE: Credentials: the name or the password of user svc_deploy is wrong; check both in a browser.
Tested 2026-11-23T18:00:00.000Z by eu-1, version 26.11.90100
`,
};

describe('the report of a connector that fails', () => {
  for (const [width, expected] of Object.entries(FAILURE_AT)) {
    it(`is this, ${width} columns wide`, () => {
      expect(`\n${validationReport(FAILURE, plainTerminal(Number(width)))}`).to.equal(expected);
    });
  }

  it('says by colour what the marks say, and colours nothing else', () => {
    const shown = namedColours(validationReport(FAILURE, colourTerminal(80)));
    for (const part of [
      '<warning>!</> Secrets resolve',
      '<good>✓</> Hosts can be reached',
      '<bad>✗</> Table API answers',
      '<faint>–</> User sees tasks',
      '<warning>Warning:</> serviceNowUrl',
      '<bad>Error:</> example.service-now.com',
      '<bad>FAILURE</>: Credentials',
    ]) {
      expect(shown).to.contain(part);
    }
    expect(shown.replaceAll(/<[^>]*>/g, '')).to.equal(FAILURE_AT[80]?.slice(1));
  });
});

describe('the report of a connector that works', () => {
  it('is short', () => {
    expect(validationReport(SUCCESS, plainTerminal(80)).split('\n')).to.deep.equal([
      '✓ Secrets resolve       3 ms  1 of 1',
      '✓ Table API answers  1063 ms  HTTP 200',
      '',
      'SUCCESS: The connector works.',
      'Tested 2026-11-23T18:00:00.000Z by eu-1, version 26.11.90100',
      '',
    ]);
  });

  it('does not hide its warnings behind the success', () => {
    const { warnings } = FAILURE;
    const shown = validationReport({ ...SUCCESS, warnings }, plainTerminal(80));
    expect(shown).to.contain('Warning: serviceNowUrl: the path').and.contain('works, with warnings.');
  });
});
