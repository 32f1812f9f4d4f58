import { expect } from 'chai';
import nock from 'nock';
import { z } from 'zod';
import { JsonApi } from '../../src/dev/json-api.ts';

// Importing nock patches `fetch` and `node:http` at once; the other files of this process want the real ones.
nock.restore();

const ORIGIN = 'http://api.invalid';

describe('a JSON API', () => {
  before(() => {
    nock.activate();
    nock.disableNetConnect();
  });

  after(() => {
    nock.cleanAll();
    nock.enableNetConnect();
    nock.restore();
  });

  afterEach(() => expect(nock.pendingMocks()).to.deep.equal([]));

  it('is called with the bearer and a JSON body, and its answer is decoded before use', async () => {
    nock(ORIGIN, { reqheaders: { authorization: 'Bearer token', 'content-type': 'application/json' } })
      .post('/things', { name: 'one' })
      .reply(201, { id: 'thing-1', more: true });
    const answer = await new JsonApi(ORIGIN, 'token').post(
      '/things',
      { name: 'one' },
      z.object({ id: z.string() }),
    );
    expect(answer).to.deep.equal({ id: 'thing-1' });
  });

  it('without a bearer and a body is called with neither', async () => {
    nock(ORIGIN, { badheaders: ['authorization', 'content-type'] })
      .get('/things')
      .reply(200, []);
    expect(await new JsonApi(ORIGIN).get('/things', z.array(z.unknown()))).to.deep.equal([]);
  });

  it('that answers nothing gives undefined', async () => {
    nock(ORIGIN).post('/things').reply(204);
    expect(await new JsonApi(ORIGIN).post('/things', undefined, z.undefined())).to.equal(undefined);
  });

  it('that refuses is an error with its status and its words', async () => {
    nock(ORIGIN).get('/things').reply(404, { error: 'no such thing' });
    const refused = await new JsonApi(ORIGIN).get('/things', z.unknown()).catch((error: unknown) => error);
    expect(refused).to.include({ code: 'api-refused', status: 404 });
    expect(refused).to.have.property('message').that.contains('GET /things').and.contains('no such thing');
  });

  it('that answers another shape is an error, not a value', async () => {
    nock(ORIGIN).get('/things').reply(200, { id: 7 });
    const refused = await new JsonApi(ORIGIN)
      .get('/things', z.object({ id: z.string() }))
      .catch((e: unknown) => e);
    expect(refused).to.be.instanceOf(z.ZodError);
  });
});
