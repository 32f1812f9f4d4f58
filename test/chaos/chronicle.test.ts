import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { EnrolmentTokenRecord } from '../../src/manager/store.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { openChronicle, readChronicle } from './chronicle.ts';

function tokenOf(id: string): EnrolmentTokenRecord {
  return {
    id,
    label: 'für eu-1',
    sha256: '',
    singleUse: true,
    expiresAt: null,
    createdAt: '2026-11-23T13:10:35.000Z',
    usedBy: null,
    uses: 0,
  };
}

describe('the chronicle of a manager', () => {
  const makeFolder = tempDirs();
  leavesNothingOpen();

  it('gives the next life what the one before has kept, and nothing that it has deleted', async () => {
    const path = join(await makeFolder(), 'chronicle');
    using first = openChronicle(path);
    const { enrolmentTokens } = first.store;
    enrolmentTokens.put('a', tokenOf('a'));
    enrolmentTokens.put('b', tokenOf('b'));
    enrolmentTokens.delete('a');
    enrolmentTokens.put('b', { ...tokenOf('b'), uses: 1 });
    using second = openChronicle(path);
    expect([...second.store.enrolmentTokens.values()]).to.deep.equal([{ ...tokenOf('b'), uses: 1 }]);
    expect(readChronicle(path)).to.have.lengthOf(4);
  });

  it('forgets a record that a kill has cut in two, and goes on behind the one before', async () => {
    const path = join(await makeFolder(), 'chronicle');
    using first = openChronicle(path);
    first.store.enrolmentTokens.put('a', tokenOf('a'));
    appendFileSync(path, '{"kind":"put","in":"enrolmentTokens","id":"b","rec');
    using second = openChronicle(path);
    second.store.enrolmentTokens.put('c', tokenOf('c'));
    using third = openChronicle(path);
    expect([...third.store.enrolmentTokens.values()].map(({ id }) => id)).to.deep.equal(['a', 'c']);
  });
});
