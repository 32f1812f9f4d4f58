import { z } from 'zod';
import type { Json } from '../protocol/messages.ts';
import { buildNumber } from '../protocol/version.ts';

/** What a delegate must be able to do before a task with this setting may be sent to it (PROTOCOL.md, section 4). */
export interface Gate {
  /** How people call the feature; the first words of the message. */
  readonly feature: string;
  /** Value of the connector's `auth.type` that asks for it. */
  readonly authType: string;
  readonly minBuild: number;
  readonly capability: string;
}

export const GATES: readonly Gate[] = [
  {
    feature: 'OIDC refresh token',
    authType: 'RefreshTokenGrantType',
    minBuild: 79_900,
    capability: 'servicenow.auth.RefreshTokenGrantType',
  },
];

export interface Gated {
  readonly name: string;
  readonly version: string;
  readonly capabilities: readonly string[];
}

const connectorInput = z.object({
  connector: z.object({ spec: z.object({ auth: z.object({ type: z.string() }) }) }),
});

/** The gates that a task with this input stands before. */
export function gatesFor(input: Json, gates: readonly Gate[] = GATES): readonly Gate[] {
  const read = connectorInput.safeParse(input);
  if (!read.success) return [];
  return gates.filter((gate) => gate.authType === read.data.connector.spec.auth.type);
}

export function passes(gate: Gate, delegate: Gated): boolean {
  return isNewEnough(gate, delegate) && delegate.capabilities.includes(gate.capability);
}

/** One sentence naming the requirement and every candidate that misses it, with its version. */
export function tooOldMessage(gate: Gate, candidates: readonly Gated[]): string {
  const connected = candidates.map(({ name, version }) => `${name} ${version}`).join(', ');
  const build = `delegate build ${gate.minBuild} or higher`;
  // A new enough delegate without the capability was built without it: the build number alone would mislead.
  const needs = candidates.some((candidate) => isNewEnough(gate, candidate))
    ? `${build} with the capability ${gate.capability}`
    : build;
  return `${gate.feature} needs ${needs}; connected: ${connected}`;
}

function isNewEnough(gate: Gate, delegate: Gated): boolean {
  return (buildNumber(delegate.version) ?? 0) >= gate.minBuild;
}
