import { expect } from 'chai';
import type { Sandbox } from './sandbox.ts';
import type { Statement } from './statements.ts';

/** What a console block shows is what is printed; `…` stands for whatever differs from run to run. */
export function expectShown({ place, output: shown }: Statement, printed: string, sandbox: Sandbox): void {
  if (shown === undefined) return;
  const pattern = sandbox
    .here(shown)
    .split('…')
    .map(literally)
    .join(String.raw`[\s\S]*?`);
  expect(printed, place).to.match(new RegExp(pattern));
}

/** White space within a line may be laid out by the terminal's width. */
function literally(text: string): string {
  return text
    .trim()
    .replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll(/\s+/g, String.raw`\s+`);
}
