import type { AttackGroup } from '../attack.ts';
import { ANSWERS } from './answers.ts';
import { CONVERSATION } from './conversation.ts';
import { DESTINATIONS } from './destinations.ts';
import { FRAMES } from './frames.ts';
import { MIRRORS } from './mirrors.ts';
import { NETWORK } from './network.ts';
import { QUESTIONS } from './questions.ts';
import { REFERENCES } from './references.ts';
import { SIGNATURES } from './signatures.ts';

/** Everything that is tried. */
export const ATTACKS: readonly AttackGroup[] = [
  DESTINATIONS,
  NETWORK,
  ANSWERS,
  MIRRORS,
  REFERENCES,
  QUESTIONS,
  SIGNATURES,
  FRAMES,
  CONVERSATION,
];
