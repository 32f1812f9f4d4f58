import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse } from 'yaml';
import { z } from 'zod';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

const rulesSchema = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({ alert: z.string().optional(), annotations: z.object({ runbook: z.string() }).optional() }),
      ),
    }),
  ),
});

describe('docs/operating.md', () => {
  const page = read('docs/operating.md');
  const alerts = rulesSchema
    .parse(parse(read('deploy/prometheus/alerts.yaml')))
    .groups.flatMap(({ rules }) => rules)
    .flatMap(({ alert, annotations }) =>
      alert === undefined ? [] : [{ alert, runbook: annotations?.runbook }],
    );

  it('has a section for each alert, in the order of the rules, and for no other', () => {
    const sections = [...page.matchAll(/^### (ServiceNowDelegate\w+)$/gm)].map(([, name]) => name);
    expect(sections).to.deep.equal(alerts.map(({ alert }) => alert));
  });

  it('is where the runbook of each alert leads', () => {
    const elsewhere = alerts.filter(
      ({ alert, runbook }) => runbook?.endsWith(`docs/operating.md#${alert.toLowerCase()}`) !== true,
    );
    expect(elsewhere).to.deep.equal([]);
  });
});
