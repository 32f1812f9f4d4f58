import { expect } from 'chai';
import { ConfigurationError } from '../../src/config/errors.ts';
import { loadConfiguration, type Configuration } from '../../src/config/load.ts';

const ENDPOINT = { DELEGATE_TRACES_ENDPOINT: 'https://collector.example.com:4318' };

function configuration(environment: Record<string, string>): Configuration {
  const manager = { DELEGATE_MANAGER_URL: 'https://manager.example.com' };
  return loadConfiguration({ args: [], environment: { ...manager, ...environment } }).configuration;
}

function complaints(environment: Record<string, string>): string {
  try {
    configuration(environment);
  } catch (thrown) {
    if (thrown instanceof ConfigurationError) return thrown.message;
    throw thrown;
  }
  return '';
}

describe('the settings of traces', () => {
  it('switch nothing on by default', () => {
    expect(configuration({}).traces).to.equal(undefined);
  });

  it('need no more than the address of a collector', () => {
    expect(configuration(ENDPOINT).traces).to.deep.equal({
      endpoint: 'https://collector.example.com:4318/v1/traces',
      headersFile: undefined,
      sampleRatio: 1,
      serviceName: 'servicenow-delegate',
      attributes: {},
    });
  });

  it('leave a path as it is', () => {
    const endpoint = 'https://api.example.com/otlp/v1/traces';
    expect(configuration({ DELEGATE_TRACES_ENDPOINT: endpoint }).traces?.endpoint).to.equal(endpoint);
  });

  it('take a share, a name and attributes', () => {
    const { traces } = configuration({
      ...ENDPOINT,
      DELEGATE_TRACES_SAMPLE_RATIO: '0.05',
      DELEGATE_TRACES_SERVICE_NAME: 'snow',
      DELEGATE_TRACES_ATTRIBUTES: 'deployment.environment.name=prod, team=a=b',
      DELEGATE_TRACES_HEADERS_FILE: '/run/secrets/headers',
    });
    expect(traces).to.include({
      sampleRatio: 0.05,
      serviceName: 'snow',
      headersFile: '/run/secrets/headers',
    });
    expect(traces?.attributes).to.deep.equal({ 'deployment.environment.name': 'prod', team: 'a=b' });
  });

  it('keep the file of headers from every secret reference', () => {
    const { ownPlaces } = configuration({
      ...ENDPOINT,
      DELEGATE_TRACES_HEADERS_FILE: '/run/secrets/headers',
    });
    expect(ownPlaces).to.include('/run/secrets/headers');
  });

  it('take plain http for a collector that is near, and headers only if nobody else can read them', () => {
    const plain = { DELEGATE_TRACES_ENDPOINT: 'http://collector.monitoring:4318' };
    const headers = { DELEGATE_TRACES_HEADERS_FILE: '/run/secrets/headers' };
    expect(complaints(plain)).to.equal('');
    expect(complaints({ ...plain, ...headers })).to.contain('plain http beyond loopback');
    expect(complaints({ DELEGATE_TRACES_ENDPOINT: 'http://127.0.0.1:4318', ...headers })).to.equal('');
    expect(complaints(headers)).to.contain('is of no use without traces.endpoint');
  });

  for (const [variable, value, complaint] of [
    ['ENDPOINT', 'collector:4318', 'must be an address'],
    ['ENDPOINT', 'grpc://collector:4317', 'must be an address'],
    ['ENDPOINT', 'https://user:pass@collector.example.com', 'must not hold credentials'],
    ['ENDPOINT', 'https://collector.example.com/?token=x', 'must not have a query'],
    ['SAMPLE_RATIO', '2', 'must be a number from 0 to 1'],
    ['SAMPLE_RATIO', '-0.1', 'must be a number from 0 to 1'],
    ['SAMPLE_RATIO', 'all', 'must be a number from 0 to 1'],
    ['SERVICE_NAME', '', 'must not be empty'],
    ['ATTRIBUTES', 'production', 'each entry must be name=value'],
    ['ATTRIBUTES', 'name=', 'each entry must be name=value'],
    ['ATTRIBUTES', Array.from({ length: 17 }, (_, index) => `a${index}=1`).join(), 'at most 16 entries'],
  ] as const) {
    it(`complain of ${variable} ${value.slice(0, 40)}`, () => {
      const said = complaints({ ...ENDPOINT, [`DELEGATE_TRACES_${variable}`]: value });
      expect(said).to.contain(`DELEGATE_TRACES_${variable}`).and.to.contain(complaint);
    });
  }
});
