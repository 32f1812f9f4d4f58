import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { compose } from '../../src/compose.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import type { DefineConnector, TaskType } from '../../src/connectors/connector.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { inputHash } from '../../src/protocol/task-signature.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { ScriptedManager, type ScriptedConnection } from '../support/scripted-manager.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { until, within } from '../support/until.ts';

interface Pair {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: object;
}

function newPair(kid: string): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid } };
}

const echo: TaskType = {
  name: 'test.echo',
  version: 1,
  effect: 'reads',
  prepare: (input) => ({ run: () => Promise.resolve(input) }),
};
const defineEcho: DefineConnector = () => ({ capabilities: [], tasks: [echo] });

describe("the task-signing keys in the operator's file", () => {
  const tempDir = tempDirs();
  leavesNothingOpen();

  let taskNumber = 0;

  /** How the next task ends that this key has signed. */
  async function fateOf(connection: ScriptedConnection, { kid, privateKey }: Pair): Promise<string> {
    taskNumber += 1;
    const ref = { taskId: `t-${taskNumber}`, attempt: 1 };
    const iat = Math.floor(Date.now() / 1_000);
    const claims = {
      ...ref,
      name: echo.name,
      version: 1,
      delegateId: 'dlg-1',
      inputHash: inputHash({}),
      iat,
      exp: iat + 60,
    };
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'EdDSA', kid })}.${part(claims)}`;
    const signature = `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`;
    connection.assign(ref, echo.name, { signature });
    const answer = (): string | undefined =>
      connection.all('task.result').find(({ taskId }) => taskId === ref.taskId)?.outcome ??
      connection.all('task.reject').find(({ taskId }) => taskId === ref.taskId)?.code;
    await until('an answer', () => answer() !== undefined);
    return answer() ?? '';
  }

  it('are taken up anew when it changes; a file that is no good changes nothing, and is told', async () => {
    const [one, two] = [newPair('k-1'), newPair('k-2')];
    const folder = await tempDir();
    const file = join(folder, 'keys.json');
    const publish = (...pairs: Pair[]) =>
      writeFile(file, JSON.stringify({ keys: pairs.map(({ jwk }) => jwk) }));
    await publish(one);
    await using manager = await ScriptedManager.start();
    const environment = {
      DELEGATE_MANAGER_URL: manager.url,
      DELEGATE_ENROLMENT_TOKEN: 'enrolment-token-for-tests',
      DELEGATE_STATE_DIR: join(folder, 'state'),
      DELEGATE_HTTP_PORT: '0',
      DELEGATE_TASK_SIGNING_KEYS_FILE: file,
      DELEGATE_REQUIRE_SIGNED_TASKS: 'true',
    };
    const { configuration, enrolmentToken, stateKey } = loadConfiguration({ args: [], environment });
    const lines: string[] = [];
    const redactor = new Redactor();
    const destination = { write: (line: string) => void lines.push(line) };
    const log = await createLogger({ level: 'info', format: 'json', redactor, destination });
    await using composed = await compose({
      errorCodes: new Set(),
      logLinesLost: () => 0,
      configuration,
      enrolmentToken,
      stateKey,
      environment: {},
      version: '26.11.90100',
      log,
      redactor,
      connectors: [defineEcho],
      clock: systemClock,
    });
    const run = composed.delegate.run();
    const session = await manager.nextSession();
    /** Once the file has been looked at again. */
    const becomes = async (pair: Pair, fate: string): Promise<void> => {
      while ((await fateOf(session, pair)) !== fate);
    };

    expect(await fateOf(session, one)).to.equal('succeeded');
    expect(await fateOf(session, two)).to.equal('bad-signature');
    await publish(one, two);
    await becomes(two, 'succeeded');
    expect(await fateOf(session, one)).to.equal('succeeded');
    await writeFile(file, '{"keys":[');
    await until('it is told', () => {
      void fateOf(session, one);
      return lines.some((line) => line.includes('"level":"error"') && line.includes('last good'));
    });
    expect(await fateOf(session, one)).to.equal('succeeded');
    await publish(two);
    await becomes(one, 'bad-signature');
    expect(await fateOf(session, two)).to.equal('succeeded');

    await composed.delegate.stop('the test is over', 0);
    await within('run to end', run);
  }).timeout(15_000);
});
