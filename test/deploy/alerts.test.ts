import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { ScriptedManager } from '../support/scripted-manager.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { delegateProcesses } from '../system/one-delegate.ts';
import { deployed, promtool, seriesIn, seriesNames, skipWithoutPromtool } from './prometheus.ts';

const ruleSchema = z.strictObject({
  alert: z.string().regex(/^ServiceNowDelegate[A-Z]\w+$/),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
  annotations: z.strictObject({
    summary: z.string().max(100),
    description: z.string().min(40),
    runbook: z.string(),
  }),
});

const rulesSchema = z.strictObject({
  groups: z.array(z.strictObject({ name: z.string(), rules: z.array(ruleSchema) })),
});

const ALERTS = deployed('prometheus/alerts.yaml');
const TESTS = deployed('prometheus/alerts.test.yaml');
const alerts = rulesSchema.parse(parse(ALERTS.text)).groups.flatMap(({ rules }) => rules);
const names = alerts.map(({ alert }) => alert);

describe('the alerts', () => {
  it('have names of their own, and each its section in the guide for operators', () => {
    const guide = readFileSync(new URL('../../docs/operating.md', import.meta.url), 'utf8');
    expect(new Set(names).size).to.equal(names.length);
    const headings = Array.from(guide.matchAll(/^### (ServiceNowDelegate\w+)$/gm), ([, name]) => name);
    expect(headings).to.have.members(names);
    for (const { alert, annotations } of alerts) {
      expect(annotations.runbook).to.equal(`docs/operating.md#${alert.toLowerCase()}`);
    }
  });

  it('ask for no metric that no delegate has', async () => {
    const known = await seriesNames();
    for (const { alert, expr } of alerts) {
      const asked = seriesIn(expr);
      expect(asked, alert).not.to.deep.equal([]);
      for (const name of asked) expect(known, alert).to.include(name);
    }
  });

  it('are each shown to fire, and not to fire before', () => {
    for (const name of names) {
      const tests = TESTS.text.match(new RegExp(`alertname="${name}",alertstate="firing"`, 'g')) ?? [];
      expect(tests, name).to.have.length(2);
    }
  });

  it('are accepted by promtool', function () {
    this.timeout(30_000);
    skipWithoutPromtool(this);
    const { status, said } = promtool(['check', 'rules', ALERTS.path]);
    expect(said).to.contain(`${names.length} rules found`);
    expect(status, said).to.equal(0);
  });

  it('fire when they should, as promtool runs them', function () {
    this.timeout(30_000);
    skipWithoutPromtool(this);
    const { status, said } = promtool(['test', 'rules', TESTS.path]);
    expect(status, said).to.equal(0);
  });
});

describe('what a delegate shows to Prometheus', function () {
  this.timeout(30_000);
  const directory = tempDirs();
  const start = delegateProcesses();
  leavesNothingOpen();

  it('is what promtool wants, and has what every alert and every reader asks for', async function () {
    skipWithoutPromtool(this);
    await using manager = await ScriptedManager.start();
    const delegate = start({ managerUrl: manager.url, stateDir: await directory() });
    await manager.nextSession();
    const { healthUrl } = z
      .looseObject({ healthUrl: z.string() })
      .parse(await delegate.says('delegate starts'));
    const response = await fetch(`${healthUrl}/metrics`);
    const text = await response.text();
    delegate.kill('SIGTERM');
    await delegate.end();

    expect(response.status, text).to.equal(200);
    const { status, said } = promtool(['check', 'metrics'], text);
    expect(status, said).to.equal(0);
    expect(said).to.equal('');
    expect(text).to.match(/^servicenow_delegate_ready 1$/m);
    for (const { alert, expr } of alerts) {
      for (const name of seriesIn(expr).filter((one) => one !== 'up')) {
        expect(text, alert).to.contain(name.replace(/_(?:bucket|sum|count)$/, ''));
      }
    }
  });
});
