import { packageVersion } from '../config/version.ts';
import { tellStory } from '../dev/story.ts';
import { OLD_VERSION } from '../dev/world.ts';
import { onStopSignals } from './signals.ts';
import { openWorld } from './world.ts';

/** `npm run demo`: the whole world, a story, and an end. Exit code 0 only if everything went as told. */
export async function demo(args: readonly string[]): Promise<0 | 1> {
  const tell = (line = ''): void => void process.stdout.write(`${line}\n`);
  tell('ServiceNow delegate: every process of the world on this machine, over real sockets');
  tell();
  await using world = await openWorld(args);
  using _signals = onStopSignals(() => void world.stop());
  const { manager, serviceNow, adfs } = world.addresses;
  tell(`   manager            ${manager}`);
  tell(`   ServiceNow (fake)  ${serviceNow}`);
  tell(`   AD FS (fake)       ${adfs}`);
  tell(`   delegate eu-1      ${packageVersion()}, process ${world.delegate.pid}`);
  tell(`   delegate old-1     ${OLD_VERSION}, process ${world.oldDelegate.pid}`);
  tell();
  await tellStory(world, tell);

  tell('5. The end: SIGTERM to everybody');
  const codes = await world.stop();
  tell(
    `   ${Object.entries(codes)
      .map(([name, code]) => `${name} ${code}`)
      .join(', ')}`,
  );
  const clean = Object.values(codes).every((code) => code === 0);
  tell(clean ? '   Every process ended with 0.' : '   A process did not end with 0.');
  return clean ? 0 : 1;
}
