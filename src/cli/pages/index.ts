import { CHECKING } from './checking.ts';
import { INSTALLING } from './installing.ts';
import { OPERATING } from './operating.ts';
import type { Page } from './page.ts';
import { TRYING } from './trying.ts';

/** The commands in the order in which a user comes to need them. */
export const CHAPTERS: readonly { readonly title: string; readonly pages: Readonly<Record<string, Page>> }[] =
  [
    { title: 'Try it on this machine', pages: TRYING },
    { title: 'Install', pages: INSTALLING },
    { title: 'Check', pages: CHECKING },
    { title: 'Operate', pages: OPERATING },
  ];

export type DevelopmentCommandName = keyof typeof TRYING;
export type CommandName = keyof typeof INSTALLING | keyof typeof CHECKING | keyof typeof OPERATING;

/** Every command that people type. */
export const PAGES: ReadonlyMap<string, Page> = new Map(
  CHAPTERS.flatMap(({ pages }) => Object.entries(pages)),
);
