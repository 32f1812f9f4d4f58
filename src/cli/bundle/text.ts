import { MASK, type Redactor } from '../../kit/secret.ts';
import { localError } from '../local/errors.ts';
import { findValues } from './finder.ts';
import { plantCanaries } from './self-test.ts';

/** One part of a bundle. */
export interface Section {
  readonly title: string;
  /** What it is for, for whoever reads it before sending it. */
  readonly about: string;
  readonly text: string;
}

/** What hides values, and knows those that it is to hide. */
export interface Scrubber extends Pick<Redactor, 'register' | 'scrub'> {
  values(): readonly string[];
}

const RULE = '='.repeat(78);

const SELF_TEST = {
  title: 'Self-test of the redaction',
  about:
    'Secrets that were made up for this file stood here in many spellings. Whatever could be read of them would have kept the file from being written.',
};

/**
 * The whole bundle as it may leave this machine. Canaries are planted in it, everything goes through the redactor once,
 * and what comes out is searched for them and for every secret that is known. Throws `support-bundle-unsafe` if one of
 * them is found, without a word of it.
 */
export function bundleText(sections: readonly Section[], scrubber: Scrubber): string {
  const canaries = plantCanaries(scrubber);
  const planted = { ...SELF_TEST, text: canaries.lines.join('\n') };
  const scrubbed = scrubber.scrub([...sections, planted].map(sectionText).join('\n'));
  // With all that is left of the canaries, and again as it will be written.
  assertClean(scrubbed, canaries.values, scrubber);
  const text = withoutCanaryLines(scrubbed);
  assertClean(text, canaries.values, scrubber);
  return text;
}

function assertClean(text: string, canaries: readonly string[], scrubber: Scrubber): void {
  const survived = findValues(text, canaries).length;
  const readable = findValues(text, scrubber.values()).length;
  // A text without any secret would look the same if nothing had been scrubbed at all.
  if (survived === 0 && readable === 0 && text.includes(MASK)) return;
  throw localError(
    'support-bundle-unsafe',
    `The support bundle was not written: of ${canaries.length} made-up secrets ${survived} could be read in it, of all known ones ${readable}.`,
  );
}

function sectionText({ title, about, text }: Section): string {
  return `${headOf({ title, about })}${text.trimEnd()}\n`;
}

function headOf({ title, about }: Omit<Section, 'text'>): string {
  return `${RULE}\n${title}\n${about}\n${RULE}\n\n`;
}

/** Dozens of lines of masks tell their reader no more than their number does. */
function withoutCanaryLines(text: string): string {
  const head = headOf(SELF_TEST);
  const at = text.lastIndexOf(head);
  // A secret that reads like a word of the head is masked there.
  if (at === -1) return text;
  const masks = text.slice(at + head.length).split(MASK).length - 1;
  return `${text.slice(0, at)}${head}${MASK}, ${masks} times\n`;
}
