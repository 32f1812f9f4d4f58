import { readFileSync } from 'node:fs';
import { YAMLParseError, parse as parseYaml } from 'yaml';
import { systemCode } from '../kit/errors.ts';
import { labelOf, leaves } from './leaves.ts';

type Mapping = Readonly<Record<string, unknown>>;

/**
 * The settings of a YAML or JSON file as a tree that fits the schema; every other key is a complaint. Checked
 * here because convict's own check is blind to a key with a dot in it, takes a mapping where a list belongs, and
 * throws at a section that is none.
 */
export function readSettingsFile(path: string, complaints: string[]): Mapping {
  const contents = parseFile(path, complaints);
  if (contents === undefined || contents === null) return {};
  if (isMapping(contents)) return declaredOnly(contents, '', { path, complaints });
  complaints.push(`${path}: must be a mapping of settings`);
  return {};
}

function parseFile(path: string, complaints: string[]): unknown {
  try {
    // Errors throw all the same; warnings would be printed past the log.
    return parseYaml(readFileSync(path, 'utf8'), { logLevel: 'error' });
  } catch (thrown) {
    complaints.push(`${path}: ${whyUnreadable(thrown)}`);
    return undefined;
  }
}

/** The parser's own words quote the file, where a secret may stand; line and column are enough. */
function whyUnreadable(thrown: unknown): string {
  if (thrown instanceof YAMLParseError) {
    const [at] = thrown.linePos ?? [];
    return `is not valid YAML or JSON${at === undefined ? '' : `, at line ${at.line}, column ${at.col}`}`;
  }
  const code = systemCode(thrown);
  if (code === 'ENOENT') return 'the configuration file does not exist';
  return code === undefined ? 'is not valid YAML or JSON' : `the configuration file cannot be read (${code})`;
}

function declaredOnly(
  mapping: Mapping,
  section: string,
  report: { path: string; complaints: string[] },
): Mapping {
  const declared = leaves();
  const sections = new Set(
    [...declared.keys()].flatMap((key) => (key.includes('.') ? [key.slice(0, key.indexOf('.'))] : [])),
  );
  const members = Object.entries(mapping).flatMap(([name, value]): [string, unknown][] => {
    const key = section + name;
    if (sections.has(key)) {
      const inner = value ?? {};
      if (isMapping(inner)) return [[name, declaredOnly(inner, `${key}.`, report)]];
      report.complaints.push(`${key}: must be a mapping of settings`);
    } else if (name.includes('.') || !declared.has(key)) {
      report.complaints.push(`${key}: there is no such setting (${report.path})`);
    } else if (key === 'secretNames') {
      // Null for a list: it might pass for the pairs that the schema has in a mapping's stead.
      return [[name, isMapping(value) ? Object.entries(value) : null]];
    } else if (isMapping(value)) {
      report.complaints.push(`${labelOf(key)}: must not be a mapping`);
    } else {
      return [[name, value]];
    }
    return [];
  });
  return Object.fromEntries(members);
}

/** Not zod's record, which leaves out a key `__proto__` in silence. */
function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
