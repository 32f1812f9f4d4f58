import { packageVersion } from '../config/version.ts';
import { tellStory } from '../dev/story.ts';
import { OLD_VERSION } from '../dev/world.ts';
import { hanging, terminalOf, type Terminal } from './report/layout.ts';
import { onStopSignals } from './signals.ts';
import { addressLines, openWorld } from './world.ts';

/** `npm run demo`: the whole world, a story, and an end. Exit code 0 only if everything went as told. */
export async function demo(args: readonly string[]): Promise<0 | 1> {
  const tell = (line = ''): void => void process.stdout.write(`${line}\n`);
  const terminal = terminalOf(process.stdout);
  const about = 'ServiceNow delegate: every process of the world on this machine, over real sockets';
  for (const line of hanging('', about, terminal.width)) tell(line);
  tell();
  await using world = await openWorld(args);
  using _signals = onStopSignals(() => void world.stop());
  const { manager, serviceNow, adfs } = world.addresses;
  const addresses = [
    ['manager', manager],
    ['ServiceNow (fake)', serviceNow],
    ['AD FS (fake)', adfs],
    ['delegate eu-1', `${packageVersion()}, process ${world.delegate.pid}`],
    ['delegate old-1', `${OLD_VERSION}, process ${world.oldDelegate.pid}`],
  ] as const;
  for (const line of addressLines(addresses, terminal)) tell(line);
  tell();
  await tellStory(world, (text = '') => {
    for (const line of indented(text, terminal)) tell(line);
  });

  tell('5. The end: SIGTERM to everybody');
  const codes = await world.stop();
  tell(
    `   ${Object.entries(codes)
      .map(([name, code]) => `${name} ${code}`)
      .join(', ')}`,
  );
  const clean = Object.values(codes).every((code) => code === 0);
  tell(clean ? '   Every process ended with 0.' : '   A process did not end with 0.');
  tell();
  const more = `To play with it yourself: servicenow-delegate dev. Its last lines show status and doctor at work.`;
  for (const line of hanging('', more, terminal.width)) tell(line);
  return clean ? 0 : 1;
}

/** Wrapped below its own indentation. */
function indented(text: string, { width }: Terminal): string[] {
  const indent = /^ */.exec(text)?.[0] ?? '';
  return hanging(indent, text, width);
}
