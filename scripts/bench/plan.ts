import type { CompiledProcesses } from './compile.ts';

/** What every part of the bench goes by. */
export interface Plan {
  readonly compiled: CompiledProcesses;
  /** For state folders; on a disk. */
  readonly folder: string;
  /** Of whatever is compared. */
  readonly repetitions: number;
  /** A quick run shows that all works; its numbers say little. */
  readonly quick: boolean;
  /** Told before each step. */
  readonly onStep: (what: string) => void;
  /** For whoever looks for where the time goes. */
  readonly search: Search;
}

export interface Search {
  /** Calls at the same time; all of part a unless given. */
  readonly loads: readonly number[] | undefined;
  /** Contestants of part a; all unless given. */
  readonly contestants: readonly string[] | undefined;
  /** Milliseconds of one measurement of part a. */
  readonly measureMs: number | undefined;
  /** Node's own arguments for the delegate, such as `--cpu-prof`. */
  readonly nodeArguments: readonly string[];
}
