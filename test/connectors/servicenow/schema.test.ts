import { expect } from 'chai';
import { parseInput } from '../../../src/connectors/connector.ts';
import { connectorSchema, type ConnectorSettings } from '../../../src/connectors/servicenow/schema.ts';
import { DelegateError } from '../../../src/kit/errors.ts';
import {
  connectorTo,
  surroundings,
  tasksOf,
  type AuthInput,
  type Surroundings,
} from '../../support/servicenow.ts';

const URL_OF_INSTANCE = 'https://example.service-now.com';

const basic = (spec: Record<string, unknown>): AuthInput => ({ type: 'UsernamePassword', spec });
const BASIC = basic({ username: 'svc', passwordRef: 'env:PASSWORD' });
const ADFS: AuthInput = {
  type: 'AdfsClientCredentialsWithCertificate',
  spec: {
    resourceIdRef: 'env:RESOURCE',
    clientIdRef: 'env:CLIENT',
    certificateRef: 'env:CERTIFICATE',
    privateKeyRef: 'env:KEY',
    adfsUrl: 'https://adfs.example.com',
  },
};
const REFRESH: AuthInput = {
  type: 'RefreshTokenGrantType',
  spec: {
    clientIdRef: 'env:CLIENT',
    refreshTokenRef: 'env:REFRESH',
    tokenUrl: 'https://login.example.com/token',
  },
};

const parse = (connector: unknown): ConnectorSettings => parseInput(connectorSchema, connector);

const complaint = (connector: unknown): string => {
  try {
    parse(connector);
  } catch (thrown) {
    if (!(thrown instanceof DelegateError)) throw thrown;
    expect(thrown).to.include({ code: 'invalid-input', category: 'invalid-input', retryable: false });
    return thrown.message;
  }
  throw new Error('the connector was accepted');
};

const without = (auth: AuthInput, field: string): AuthInput => ({
  ...auth,
  spec: Object.fromEntries(Object.entries(auth.spec).filter(([name]) => name !== field)),
});

