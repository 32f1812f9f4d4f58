import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { journalFolder } from '../../../delegate/journal/folder.ts';
import { loadJournal } from '../../../delegate/journal/load.ts';
import { stateKeyOf } from '../../../delegate/state/identity-file.ts';
import { stateKeyFrom } from '../../../delegate/state/state-key.ts';
import { FOLDER_MODE } from '../../../delegate/state/state-folder.ts';
import { reasonOf, systemCode } from '../../../kit/errors.ts';
import { strangerTo } from '../../state-folder-user.ts';
import { fail, pass, skip, warn, type Finding } from '../finding.ts';
import type { Patient } from '../patient.ts';
import { nearestFolder } from './folders.ts';

const GROUPS_BITS = 0o070;
const EVERYBODYS_BITS = 0o007;

/** Whose the state folder is, and whether this user may write there. Nothing is written to find that out. */
export async function checkState(stateDir: string): Promise<Finding> {
  const chown =
    'Give the folder to the user of the delegate (chown, fsGroup), or name another one in DELEGATE_STATE_DIR.';
  const facts = await stat(stateDir).catch((thrown: unknown) => {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  });
  const folder = facts === undefined ? await nearestFolder(stateDir) : stateDir;
  if (facts?.isDirectory() === false) {
    return fail(`The state folder ${stateDir} is a file.`, 'Name a folder in DELEGATE_STATE_DIR.');
  }
  try {
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (thrown) {
    const why = reasonOf(thrown);
    const isReadOnly = why === 'EROFS';
    return fail(
      `This user may not write in ${folder} (${why}).`,
      isReadOnly ? 'Mount a volume that can be written at DELEGATE_STATE_DIR.' : chown,
    );
  }
  if (facts === undefined)
    return pass(`${stateDir} is not there yet; the first start makes it in ${folder}.`);
  const complaint = await strangerTo(stateDir);
  if (complaint !== undefined)
    return fail(`The state folder ${stateDir} is another user's.`, `${capital(complaint)}.`);
  if ((facts.mode & (isByGroup(facts) ? EVERYBODYS_BITS : GROUPS_BITS | EVERYBODYS_BITS)) !== 0) {
    return warn(
      `Others than the delegate's user may look into the state folder ${stateDir} (mode ${octal(facts.mode)}).`,
      `chmod ${octal(FOLDER_MODE)} ${stateDir}; what is in the files stays closed to them in any case.`,
    );
  }
  return pass(`${stateDir} is this user's, and can be written.`);
}

/**
 * Whether its group's bits are how a volume was given to this user, rather than an oversight: Kubernetes leaves it root's
 * and gives it by `fsGroup`; the image gives it to group 0, whom OpenShift runs it as.
 */
function isByGroup({ uid, gid }: { readonly uid: number; readonly gid: number }): boolean {
  return uid !== process.getuid?.() || gid === 0;
}

/** Whether a delegate runs on the state folder. Both are in order: it decides what else can be looked at. */
export async function checkRunning(patient: Patient): Promise<Finding> {
  const { stateDir } = patient.configuration;
  const { is, record } = await patient.lock();
  const owner = record === undefined ? 'a process' : `process ${record.pid} on host ${record.hostName}`;
  switch (is) {
    case 'free':
      return pass('No delegate runs on the state folder.');
    case 'alive':
      return pass(
        `A delegate runs on the state folder: ${owner}${record === undefined ? '' : `, since ${record.since}`}.`,
      );
    case 'gone':
      return pass(
        `No delegate runs on the state folder; ${owner} did not end in order, and the next start takes over.`,
      );
    case 'silent':
      return warn(
        `${capital(owner)} has locked the state folder ${stateDir}, and shows no sign of life.`,
        'If no delegate runs there any more, start this one: it takes the folder over after 7 s without a sign.',
      );
    default:
      return is satisfies never;
  }
}

/** Whether the journal can be read, and what waits in it. */
export async function checkJournal(patient: Patient): Promise<Finding> {
  const { stateDir, managerUrl } = patient.configuration;
  const [file, { is }] = await Promise.all([patient.identity(), patient.lock()]);
  if (file === undefined) return skip('There is no journal yet.', 'Nothing: the first start makes it.');
  const { stateKey, clock, log } = patient.options;
  const key = stateKeyFrom({ operatorKey: stateKey, identityKey: stateKeyOf(file), managerUrl });
  const { live, segments } = await loadJournal(journalFolder(stateDir), key, log, clock.now());
  const { begun, finished } = live.recovered();
  const waiting = `${count(finished.length, 'result waits', 'results wait')} for the manager, and ${count(begun.length, 'task has', 'tasks have')} begun.`;
  // Beside a delegate that writes, a segment may end in the middle of a record, or be gone before it is read.
  const odd = segments.filter(
    ({ condition }) =>
      condition !== 'sound' && condition !== 'torn' && !(is === 'alive' && condition === 'unreadable'),
  );
  if (odd.length === 0) return pass(`The journal can be read: ${waiting}`);
  const otherKey = odd.some(({ condition }) => condition === 'other-key');
  return fail(
    `A part of the journal cannot be read; of what can be, ${waiting}`,
    otherKey
      ? 'Give the state key that it was written with (DELEGATE_STATE_KEY or its file), or the manager address of then.'
      : 'Look for what the system log says of the disk; the delegate sets the part aside and goes on with the rest.',
    odd.map(({ name, condition }) => `${name}: ${condition}`),
  );
}

function count(number: number, one: string, more: string): string {
  return `${number === 0 ? 'no' : number} ${number === 1 ? one : more}`;
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
