import { reasonOf, type DelegateError } from '../../kit/errors.ts';
import { delegateError } from '../errors.ts';

/** What is in the state folder is for the delegate's own user alone. */
export const FILE_MODE = 0o600;
export const FOLDER_MODE = 0o700;

/** @param what the file or folder and what can't be done with it, without the full stop */
export function stateFolderUnusable(what: string, cause: unknown): DelegateError {
  return delegateError('state-folder-unusable', `${what} (${reasonOf(cause)}).`, { cause });
}