describe('connector settings', () => {
  it('each of the three authentications is accepted with its required fields alone', () => {
    for (const auth of [BASIC, ADFS, REFRESH]) {
      expect(parse(connectorTo(URL_OF_INSTANCE, auth)).spec.auth.type).to.equal(auth.type);
    }
  });

  for (const auth of [ADFS, REFRESH, basic({ username: 'svc', passwordRef: 'env:P' })]) {
    for (const field of Object.keys(auth.spec).filter((name) => name !== 'username')) {
      it(`${auth.type} without ${field} is refused by its path`, () => {
        expect(complaint(connectorTo(URL_OF_INSTANCE, without(auth, field)))).to.contain(
          `spec.auth.spec.${field}: `,
        );
      });
    }
  }

  it('optional: clientSecretRef, scope, tokenType, passphraseRef', () => {
    const refresh = {
      ...REFRESH,
      spec: { ...REFRESH.spec, clientSecretRef: 'env:S', scope: 'a b', tokenType: 'id_token' },
    };
    const adfs = { ...ADFS, spec: { ...ADFS.spec, passphraseRef: 'env:P' } };
    expect(parse(connectorTo(URL_OF_INSTANCE, refresh)).spec.auth.spec).to.deep.include({
      clientSecretRef: 'env:S',
      scope: 'a b',
      tokenType: 'id_token',
    });
    expect(parse(connectorTo(URL_OF_INSTANCE, adfs)).spec.auth.spec).to.include({ passphraseRef: 'env:P' });
  });

  it('the bearer is the access token unless the id token is chosen', () => {
    expect(parse(connectorTo(URL_OF_INSTANCE, REFRESH)).spec.auth.spec).to.include({
      tokenType: 'access_token',
    });
    const other = { ...REFRESH, spec: { ...REFRESH.spec, tokenType: 'refresh_token' } };
    expect(complaint(connectorTo(URL_OF_INSTANCE, other))).to.contain('spec.auth.spec.tokenType: ');
  });

  describe('user name', () => {
    let around: Surroundings;
    before(() => {
      around = surroundings();
    });
    after(() => around.close());

    // Through a task, since the path that its reader sees begins at the task's input.
    const taskComplaint = (auth: AuthInput): string => {
      try {
        tasksOf(around.deps).validate.prepare({ connector: connectorTo(URL_OF_INSTANCE, auth) });
      } catch (thrown) {
        return thrown instanceof Error ? thrown.message : '';
      }
      throw new Error('the connector was accepted');
    };

    it('both given: the field is named by its path, and what it should be', () => {
      expect(taskComplaint(basic({ username: 'svc', usernameRef: 'env:U', passwordRef: 'env:P' }))).to.equal(
        'connector.spec.auth.spec.username: give either username or usernameRef, not both',
      );
    });

    it('none given: the field is named by its path', () => {
      expect(taskComplaint(basic({ passwordRef: 'env:P' }))).to.equal(
        'connector.spec.auth.spec.username: give either username or usernameRef',
      );
    });

    it('by reference alone is enough', () => {
      const auth = basic({ usernameRef: 'env:U', passwordRef: 'env:P' });
      expect(parse(connectorTo(URL_OF_INSTANCE, auth)).spec.auth.spec).to.deep.equal(auth.spec);
    });
  });

  it('an authentication of another type is refused, with the three that there are', () => {
    const message = complaint(connectorTo(URL_OF_INSTANCE, { type: 'ApiKey', spec: {} }));
    expect(message).to.contain(
      'spec.auth.type: must be UsernamePassword, AdfsClientCredentialsWithCertificate or',
    );
  });

  it('unknown keys do not break an older delegate', () => {
    const auth = basic({ ...BASIC.spec, mfaRef: 'env:X' });
    const settings = parse({
      ...connectorTo(URL_OF_INSTANCE, auth, { description: 'd', tags: { a: 'b' } }),
      colour: 'red',
    });
    expect(settings.spec.auth.spec).not.to.have.property('mfaRef');
    expect(settings).not.to.have.property('colour');
  });

  for (const [identifier, fits] of [
    ['servicenow_prod', true],
    ['_$9', true],
    ['a'.repeat(128), true],
    ['a'.repeat(129), false],
    ['9lives', false],
    ['with-dash', false],
    ['with space', false],
    ['', false],
  ] as const) {
    it(`identifier "${identifier.slice(0, 20)}" (${identifier.length} characters) is ${fits ? 'accepted' : 'refused'}`, () => {
      const connector = connectorTo(URL_OF_INSTANCE, BASIC, { identifier });
      if (fits) expect(parse(connector).identifier).to.equal(identifier);
      else expect(complaint(connector)).to.match(/^identifier: /);
    });
  }

  for (const [length, fits] of [
    [0, false],
    [1, true],
    [128, true],
    [129, false],
  ] as const) {
    it(`a name of ${length} characters is ${fits ? 'accepted' : 'refused'}`, () => {
      const connector = connectorTo(URL_OF_INSTANCE, BASIC, { name: 'n'.repeat(length) });
      if (fits) expect(parse(connector).name).to.have.length(length);
      else expect(complaint(connector)).to.match(/^name: /);
    });
  }

  it('a connector of another type is refused', () => {
    expect(complaint(connectorTo(URL_OF_INSTANCE, BASIC, { type: 'Jira' }))).to.equal(
      'type: must be ServiceNow',
    );
  });

  it('every complaint comes at once, each with its path', () => {
    const auth = { ...ADFS, spec: { ...ADFS.spec, adfsUrl: 'adfs.example.com', certificateRef: '' } };
    expect(complaint(connectorTo('example.com', auth, { identifier: '!' })).split('; ')).to.have.members([
      'identifier: must be letters, digits, "_" and "$", not beginning with a digit',
      'spec.serviceNowUrl: must be a whole address that begins with https://',
      'spec.auth.spec.certificateRef: must not be empty',
      'spec.auth.spec.adfsUrl: must be a whole address that begins with https://',
    ]);
  });

  it('addresses come out normalised', () => {
    const { spec } = parse(connectorTo('https://example.service-now.com/nav_to.do?uri=x', ADFS));
    expect(spec.serviceNowUrl.baseUrl).to.equal('https://example.service-now.com');
    expect(spec.serviceNowUrl.warning).to.be.a('string');
    expect(spec.auth.spec)
      .to.have.property('adfsUrl')
      .that.has.property('href', 'https://adfs.example.com/adfs/oauth2/token');
  });

  describe('allowed by this delegate', () => {
    let lenient: Surroundings;
    let strict: Surroundings;
    before(() => {
      lenient = surroundings({ allowLoopback: true });
      strict = surroundings({ allowLoopback: false });
    });
    after(() => Promise.all([lenient.close(), strict.close()]));

    const prepare = (url: string, auth: AuthInput, allowLoopback: boolean): void => {
      tasksOf((allowLoopback ? lenient : strict).deps).validate.prepare({
        connector: connectorTo(url, auth),
      });
    };
    const refusal = (
      url: string,
      auth: AuthInput,
      allowLoopback: boolean,
    ): [code: string, message: string] => {
      try {
        prepare(url, auth, allowLoopback);
      } catch (thrown) {
        if (!(thrown instanceof DelegateError)) throw thrown;
        expect(thrown.category).to.equal('policy');
        return [thrown.code, thrown.message];
      }
      throw new Error('the connector was allowed');
    };

    it('http is refused, and the field is named', () => {
      const [code, message] = refusal('http://example.service-now.com', BASIC, true);
      expect(code).to.equal('policy.https-required');
      expect(message).to.contain('connector.spec.serviceNowUrl');
    });

    for (const url of ['https://127.0.0.1', 'http://localhost:8080', 'https://[::1]']) {
      it(`loopback is refused without the development switch: ${url}`, () => {
        expect(refusal(url, BASIC, false)[0]).to.equal('policy.loopback-refused');
      });
      it(`and accepted with it: ${url}`, () => {
        expect(() => prepare(url, BASIC, true)).not.to.throw();
      });
    }

    it('the same holds for AD FS and for a token URL', () => {
      const adfs = { ...ADFS, spec: { ...ADFS.spec, adfsUrl: 'http://adfs.example.com' } };
      const refresh = { ...REFRESH, spec: { ...REFRESH.spec, tokenUrl: 'https://127.0.0.1/token' } };
      expect(refusal(URL_OF_INSTANCE, adfs, false)[1]).to.contain('connector.spec.auth.spec.adfsUrl');
      expect(refusal(URL_OF_INSTANCE, refresh, false)[1]).to.contain('connector.spec.auth.spec.tokenUrl');
    });
  });
});
