import { watchedCalls } from '../../kit/write-steps.ts';
import { credentialsIn } from './credentials.ts';

/** Replaces the key of a state folder, and is killed by its own hand just before the step of that number. */
const [stateDir = '', managerUrl = '', fatalStep = ''] = process.argv.slice(2);
let steps = 0;

const credentials = credentialsIn(stateDir, managerUrl, {
  calls: watchedCalls(() => {
    steps += 1;
    if (steps === Number(fatalStep)) process.kill(process.pid, 'SIGKILL');
  }),
});
await credentials.load();
await credentials.rotate(new AbortController().signal);
