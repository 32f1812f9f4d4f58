import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { z } from 'zod';

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({
      resolved: z.string().optional(),
      integrity: z.string().optional(),
      link: z.boolean().optional(),
      hasInstallScript: z.boolean().optional(),
      dev: z.boolean().optional(),
      devOptional: z.boolean().optional(),
      optional: z.boolean().optional(),
      inBundle: z.boolean().optional(),
    }),
  ),
});
const packageSchema = z.object({
  dependencies: z.record(z.string(), z.string()),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

const file = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const locked = Object.entries(lockSchema.parse(JSON.parse(file('package-lock.json'))).packages).filter(
  ([path]) => path !== '',
);
const shipped = locked.filter(([, { dev, devOptional }]) => dev !== true && devOptional !== true);
const own = packageSchema.parse(JSON.parse(file('package.json')));
const page = file('docs/security.md');

describe('the supply chain', () => {
  it('pins every package by the hash of its contents, and names no registry', () => {
    const flaws = locked.filter(([, { integrity, resolved, inBundle }]) => {
      return resolved !== undefined || (integrity === undefined && inBundle !== true);
    });
    expect(flaws.map(([path]) => path)).to.deep.equal([]);
  });

  it('runs no install script of a package that is shipped', () => {
    expect(shipped.filter(([, { hasInstallScript }]) => hasInstallScript === true)).to.deep.equal([]);
  });

  it('has a reason in docs/security.md for each dependency, and for no other', () => {
    const listed = [...page.matchAll(/^\| `([^`]+)` +\| (?:always|optional)/gm)].map(([, name]) => name);
    const wanted = [...Object.keys(own.dependencies), ...Object.keys(own.optionalDependencies)];
    expect(listed).to.have.members(wanted);
  });

  it('is counted in docs/security.md', () => {
    const always = shipped.filter(([, { optional }]) => optional !== true).length;
    expect(page).to.contain(`${always} packages`);
    expect(page).to.contain(`${shipped.length - always} more`);
  });
});
