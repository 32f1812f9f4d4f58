import { DelegateError, reasonOf } from '../../kit/errors.ts';

/** What is in the state folder is for the delegate's own user alone. */
export const FILE_MODE = 0o600;
export const FOLDER_MODE = 0o700;

/** @param what the file or folder and what can't be done with it, without the full stop */
export function stateFolderUnusable(what: string, cause: unknown): DelegateError {
  return new DelegateError('state-folder-unusable', `${what} (${reasonOf(cause)}).`, {
    category: 'internal',
    hint: 'Give the user that the delegate runs as a state folder that it may read and write (DELEGATE_STATE_DIR).',
    cause,
  });
}
