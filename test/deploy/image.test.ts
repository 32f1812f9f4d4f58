import { expect } from 'chai';
import { parse } from 'yaml';
import { z } from 'zod';
import { PROGRAM } from '../../scripts/bundle/make.ts';
import { NODE_FLAGS } from '../../scripts/bundle/node-flags.ts';
import { readPolicy } from '../../src/policy/read-policy.ts';
import { imageFacts, read, SETTINGS, stopSecondsOf } from './manifests.ts';

const image = imageFacts();
const [buildStage, lastStage] = stages();

/** The lines of the stage that builds, and of the one that is the image. */
function stages(): [readonly string[], readonly string[]] {
  const second = image.lines.findLastIndex((line) => line.startsWith('FROM '));
  return [image.lines.slice(0, second), image.lines.slice(second)];
}

describe('the Dockerfile', () => {
  it('takes both bases as arguments, so that a release can give them by digest', () => {
    const bases = image.lines.filter((line) => line.startsWith('FROM '));
    expect(bases).to.deep.equal([
      'FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build',
      'FROM ${RUNTIME_IMAGE}',
    ]);
    for (const name of ['NODE_IMAGE', 'RUNTIME_IMAGE']) {
      expect(image.lines.findIndex((line) => line.startsWith(`ARG ${name}=`))).to.be.within(0, 1);
    }
  });

  it('runs nothing in the image itself, which has no shell, and whose architecture may be another', () => {
    expect(buildStage.filter((line) => line.startsWith('RUN '))).to.have.length(2);
    expect(lastStage.filter((line) => line.startsWith('RUN '))).to.deep.equal([]);
    for (const name of ['ENTRYPOINT', 'CMD']) {
      expect(lastStage.some((line) => line.startsWith(`${name} [`))).to.equal(true);
    }
  });

  it('starts Node with the flags that the bench measures with', () => {
    expect(image.nodeFlags).to.deep.equal(NODE_FLAGS);
  });

  it('installs what the lock file says, and runs no script of a package', () => {
    expect(buildStage).to.include('RUN npm ci --ignore-scripts --no-audit --no-fund');
  });

  it('sends no more to be built from than it copies', () => {
    const sent = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'));
    const copied = image.lines
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1));
    const top = new Set(sent.map((line) => line.slice(1).split('/')[0]));
    expect([...top]).to.have.members([...new Set(copied)]);
  });

  it('names a user by number, and sets what are settings', () => {
    expect(image.user).to.equal(65_532);
    const settings = Object.keys(image.settings).filter((name) => name.startsWith('DELEGATE_'));
    for (const name of settings) expect(SETTINGS.has(name), name).to.equal(true);
    expect(image.settings['DELEGATE_HTTP_PORT']).to.equal(String(image.port));
    expect(image.program.endsWith(`/${PROGRAM}`)).to.equal(true);
  });

  it('checks its health by the program itself, and stops by the signal that the program hears', () => {
    const check = lastStage.find((line) => line.startsWith('HEALTHCHECK '));
    expect(check).to.match(/CMD \["\/usr\/local\/bin\/servicenow-delegate", "healthcheck"\]$/);
    expect(lastStage).to.include('STOPSIGNAL SIGTERM');
  });
});

const composeSchema = z.strictObject({
  name: z.string(),
  services: z.strictObject({
    delegate: z.strictObject({
      image: z.string(),
      build: z.strictObject({ context: z.literal('../..') }),
      restart: z.literal('unless-stopped'),
      stop_grace_period: z.string().regex(/^\d+s$/),
      environment: z.record(z.string(), z.string()),
      secrets: z.array(z.string()),
      configs: z.array(z.strictObject({ source: z.string(), target: z.string() })),
      volumes: z.array(z.string()),
      ports: z.array(z.string().startsWith('127.0.0.1:')),
      user: z.string(),
      read_only: z.literal(true),
      cap_drop: z.tuple([z.literal('ALL')]),
      security_opt: z.tuple([z.literal('no-new-privileges:true')]),
      pids_limit: z.int().positive(),
      mem_limit: z.string(),
    }),
  }),
  volumes: z.strictObject({ state: z.null() }),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
  configs: z.record(z.string(), z.strictObject({ file: z.string() })),
});

describe('the compose file', () => {
  const { services, secrets, configs } = composeSchema.parse(parse(read('deploy/compose/compose.yaml')));
  const { delegate } = services;

  it('agrees with the image on user, port and state folder', () => {
    expect(delegate.user.split(':')[0]).to.equal(String(image.user));
    expect(delegate.volumes).to.deep.equal([`state:${image.stateDir}`]);
    expect(delegate.ports).to.deep.equal([`127.0.0.1:${image.port}:${image.port}`]);
  });

  it('sets what are settings, and gives each secret and file that it names', () => {
    for (const name of Object.keys(delegate.environment)) expect(SETTINGS.has(name), name).to.equal(true);
    expect(Object.keys(secrets)).to.have.members(delegate.secrets);
    expect(Object.keys(configs)).to.have.members(delegate.configs.map(({ source }) => source));
    const paths = Object.values(delegate.environment).filter((value) => value.startsWith('/'));
    const given = [
      '/run/secrets',
      ...delegate.secrets.map((name) => `/run/secrets/${name}`),
      ...delegate.configs.map(({ target }) => target),
    ];
    expect(given).to.include.members(paths);
    expect(readPolicy(Buffer.from(read('deploy/compose/policy.yaml')))).to.include({ ok: true });
  });

  it('gives a stop its time', () => {
    expect(Number.parseInt(delegate.stop_grace_period, 10)).to.be.at.least(stopSecondsOf({}));
  });
});
