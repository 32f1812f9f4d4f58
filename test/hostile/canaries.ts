import { piecesIn } from '../leaks/finder.ts';

/** Every secret that a delegate of these tests can get at. None of them is anybody's word. */
export const CANARIES = {
  PASSWORD: 'canary-Passw0rd/with+signs=&<é>',
  CLIENT_ID: 'canary-client-id-51c7',
  CLIENT_SECRET: 'canary-client-secret-8f20aa',
  REFRESH_TOKEN: 'canary-refresh-token-3b9d77',
  ACCESS_TOKEN: 'canary-access-token-of-the-token-server-6e',
  FILE: 'canary-in-a-file-77c1e0',
  VAULT: 'canary-in-the-vault-9d41b8',
  VAULT_TOKEN: 'canary-token-for-the-vault-2e6f05',
  VAULT_OTHER: 'canary-in-the-vault-of-others-c0d3',
  COMMAND: 'canary-of-a-command-5510fe',
  ENROLMENT_TOKEN: 'canary-enrolment-token-0c41',
  STATE_KEY: Buffer.from('canary state key of thirty-two b').toString('base64'),
  OUTSIDE: 'canary-outside-the-secrets-folder-19aa',
  OTHER_VARIABLE: 'canary-in-another-variable-42f0',
} as const;

const PIECE_CHARS = 14;

/** Of each canary, its beginning and its end: half a secret is one, too. */
const PIECES: ReadonlyMap<string, string> = new Map(
  Object.entries(CANARIES).flatMap(([name, value]) => [
    [value.slice(0, PIECE_CHARS), name],
    [value.slice(-PIECE_CHARS), name],
  ]),
);

/** The names of the canaries of which a text holds a piece, in whatever encoding. */
export function canariesIn(text: string): string[] {
  const names = piecesIn(text, [...PIECES.keys()]).map((piece) => PIECES.get(piece) ?? piece);
  return [...new Set(names)];
}
