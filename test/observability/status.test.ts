import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { z } from 'zod';
import { statusReport } from '../../src/cli/report/status.ts';
import { statusSchema } from '../../src/observability/status.ts';
import { plainTerminal } from '../cli/support.ts';
import { STATUS } from '../cli/status-sample.ts';

const DOCUMENT = new URL('../../docs/observability.md', import.meta.url);

/** The same, with a member more in each object, at whatever depth. */
function grown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(grown);
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).map(([name, member]) => [name, grown(member)] as const);
  return { ...Object.fromEntries(members), ofALaterVersion: { since: 2 } };
}

describe('the members of the status', () => {
  it('are those that docs/observability.md names', async () => {
    const [, section = ''] = (await readFile(DOCUMENT, 'utf8')).split('\n## `/status.json`\n');
    const rows = new Map(
      Array.from(section.matchAll(/^\| `(\w+)` +\| (.*) \|$/gm), ([, name = '', text = '']) => [name, text]),
    );
    const { statusVersion, ...members } = statusSchema.shape;
    expect(section).to.contain(`\`statusVersion\` is ${statusVersion.value}`);
    expect([...rows.keys()]).to.have.members(Object.keys(members));
    for (const [member, schema] of Object.entries(members)) {
      const named = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
      for (const name of named) expect(rows.get(member), member).to.contain(`\`${name}\``);
    }
  });
});

describe('the status of a later version', () => {
  it('is read as far as this version knows it, however deep the new members are', () => {
    expect(statusSchema.parse(grown(STATUS))).to.deep.equal(STATUS);
  });

  it('is laid out by the `status` command of this version', () => {
    const terminal = plainTerminal(100);
    expect(statusReport(statusSchema.parse(grown(STATUS)), terminal)).to.equal(
      statusReport(STATUS, terminal),
    );
  });

  it('may have a check that this version does not know', () => {
    const check = { name: 'clock', ok: false, detail: 'the clock is wrong' };
    const { readiness } = statusSchema.parse({
      ...STATUS,
      readiness: { ...STATUS.readiness, checks: [check] },
    });
    expect(readiness.checks).to.deep.equal([check]);
  });

  it('is not taken for one of this version if members have gone or changed', () => {
    expect(statusSchema.safeParse({ ...STATUS, statusVersion: 2 }).success).to.equal(false);
  });
});
