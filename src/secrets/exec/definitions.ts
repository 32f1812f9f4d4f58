import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parse as parseYaml, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { DelegateError, systemCode } from '../../kit/errors.ts';
import { secretError } from '../errors.ts';
import { invalidLocator, secretNotFound } from '../provider.ts';
import { MAX_SECRET_BYTES } from '../text-file.ts';
import { assertTrustedFile, assertTrustedWay } from './trusted-way.ts';

const MAX_FILE_BYTES = 65_536;
const MAX_COMMANDS = 100;
const MAX_ARGUMENTS = 64;
const DEFAULT_TIMEOUT_MS = 10_000;
/** Less than a read may take with its wait for a turn. */
const MAX_TIMEOUT_MS = 15_000;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** A NUL would end an argument early. */
const argument = z
  .string()
  .max(4_096)
  .regex(/^[^\0]*$/, 'must not hold a NUL');

const commandSchema = z.strictObject({
  command: z
    .tuple([argument.regex(/^\/[^/]/, 'must begin with the absolute path of a program')], argument)
    .refine((words) => words.length <= MAX_ARGUMENTS, `must have at most ${MAX_ARGUMENTS} words`),
  timeoutMs: z.number().int().min(100).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS),
  maxBytes: z.number().int().min(1).max(MAX_SECRET_BYTES).default(MAX_SECRET_BYTES),
  /** Variables of the delegate that the command gets; none of its own, where its secrets are. */
  environment: z
    .array(
      z
        .string()
        .regex(
          /^(?!DELEGATE_)[A-Za-z_][A-Za-z0-9_]{0,127}$/,
          'must be names of variables, none of them DELEGATE_…',
        ),
    )
    .max(32)
    .default([]),
});

const fileSchema = z
  .record(z.string().regex(NAME), commandSchema)
  .refine(
    (commands) => Object.keys(commands).length <= MAX_COMMANDS,
    `must have at most ${MAX_COMMANDS} commands`,
  );

/** One command, as the operator has defined it. */
export type ExecCommand = z.output<typeof commandSchema>;

/**
 * The command of a name, from the operator's file as it is now. Rejects with `exec-secrets-file-refused` for a file that
 * somebody else could have written: whoever writes it runs programs as the delegate, and reads its secrets.
 */
export async function readCommand(path: string, name: string): Promise<ExecCommand> {
  if (!NAME.test(name)) {
    throw invalidLocator(
      'exec:…',
      'give the name of a command of DELEGATE_EXEC_SECRETS_FILE, and no arguments',
    );
  }
  const commands = parseCommands(await readSafely(path));
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    throw secretNotFound(
      `exec:${name}`,
      `DELEGATE_EXEC_SECRETS_FILE defines no command ${name}.`,
      'Define it there, or correct the reference.',
    );
  }
  await assertProgram(command.command[0]);
  return command;
}

async function readSafely(path: string): Promise<string> {
  try {
    await assertTrustedWay(resolve(path), refused);
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = await file.stat();
    assertTrustedFile(found, 'the file', refused);
    if (found.size > MAX_FILE_BYTES) throw refused(`it has over ${MAX_FILE_BYTES} bytes`);
    return await file.readFile('utf8');
  } catch (thrown) {
    if (thrown instanceof DelegateError) throw thrown;
    throw refused(`it cannot be read (${systemCode(thrown) ?? 'unknown'})`, thrown);
  }
}

async function assertProgram(path: string): Promise<void> {
  try {
    await assertTrustedWay(path, refused);
    assertTrustedFile(await stat(path), `the program ${path}`, refused);
  } catch (thrown) {
    if (thrown instanceof DelegateError) throw thrown;
    throw refused(`the program ${path} cannot be had (${systemCode(thrown) ?? 'unknown'})`, thrown);
  }
}

function parseCommands(text: string): z.output<typeof fileSchema> {
  let contents: unknown;
  try {
    contents = parseYaml(text, { logLevel: 'error' });
  } catch (thrown) {
    const [at] = thrown instanceof YAMLParseError ? (thrown.linePos ?? []) : [];
    const where = at === undefined ? '' : `, at line ${at.line}, column ${at.col}`;
    // The parser's own words quote the file, where somebody may have put a password.
    throw refused(`it is not valid YAML or JSON${where}`);
  }
  const read = fileSchema.safeParse(contents);
  if (read.success) return read.data;
  const complaints = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw refused(`it is not a list of commands: ${complaints.slice(0, 5).join('; ')}`);
}

function refused(why: string, cause?: unknown): DelegateError {
  return secretError('exec-secrets-file-refused', `DELEGATE_EXEC_SECRETS_FILE is not used: ${why}.`, {
    cause,
  });
}
