import { parseArgs } from 'node:util';
import { say } from './arguments.ts';
import { makeBundle } from './bundle/make.ts';

/**
 * `npm run bundle`: the program as one file, with what it loads only when it is configured beside it.
 *
 *   npm run bundle -- [--out FOLDER] [--clients include|omit]
 */
const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'bundle' },
    clients: { type: 'string', default: 'include' },
  },
});
if (values.clients !== 'include' && values.clients !== 'omit') {
  throw new TypeError(`--clients takes include or omit, not ${values.clients}`);
}
const { files, packages } = await makeBundle({ folder: values.out, clients: values.clients });
for (const { path, bytes } of files) say(`${String(bytes).padStart(9)}  ${path}`);
say(`of ${packages} packages; their licenses are in THIRD-PARTY-NOTICES`);
