import { writeDurably } from '../../src/kit/durable-file.ts';
import { watchedCalls } from './write-steps.ts';

/** Rewrites a file, and is killed by its own hand just before the step that it is told. */
const [path = '', content = '', fatalStep] = process.argv.slice(2);

await writeDurably(
  path,
  content,
  { mode: 0o600, folderMode: 0o700 },
  watchedCalls((step) => {
    if (step === fatalStep) process.kill(process.pid, 'SIGKILL');
  }),
);
