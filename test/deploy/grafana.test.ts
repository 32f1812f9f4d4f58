import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { z } from 'zod';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { deployed, promtool, seriesIn, seriesNames, skipWithoutPromtool } from './prometheus.ts';

const COLUMNS = 24;

const datasourceSchema = z.strictObject({ type: z.literal('prometheus'), uid: z.literal('${datasource}') });

const gridSchema = z.strictObject({
  x: z.number().int().min(0),
  y: z.number().int().min(0),
  w: z.number().int().min(1).max(COLUMNS),
  h: z.number().int().min(1),
});

const rowSchema = z.looseObject({
  type: z.literal('row'),
  id: z.number().int(),
  title: z.string().min(1),
  gridPos: gridSchema,
});

const graphSchema = z.looseObject({
  type: z.enum(['stat', 'gauge', 'table', 'timeseries', 'state-timeline']),
  id: z.number().int(),
  title: z.string().min(1),
  description: z.string().min(20),
  datasource: datasourceSchema,
  gridPos: gridSchema,
  fieldConfig: z.looseObject({ defaults: z.looseObject({ unit: z.string().min(1) }) }),
  targets: z
    .array(z.looseObject({ datasource: datasourceSchema, expr: z.string(), refId: z.string() }))
    .min(1),
});

/** As far as every Grafana since 10 relies on it. */
const dashboardSchema = z.looseObject({
  title: z.string().min(1),
  uid: z.string().regex(/^[a-z0-9-]{1,40}$/),
  schemaVersion: z.number().int().min(36),
  panels: z.array(z.union([rowSchema, graphSchema])),
  templating: z.strictObject({ list: z.array(z.looseObject({ name: z.string(), type: z.string() })) }),
});

const { text } = deployed('grafana/servicenow-delegate.json');
const dashboard = dashboardSchema.parse(JSON.parse(text));
const graphs = dashboard.panels.filter((panel) => panel.type !== 'row');
const questions = graphs.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));

/** As Grafana sends it: with the values of its variables. */
function asked(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', 'a:8080|b:8080');
}

describe('the dashboard', () => {
  const directory = tempDirs();
  leavesNothingOpen();

  it('has one id for each panel, and letters for the questions of one', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).to.equal(ids.length);
    for (const { title, targets } of graphs) {
      expect(new Set(targets.map(({ refId }) => refId)).size, title).to.equal(targets.length);
    }
  });

  it('lays panels beside each other, and not upon', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).to.be.at.most(COLUMNS);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.get(`${x} ${y}`), `${title} lies upon another`).to.equal(undefined);
          taken.set(`${x} ${y}`, title);
        }
      }
    }
  });

  it('belongs to no Grafana: whoever loads it chooses the source of data, and the delegates', () => {
    const variables = dashboard.templating.list.map(({ name, type }) => `${name}: ${type}`);
    expect(variables).to.deep.equal(['datasource: datasource', 'instance: query']);
    const used = new Set(Array.from(text.matchAll(/\$\{?([a-z]\w*)/g), ([, name]) => name));
    expect(used).to.deep.equal(new Set(['datasource', 'instance']));
    for (const { title, expr } of questions) expect(expr, title).to.contain('{instance=~"$instance"');
  });

  it('asks for no metric that no delegate has', async () => {
    const known = await seriesNames();
    for (const { title, expr } of questions) {
      const names = seriesIn(expr);
      expect(names, title).not.to.deep.equal([]);
      for (const name of names) expect(known, title).to.include(name);
    }
  });

  it('shows every metric of the delegate that an alert is made of', async () => {
    const shown = new Set(questions.flatMap(({ expr }) => seriesIn(expr)));
    const named = new Set(seriesIn(deployed('prometheus/alerts.yaml').text));
    /** Those say nothing over time: they are the alert itself. */
    const told = ['up', 'process_start_time_seconds'];
    const flags = ['journal_writable', 'audit_writable', 'log_lines_lost_total'];
    const elsewhere = new Set([...told, ...flags.map((name) => `servicenow_delegate_${name}`)]);
    const known = await seriesNames();
    const missing = [...named].filter((name) => known.has(name) && !shown.has(name) && !elsewhere.has(name));
    expect(missing).to.deep.equal([]);
  });

  it('asks nothing that Prometheus does not understand', async function () {
    this.timeout(30_000);
    skipWithoutPromtool(this);
    const rules = questions.map(({ expr }, index) => ({ record: `panel:${index}`, expr: asked(expr) }));
    const path = join(await directory(), 'panels.yaml');
    await writeFile(path, stringify({ groups: [{ name: 'panels', rules }] }));
    const { status, said } = promtool(['check', 'rules', path]);
    expect(status, said).to.equal(0);
    expect(said).to.contain(`${rules.length} rules found`);
  });
});
