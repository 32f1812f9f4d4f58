import { readFile, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Metafile } from 'esbuild';
import { z } from 'zod';

/** What a bundle holds of one package of somebody else. */
export interface Notice {
  readonly name: string;
  readonly version: string;
  /** As its package.json names it. */
  readonly license: string;
  /** Its license and notice files, word for word; empty if it ships none. */
  readonly texts: readonly string[];
}

const packageSchema = z.object({ name: z.string(), version: z.string(), license: z.string() });

/** A package may bring one of its own inside it: the last folder counts. */
const PACKAGE_FOLDER = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;

const LEGAL_FILE = /^(?:licen[cs]e|notice|copying)(?:[.-].*)?$/i;

/**
 * The packages whose code is in the outputs, by name and version. What was read and left out again is not among them.
 *
 * @throws if one names no license: nobody could tell whether it may be shipped
 */
export async function noticesOf(metafiles: readonly Metafile[], root: string): Promise<readonly Notice[]> {
  const folders = new Set<string>();
  for (const { inputs } of metafiles.flatMap(({ outputs }) => Object.values(outputs))) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const [folder] = PACKAGE_FOLDER.exec(path) ?? [];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  const notices = await Promise.all(
    [...folders].map(async (folder) => await noticeOf(resolve(root, folder))),
  );
  const byName = new Map(notices.map((notice) => [`${notice.name} ${notice.version}`, notice]));
  return [...byName].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, notice]) => notice);
}

async function noticeOf(folder: string): Promise<Notice> {
  const { name, version, license } = packageSchema.parse(
    JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')),
  );
  const legal = (await readdir(folder)).filter((file) => LEGAL_FILE.test(file)).sort();
  const texts = await Promise.all(legal.map(async (file) => await readFile(join(folder, file), 'utf8')));
  return { name, version, license, texts: texts.map((text) => text.trim()) };
}

const RULE = '-'.repeat(80);

export function noticesText(notices: readonly Notice[]): string {
  const sections = notices.map(({ name, version, license, texts }) =>
    [RULE, `${name} ${version} (${license})`, RULE, '', ...texts.flatMap((text) => [text, ''])].join('\n'),
  );
  return [
    'This program contains the following packages, each under the license that is named with it.',
    '',
    ...sections,
  ].join('\n');
}
