import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { conforms, type CloudCase } from '../support/cloud-conformance.ts';
import { CloudRoom } from '../support/cloud-room.ts';
import { awsError, FakeAws } from '../support/fake-aws.ts';
import { failureOf } from '../support/failure.ts';
import { FakeCloud, json } from '../support/fake-cloud.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const REGION = 'eu-central-1';
const KEY_ID = 'AKIAFAKEKEYFORTESTS1';
const SECRET_KEY = 'aws-secret-key-canary-7Hq2/Wz9+Lk4';
const SESSION_TOKEN = 'aws-session-token-canary-3mV8xT6bN1';
const SETTINGS = { aws: { region: REGION, endpoint: undefined } };
const KEYS = {
  AWS_ACCESS_KEY_ID: KEY_ID,
  AWS_SECRET_ACCESS_KEY: SECRET_KEY,
  AWS_SESSION_TOKEN: SESSION_TOKEN,
};

async function fakeAws(): Promise<FakeAws> {
  const aws = await new FakeAws(REGION).listen();
  aws.keys.set(KEY_ID, { secret: SECRET_KEY, token: SESSION_TOKEN });
  return aws;
}

describe('AWS Secrets Manager (a fake, made from its API reference)', () => {
  const tempDir = tempDirs();
  leavesNothingOpen();

  describe('as every cloud', () => {
    conforms(async (): Promise<CloudCase> => {
      const cloud = await fakeAws();
      return {
        cloud,
        room: (writable = []) => new CloudRoom({ cloud, settings: SETTINGS, environment: KEYS, writable }),
        put: (name, value) => void cloud.put(name, value),
        valueOf: (name) => cloud.textOf(name),
        referenceTo: (name) => `aws:${name}`,
        scheme: 'aws',
        path: /^\/$/,
        odd: [
          'aws:a b',
          'aws:name#',
          'aws:name#a#b',
          'aws:#member',
          'aws:name?x=1',
          'aws:na%2e%2eme',
          'aws:arn:aws:secretsmanager:us-east-1:123456789012:secret:one-AbCdEf',
          'aws:arn:aws:s3:::bucket',
          `aws:${'x'.repeat(600)}`,
        ],
        answers: {
          denied: awsError('AccessDeniedException'),
          throttled: awsError('ThrottlingException'),
          failing: awsError('InternalServiceError', 500),
          badLogin: awsError('ExpiredTokenException'),
          notFound: awsError('InvalidRequestException'),
          unknown: awsError('constructor'),
        },
        right: /secretsmanager:GetSecretValue/,
        credentials: new Map([
          ['secret key', SECRET_KEY],
          ['session token', SESSION_TOKEN],
        ]),
        forgetIdentity: () => cloud.keys.clear(),
      };
    });
  });

  describe('with what only AWS has', () => {
    let aws: FakeAws;
    beforeEach(async () => {
      aws = await fakeAws();
    });
    afterEach(async () => {
      await aws[Symbol.asyncDispose]();
    });

    function room(
      environment: Readonly<Record<string, string>> = KEYS,
      writable: readonly string[] = [],
    ): CloudRoom {
      return new CloudRoom({ cloud: aws, settings: SETTINGS, environment, writable });
    }

    it('gives the members of one secret from one read, and so from one version', async () => {
      const arn = aws.put('app/login', JSON.stringify({ user: 'svc', password: 'member-canary-1', port: 1 }));
      await using wired = room();
      expect(await wired.resolve(`aws:${arn}#user`)).to.equal('svc');
      aws.put('app/login', JSON.stringify({ user: 'other', password: 'member-canary-2' }));
      expect(await wired.resolve(`aws:${arn}#password`)).to.equal('member-canary-1');
      expect(aws.storeRequests).to.have.length(1);
    });

    it('says what is wrong with a member, and quotes nothing of the secret', async () => {
      aws.put('object', JSON.stringify({ port: 5432, text: 'member-canary-1' }));
      aws.put('text', '{"half": "member-canary-1');
      await using wired = room();
      for (const [reference, code] of [
        ['aws:object#Text', 'secret-not-found'],
        ['aws:object#__proto__', 'secret-not-found'],
        ['aws:object#port', 'secret-unreadable'],
        ['aws:text#half', 'secret-unreadable'],
      ] as const) {
        const failure = await failureOf(wired.resolve(reference));
        expect(failure.code, reference).to.equal(code);
        expect(inspect(failure, { depth: 8 })).not.to.contain('member-canary');
      }
    });

    it('gives a binary secret as base64', async () => {
      aws.put('store.p12', undefined, Buffer.from([0x30, 0x82, 0xff, 0x00]));
      await using wired = room();
      expect(await wired.resolve('aws:store.p12')).to.equal('MIL/AA==');
    });

    it('writes one member and leaves the others, also when two are written at once', async () => {
      aws.put(
        'tokens',
        JSON.stringify({ kept: 'value-of-kept', first: 'first', second: 'old-second', n: 7 }),
      );
      const references = ['aws:tokens#first', 'aws:tokens#second'];
      await using wired = room(KEYS, references);
      // The member that stays is bound to the instance: it may go back whence it came all the same.
      await wired.resolve('aws:tokens#kept');
      await wired.resolve('aws:tokens#first');
      const written = await Promise.all(
        references.map((reference) => wired.replace(reference, `new-${reference}`)),
      );
      expect(written, wired.log.join('\n')).to.deep.equal([true, true]);
      expect(JSON.parse(aws.textOf('tokens') ?? '')).to.deep.equal({
        kept: 'value-of-kept',
        first: 'new-aws:tokens#first',
        second: 'new-aws:tokens#second',
        n: 7,
      });
    });

    it('writes one member without the others becoming secrets: a user is named in every request', async () => {
      aws.put('tokens', JSON.stringify({ user: 'svc_delegate', token: 'old-token-value' }));
      await using wired = room(KEYS, ['aws:tokens#token']);
      expect(await wired.replace('aws:tokens#token', 'new-token-value')).to.equal(true);
      expect(wired.redactor.isBoundElsewhere('svc_delegate', 'https://instance.example')).to.equal(false);
      expect(wired.redactor.scrub('opened by svc_delegate')).to.equal('opened by svc_delegate');
    });

    it('does not write beside a number that it would change', async () => {
      const text = '{"id": 12345678901234567890, "token": "old-token-value"}';
      aws.put('tokens', text);
      await using wired = room(KEYS, ['aws:tokens#token']);
      expect(await wired.replace('aws:tokens#token', 'new-token-value')).to.equal(false);
      expect(aws.textOf('tokens')).to.equal(text);
    });

    it('says that a secret key does not belong to its id', async () => {
      aws.put('one', 'value-of-one');
      await using wired = room({ ...KEYS, AWS_SECRET_ACCESS_KEY: 'another-key' });
      const failure = await failureOf(wired.resolve('aws:one'));
      expect(failure.code).to.equal('secret-store-login-refused');
      expect(failure.hint).to.contain('AWS_SECRET_ACCESS_KEY');
      expect(failure.hint).to.contain('clock');
    });

    it('says that half of a key is missing, and asks nobody', async () => {
      await using wired = room({ AWS_ACCESS_KEY_ID: KEY_ID });
      const failure = await failureOf(wired.resolve('aws:one'));
      expect(failure).to.include({ code: 'secret-store-login-refused' });
      expect(aws.requests).to.deep.equal([]);
    });

    describe('and a role', () => {
      const ROLE = { id: 'ASIAROLE', secret: 'role-secret-canary-5Rt', token: 'role-token-canary-8Yu' };
      const IDENTITY = 'web-identity-canary-eyJhbGciOi';

      async function identityFile(): Promise<Readonly<Record<string, string>>> {
        const path = join(await tempDir(), 'token');
        await writeFile(path, IDENTITY);
        return { AWS_WEB_IDENTITY_TOKEN_FILE: path, AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/delegate' };
      }

      it('logs in at STS with the token of the pod, through the same HTTP client', async () => {
        aws.identities.set(IDENTITY, ROLE);
        aws.put('one', 'value-of-one');
        await using wired = room(await identityFile());
        expect(await wired.resolve('aws:one')).to.equal('value-of-one');
        expect(aws.requests.map(({ origin }) => origin)).to.deep.equal([
          `https://sts.${REGION}.amazonaws.com`,
          `https://secretsmanager.${REGION}.amazonaws.com`,
        ]);
        // Both are known to the redactor from then on.
        expect(wired.redactor.scrub(`${ROLE.secret} ${ROLE.token}`)).to.equal('[secret] [secret]');
      });

      for (const [name, value] of [
        ['AWS_ENDPOINT_URL', 'https://elsewhere.example'],
        ['AWS_ENDPOINT_URL_STS', 'https://elsewhere.example'],
        ['AWS_USE_FIPS_ENDPOINT', 'true'],
        ['AWS_USE_DUALSTACK_ENDPOINT', 'true'],
      ] as const) {
        it(`asks at the addresses of the settings, whatever ${name} says`, async () => {
          aws.identities.set(IDENTITY, ROLE);
          aws.put('one', 'value-of-one');
          process.env[name] = value;
          try {
            await using wired = room(await identityFile());
            expect(await wired.resolve('aws:one')).to.equal('value-of-one');
          } finally {
            delete process.env[name];
          }
          expect(aws.requests.map(({ origin }) => origin)).to.deep.equal([
            `https://sts.${REGION}.amazonaws.com`,
            `https://secretsmanager.${REGION}.amazonaws.com`,
          ]);
        });
      }

      it('says that STS can not be reached', async () => {
        const dead = [`https://sts.${REGION}.amazonaws.com`];
        const environment = await identityFile();
        await using wired = new CloudRoom({ cloud: aws, settings: SETTINGS, environment, dead });
        const failure = await failureOf(wired.resolve('aws:one'));
        expect(failure).to.include({ code: 'secret-store-unreachable', retryable: true });
        expect(failure.message).to.contain('sts.');
      });

      it('takes the role of the machine from its metadata service, by version 2 of that', async () => {
        const found = {
          Code: 'Success',
          AccessKeyId: ROLE.id,
          SecretAccessKey: ROLE.secret,
          Token: ROLE.token,
          Expiration: new Date(Date.now() + 3_600_000).toISOString(),
        };
        const metadata = await new FakeCloud(
          ({ method, path, headers }) => {
            if (method === 'PUT') return { status: 200, body: 'metadata-session' };
            if (headers['x-aws-ec2-metadata-token'] !== 'metadata-session') return { status: 401, body: '' };
            const isOfRole = path === '/latest/meta-data/iam/security-credentials/delegate';
            return isOfRole ? json(200, found) : { status: 200, body: 'delegate' };
          },
          () => false,
        ).listen();
        aws.keys.set(ROLE.id, { secret: ROLE.secret, token: ROLE.token });
        aws.put('one', 'value-of-one');
        // The SDK reads this one itself, and so it can only be set where the SDK looks.
        process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = `http://127.0.0.1:${metadata.port}`;
        try {
          await using wired = room({});
          expect(await wired.resolve('aws:one')).to.equal('value-of-one');
        } finally {
          delete process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
          await metadata[Symbol.asyncDispose]();
        }
      });

      it('says that the role does not trust the pod', async () => {
        await using wired = room(await identityFile());
        const failure = await failureOf(wired.resolve('aws:one'));
        expect(failure.code).to.equal('secret-store-login-refused');
        expect(failure.hint).to.contain('sts:AssumeRoleWithWebIdentity');
      });

      it('takes what the agent of the pod or the task hands out', async () => {
        const credentials = {
          AccessKeyId: ROLE.id,
          SecretAccessKey: ROLE.secret,
          Token: ROLE.token,
          Expiration: new Date(Date.now() + 3_600_000).toISOString(),
        };
        await using agent = await new FakeCloud(
          () => json(200, credentials),
          () => false,
        ).listen();
        aws.keys.set(ROLE.id, { secret: ROLE.secret, token: ROLE.token });
        aws.put('one', 'value-of-one');
        const uri = `http://127.0.0.1:${agent.port}/v1/credentials`;
        await using wired = room({ AWS_CONTAINER_CREDENTIALS_FULL_URI: uri });
        expect(await wired.resolve('aws:one')).to.equal('value-of-one');
        expect(agent.requests).to.have.length(1);
      });
    });
  });
});
