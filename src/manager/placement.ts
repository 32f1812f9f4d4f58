import type { WireError } from '../kit/errors.ts';
import type { DelegateIdentity, RejectCode, TaskEffect } from '../protocol/messages.ts';
import { managerError, REFUSAL_ERRORS } from './errors.ts';
import { gatesFor, passes, tooOldMessage, type Gate, type Gated } from './gates.ts';
import { affinityScore } from './rendezvous.ts';
import type { Refusal, TaskRecord } from './store.ts';

/** A task type as a delegate declares it. */
interface KnownType {
  readonly name: string;
  readonly version: number;
  readonly effect?: TaskEffect | undefined;
}

/** A connected delegate as the choice sees it. */
export interface Candidate {
  readonly delegate: DelegateIdentity;
  /** In the form of `normalTag`; its name is among them. */
  readonly tags: ReadonlySet<string>;
  readonly tasks: readonly KnownType[];
  readonly capabilities: readonly string[];
  /** Assigns that may be sent now; 0 while it drains or is paused. */
  readonly freeCredit: number;
}

/** What is missing, should the wait end in failure. */
export type Blocked = 'no-delegate' | 'no-capacity';

export type Placement<C extends Candidate> =
  | { readonly kind: 'offer'; readonly candidate: C }
  | { readonly kind: 'wait'; readonly blocked: Blocked }
  | { readonly kind: 'fail'; readonly error: WireError };

type PlacedTask = Pick<TaskRecord, 'name' | 'version' | 'input' | 'selectors' | 'affinity' | 'refusals'>;

interface PlacementHints {
  /** Delegates that asked to be left alone for a while. */
  readonly cooling: (delegateId: string) => boolean;
  /** Rather not asked, though able: how many things speak against it. Somebody else with credit comes first. */
  readonly reluctance: (delegateId: string) => number;
}

/** Selectors and tags are compared trimmed and without regard to case. */
export function normalTag(text: string): string {
  return text.trim().toLowerCase();
}

/**
 * Picks the delegate for a task. Each test looks at one delegate at a time, so one old, full or unwilling
 * delegate never holds back the others.
 */
export function place<C extends Candidate>(
  task: PlacedTask,
  connected: readonly C[],
  hints: PlacementHints,
): Placement<C> {
  const matching = connected.filter((candidate) => hasTags(candidate, task.selectors));
  const refused = new Set(task.refusals.map((refusal) => refusal.holder.delegateId));
  const willing = matching.filter((candidate) => !refused.has(candidate.delegate.id));
  const lastRefusal = task.refusals.at(-1);
  if (willing.length === 0 && lastRefusal === undefined) return { kind: 'wait', blocked: 'no-delegate' };

  const gates = gatesFor(task.input);
  const able = willing.filter(
    (candidate) => knows(candidate, task) && gates.every((gate) => passes(gate, gated(candidate))),
  );
  if (able.length === 0) {
    // Who refused had the tags, the task and the version: why it refused says more than what the others lack.
    const error = lastRefusal === undefined ? unfitError(task, willing, gates) : refusalError(lastRefusal);
    return { kind: 'fail', error };
  }

  const free = able.filter((candidate) => candidate.freeCredit > 0 && !hints.cooling(candidate.delegate.id));
  const [best] = free
    .map((candidate) => ({
      candidate,
      reluctance: hints.reluctance(candidate.delegate.id),
      preference: preferenceFor(task, candidate),
    }))
    .sort((a, b) => a.reluctance - b.reluctance || b.preference - a.preference);
  return best === undefined
    ? { kind: 'wait', blocked: 'no-capacity' }
    : { kind: 'offer', candidate: best.candidate };
}

/** Higher is better: always the same delegate for one affinity, the one with most room for a task without any. */
function preferenceFor({ affinity }: PlacedTask, { delegate, freeCredit }: Candidate): number {
  return affinity === null ? freeCredit : affinityScore(affinity, delegate.id);
}

function hasTags(candidate: Candidate, selectors: readonly string[]): boolean {
  return selectors.every((selector) => candidate.tags.has(normalTag(selector)));
}

/** What the task may do at this delegate, which alone knows its own code (PROTOCOL.md, section 3.1). */
export function effectAt(candidate: Candidate, task: Pick<PlacedTask, 'name' | 'version'>): TaskEffect {
  return typesOf(candidate, task).some(({ effect }) => effect === 'writes') ? 'writes' : 'reads';
}

function typesOf(candidate: Candidate, task: Pick<PlacedTask, 'name' | 'version'>): KnownType[] {
  return candidate.tasks.filter(({ name, version }) => name === task.name && version === task.version);
}

function knows(candidate: Candidate, task: PlacedTask): boolean {
  return typesOf(candidate, task).length > 0;
}

/**
 * Why none of these fits. Gates come first: a delegate from before the feature may not list the task either, and
 * the same upgrade gives it both.
 */
function unfitError(task: PlacedTask, willing: readonly Candidate[], gates: readonly Gate[]): WireError {
  const knowing = willing.filter((candidate) => knows(candidate, task));
  return tooOldError(gates, willing) ?? tooOldError(gates, knowing) ?? unknownTaskError(task, willing);
}

/** Of the first gate that holds back all who came through those before it, if there is one. */
function tooOldError(gates: readonly Gate[], candidates: readonly Candidate[]): WireError | undefined {
  let left = candidates.map(gated);
  for (const gate of gates) {
    const through = left.filter((candidate) => passes(gate, candidate));
    if (through.length === 0 && left.length > 0) {
      return managerError('delegate-too-old', tooOldMessage(gate, left)).toWire();
    }
    left = through;
  }
  return undefined;
}

function gated(candidate: Candidate): Gated {
  return {
    name: candidate.delegate.name,
    version: candidate.delegate.version,
    capabilities: candidate.capabilities,
  };
}

function unknownTaskError(task: PlacedTask, willing: readonly Candidate[]): WireError {
  const names = willing.map(({ delegate }) => `${delegate.name} ${delegate.version}`).join(', ');
  const otherVersions = new Set(
    willing.flatMap((candidate) =>
      candidate.tasks.filter((known) => known.name === task.name).map((known) => known.version),
    ),
  );
  const known = [...otherVersions].sort((a, b) => a - b).join(', ');
  const error =
    otherVersions.size > 0
      ? managerError(
          'unsupported-version',
          `No connected delegate knows version ${task.version} of ${task.name}, only ${known}; connected: ${names}`,
        )
      : managerError(
          'unknown-task',
          `No connected delegate knows the task ${task.name}; connected: ${names}`,
        );
  return error.toWire();
}

/** What the delegate said, with its name before it. */
export function refusalError({ holder, code, message }: Refusal): WireError {
  return managerError(
    code,
    `Delegate ${holder.name} (${holder.version}) refused the task: ${message}`,
  ).toWire();
}

/** Whether asking the same delegate again can't change its answer. */
export function isFinalRefusal(code: RejectCode): boolean {
  return REFUSAL_ERRORS[code].category !== 'unavailable';
}
