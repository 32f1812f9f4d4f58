import type { AppendFile, JournalFolder } from '../../../src/delegate/journal/folder.ts';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';

type Call = 'list' | 'read' | 'create' | 'append' | 'sync' | 'rename' | 'remove' | 'sync-folder';

interface Content {
  bytes: Buffer;
  /** How much of it a power cut leaves. */
  synced: number;
}

/** A folder in memory that refuses, stalls, tears and forgets as the test says. */
export class FaultyFolder implements JournalFolder {
  readonly files = new Map<string, Content>();
  readonly calls: Call[] = [];
  /** Calls that fail, with the code of the error. */
  readonly failing = new Map<Call, string>();
  /** A write that fails leaves this part of its bytes. */
  partOfFailedAppend = 0;
  #stall: Deferred<void> | undefined;

  /** From now on nothing answers, until the returned function is called. */
  stall(): () => void {
    const stall = deferred<void>();
    this.#stall = stall;
    return () => {
      this.#stall = undefined;
      stall.resolve();
    };
  }

  fail(code: string, ...calls: Call[]): void {
    for (const call of calls) this.failing.set(call, code);
  }

  heal(): void {
    this.failing.clear();
  }

  /** What was not synced is gone, but for the first bytes of it. */
  cutPower(kept = 0): void {
    for (const content of this.files.values()) {
      content.bytes = content.bytes.subarray(0, content.synced + kept);
      content.synced = content.bytes.length;
    }
  }

  count(call: Call): number {
    return this.calls.filter((one) => one === call).length;
  }

  get names(): string[] {
    return [...this.files.keys()].sort();
  }

  async list(): Promise<string[]> {
    await this.#called('list');
    return [...this.files.keys()];
  }

  async read(name: string): Promise<Buffer> {
    await this.#called('read');
    return Buffer.from(this.#content(name).bytes);
  }

  async create(name: string): Promise<AppendFile> {
    await this.#called('create');
    if (this.files.has(name)) throw systemError('EEXIST');
    const content: Content = { bytes: Buffer.alloc(0), synced: 0 };
    this.files.set(name, content);
    return {
      append: async (bytes) => {
        const refused = this.failing.has('append');
        const kept = refused ? bytes.subarray(0, bytes.length * this.partOfFailedAppend) : bytes;
        content.bytes = Buffer.concat([content.bytes, kept]);
        await this.#called('append');
      },
      sync: async () => {
        await this.#called('sync');
        content.synced = content.bytes.length;
      },
      close: () => Promise.resolve(),
    };
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#called('rename');
    this.files.set(to, this.#content(from));
    this.files.delete(from);
  }

  async remove(name: string): Promise<void> {
    await this.#called('remove');
    this.files.delete(name);
  }

  sync(): Promise<void> {
    return this.#called('sync-folder');
  }

  async #called(call: Call): Promise<void> {
    this.calls.push(call);
    await this.#stall?.promise;
    const code = this.failing.get(call);
    if (code !== undefined) throw systemError(code);
  }

  #content(name: string): Content {
    const content = this.files.get(name);
    if (content === undefined) throw systemError('ENOENT');
    return content;
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the test wants`), { code });
}
