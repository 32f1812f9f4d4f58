import { parseArgs } from 'node:util';
import { ATTACKS } from '../test/hostile/attacks/index.ts';
import { faultsOf, tryOut } from '../test/hostile/trial.ts';
import { HostileWorld } from '../test/hostile/world.ts';
import { say } from './arguments.ts';

/**
 * `npm run test:hostile-manager`: everything that a manager could try against a real delegate, and what came of it, as
 * Markdown. Ends with 1 if one attack came to something else than the table of attacks says, or got a canary.
 *
 *     npm run test:hostile-manager -- --only "redirect"
 */

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });

const HEAD = ['attack', 'delegate', 'what came of it', 'what the manager reads', 'canaries found'];
/** Of what the manager reads. */
const MAX_SHOWN_CHARS = 160;

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')).join(' | ')} |`;

const clipped = (text: string): string =>
  text.length <= MAX_SHOWN_CHARS ? text : `${text.slice(0, MAX_SHOWN_CHARS)}…`;

const faults: string[] = [];
let total = 0;
await using world = await HostileWorld.start();
for (const { title, attacks } of ATTACKS) {
  const tried = attacks.filter(({ name }) => `${title}: ${name}`.includes(values.only));
  if (tried.length === 0) continue;
  say(`\n## ${title}\n\n${row(HEAD)}\n${row(HEAD.map(() => '---'))}`);
  for (const attack of tried) {
    total += 1;
    try {
      const trial = await tryOut(attack, world);
      const { came, leaks } = trial;
      say(row([attack.name, attack.on, `\`${came.code}\``, clipped(came.text), String(leaks.length)]));
      faults.push(...faultsOf(attack, trial).map((fault) => `- ${title}: ${attack.name}: ${fault}`));
    } catch (thrown) {
      faults.push(`- ${title}: ${attack.name}: ${String(thrown)}`);
    }
  }
}
say(
  faults.length === 0
    ? `\n${total} attacks, each denied as expected; no canary got out.`
    : `\nOtherwise than expected:\n${faults.join('\n')}`,
);
process.exitCode = faults.length === 0 ? 0 : 1;
