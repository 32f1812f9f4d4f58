import { PASSWORDS } from '../../../../src/dev/fake-servicenow/index.ts';
import { connectorTo, surroundings, taskContext, tasksOf } from '../../../support/servicenow.ts';

/** Tests the connector for the URL in its argument, and prints the report. Run by `validate.test.ts`. */
const [url = ''] = process.argv.slice(2);
const around = surroundings();
around.secrets.set('password', PASSWORDS.svc_deploy);
const auth = { type: 'UsernamePassword', spec: { username: 'svc_deploy', passwordRef: 'test:password' } };
const prepared = tasksOf(around.deps).validate.prepare({ connector: connectorTo(url, auth) });
process.stdout.write(JSON.stringify(await prepared.run(taskContext())));
await around.close();
