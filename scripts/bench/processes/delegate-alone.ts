import { runDelegate } from '../../../src/cli/run.ts';
import { packageVersion } from '../../../src/config/version.ts';
import { servicenow } from '../../../src/connectors/servicenow/index.ts';

/** `servicenow-delegate run` in which every task makes its own request, as those that it is compared with do. */
process.exitCode = await runDelegate(process.argv.slice(2), packageVersion(), [
  (deps) => servicenow(deps, { gathering: { quietMs: 0, mostMs: 0 } }),
]);
