import { ANSWERS } from './answers.ts';
import type { ReportCase } from './case.ts';
import { REACHING } from './reaching.ts';
import { READING } from './reading.ts';
import { SIGNING_ON } from './signing-on.ts';

/** The chapters of the report. */
export const CHAPTERS: readonly { readonly title: string; readonly cases: readonly ReportCase[] }[] = [
  { title: 'A. Reaching ServiceNow', cases: REACHING },
  { title: 'B. Signing on', cases: SIGNING_ON },
  { title: 'C. Reading tickets', cases: READING },
  { title: 'S and E. What the API answers, and load', cases: ANSWERS },
];
