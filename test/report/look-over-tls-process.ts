import { wrap } from '../../src/kit/errors.ts';
import { connectorTo, QUESTION, surroundings, taskContext, tasksOf } from '../support/servicenow.ts';

/** Runs the task in its first argument for the URL in its second, and prints how it ended. See `look-over-tls.ts`. */
const [name = '', url = ''] = process.argv.slice(2);
const around = surroundings();
around.secrets.set('password', 'any');
const auth = { type: 'UsernamePassword', spec: { username: 'svc_deploy', passwordRef: 'test:password' } };
const { check, validate } = tasksOf(around.deps);
const prepared =
  name === 'check'
    ? check.prepare({ connector: connectorTo(url, auth), ...QUESTION })
    : validate.prepare({ connector: connectorTo(url, auth) });
const ending = await prepared.run(taskContext({ timeMs: 2_900 })).then(
  (output) => ({ output }),
  (thrown: unknown) => ({ error: wrap(thrown).toWire() }),
);
process.stdout.write(JSON.stringify(ending));
await around.close();
