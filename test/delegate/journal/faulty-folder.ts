import type { AppendFile, JournalFolder } from '../../../src/delegate/journal/folder.ts';
import { FaultyFiles, systemError } from '../../support/faulty-files.ts';

/** The folder of a journal, as the test would have it. */
export class FaultyFolder extends FaultyFiles<'create' | 'rename'> implements JournalFolder {
  async list(): Promise<string[]> {
    await this.called('list');
    return [...this.files.keys()];
  }

  async create(name: string): Promise<AppendFile> {
    await this.called('create');
    if (this.files.has(name)) throw systemError('EEXIST');
    return this.appendTo(this.newFile(name));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.called('rename');
    this.files.set(to, this.contentOf(from));
    this.files.delete(from);
  }
}
