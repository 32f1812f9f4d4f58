import { z } from 'zod';
import { settingsSchema } from './schema.ts';

/** One setting of the schema: what it means, and where it can be given. */
export interface Leaf {
  doc?: string;
  env?: string;
  /** Its value is a secret. */
  sensitive?: boolean;
  arg?: string;
  format?: unknown;
  default: unknown;
}

/** Every setting by its key in the file; a nested one has a dotted key. */
export function leaves(): ReadonlyMap<string, Leaf> {
  return new Map(
    Object.entries(settingsSchema).flatMap(([key, node]) =>
      isLeaf(node)
        ? [[key, node] satisfies [string, Leaf]]
        : Object.entries(node).flatMap(([inner, leaf]: [string, unknown]) =>
            isLeaf(leaf) ? [[`${key}.${inner}`, leaf] satisfies [string, Leaf]] : [],
          ),
    ),
  );
}

function isLeaf(node: unknown): node is Leaf {
  return typeof node === 'object' && node !== null && 'default' in node;
}

/** A setting as complaints call it: its key, and the variable for those who never saw a file. */
export function labelOf(key: string): string {
  const variable = leaves().get(key)?.env;
  return variable === undefined ? key : `${key} (${variable})`;
}

/** What a flag of a setting takes: one of some values, true or false, or any text. */
export function valuesOf({ format }: Leaf): readonly string[] | undefined {
  if (format === 'flag') return ['true', 'false'];
  const read = listedSchema.safeParse(format);
  return read.success ? read.data.values : undefined;
}

/** A format made by `oneOf`, which is a function. */
const listedSchema = z.custom<{ readonly values: readonly string[] }>(
  (format) => typeof format === 'function' && 'values' in format && Array.isArray(format.values),
);

/** One line for each setting: key, variable, flag, default, meaning. */
export function settingsReference(): {
  key: string;
  env: string;
  flag: string;
  fallback: string;
  doc: string;
}[] {
  return Array.from(leaves(), ([key, leaf]) => ({
    key,
    env: leaf.env ?? '',
    flag: leaf.arg === undefined ? '' : `--${leaf.arg}`,
    fallback: fallbackOf(leaf.default),
    doc: leaf.doc ?? '',
  }));
}

/** The default as people read it; '' where it means "none". */
function fallbackOf(value: unknown): string {
  if (value === '' || (Array.isArray(value) && value.length === 0)) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
