import type { AppendFile, AuditFolder, ListedFile } from '../../../src/observability/audit/folder.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';

/** The folder of an audit log, as the test would have it. */
export class MemoryFolder extends FaultyFiles<'append-to' | 'rewrite'> implements AuditFolder {
  /** Of the files that hold the log, oldest first. */
  override get names(): string[] {
    return super.names.filter((name) => name.endsWith('.ndjson'));
  }

  get bytes(): number {
    return this.names.reduce((sum, name) => sum + this.contentOf(name).bytes.length, 0);
  }

  /** The whole log, oldest line first. */
  get text(): string {
    return this.names.map((name) => this.textOf(name)).join('');
  }

  textOf(name: string): string {
    return this.contentOf(name).bytes.toString('utf8');
  }

  copy(): MemoryFolder {
    const copy = new MemoryFolder();
    for (const [name, { bytes }] of this.files) copy.put(name, bytes);
    return copy;
  }

  async list(): Promise<readonly ListedFile[]> {
    await this.called('list');
    return Array.from(this.files, ([name, { bytes }]) => ({ name, bytes: bytes.length }));
  }

  async append(name: string): Promise<AppendFile> {
    await this.called('append-to');
    return this.appendTo(this.files.get(name) ?? this.newFile(name));
  }

  async rewrite(name: string, at: number, bytes: Uint8Array): Promise<void> {
    await this.called('rewrite');
    const content = this.files.get(name) ?? this.newFile(name);
    content.bytes = Buffer.concat([content.bytes.subarray(0, at), bytes]);
  }
}
