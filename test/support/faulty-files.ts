import { deferred, type Deferred } from '../../src/kit/flow.ts';

interface Content {
  bytes: Buffer;
  /** What a power cut leaves. */
  synced: Buffer;
}

/** What every folder of append-only files is asked. */
type CommonCall = 'list' | 'read' | 'append' | 'sync' | 'remove' | 'sync-folder';

/** A folder in memory that refuses, stalls, tears and forgets as the test says; how files begin is its owner's. */
export abstract class FaultyFiles<OwnCall extends string> {
  readonly files = new Map<string, Content>();
  readonly calls: (CommonCall | OwnCall)[] = [];
  /** Calls that fail, with the code of the error. */
  readonly failing = new Map<CommonCall | OwnCall, string>();
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

  fail(code: string, ...calls: (CommonCall | OwnCall)[]): void {
    for (const call of calls) this.failing.set(call, code);
  }

  heal(): void {
    this.failing.clear();
  }

  /** What was not synced is gone, but for the first bytes of what was appended. */
  cutPower(kept = 0): void {
    for (const content of this.files.values()) {
      const appended = content.bytes.subarray(content.synced.length);
      content.bytes = Buffer.concat([content.synced, appended.subarray(0, kept)]);
      content.synced = content.bytes;
    }
  }

  count(call: CommonCall | OwnCall): number {
    return this.calls.filter((one) => one === call).length;
  }

  get names(): string[] {
    return [...this.files.keys()].sort();
  }

  /** A file that is on the disk as it stands, whoever wrote it. */
  put(name: string, content: string | Buffer): void {
    const bytes = Buffer.from(content);
    this.files.set(name, { bytes, synced: bytes });
  }

  async read(name: string): Promise<Buffer> {
    await this.called('read');
    return Buffer.from(this.contentOf(name).bytes);
  }

  async remove(name: string): Promise<void> {
    await this.called('remove');
    this.files.delete(name);
  }

  sync(): Promise<void> {
    return this.called('sync-folder');
  }

  protected appendTo(content: Content) {
    return {
      append: async (bytes: Uint8Array): Promise<void> => {
        const refused = this.failing.has('append');
        const kept = refused ? bytes.subarray(0, bytes.length * this.partOfFailedAppend) : bytes;
        content.bytes = Buffer.concat([content.bytes, kept]);
        await this.called('append');
      },
      sync: async (): Promise<void> => {
        await this.called('sync');
        content.synced = content.bytes;
      },
      close: () => Promise.resolve(),
    };
  }

  protected newFile(name: string): Content {
    const content: Content = { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) };
    this.files.set(name, content);
    return content;
  }

  protected contentOf(name: string): Content {
    const content = this.files.get(name);
    if (content === undefined) throw systemError('ENOENT');
    return content;
  }

  protected async called(call: CommonCall | OwnCall): Promise<void> {
    this.calls.push(call);
    await this.#stall?.promise;
    const code = this.failing.get(call);
    if (code !== undefined) throw systemError(code);
  }
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the test wants`), { code });
}
