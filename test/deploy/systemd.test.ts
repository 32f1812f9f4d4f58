import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { imageFacts, read, SETTINGS, stopSecondsOf } from './manifests.ts';

const UNIT = 'deploy/systemd/servicenow-delegate.service';
/** Tenths: `systemd-analyze security` calls 2.0 and less safe. */
const MAX_EXPOSURE = 20;

describe('the systemd unit', function () {
  this.timeout(30_000);
  const lines = read(UNIT).split('\n');
  const path = fileURLToPath(new URL(`../../${UNIT}`, import.meta.url));

  /** The values of a directive, in their order. */
  function all(directive: string): readonly string[] {
    return lines
      .filter((line) => line.startsWith(`${directive}=`))
      .map((line) => line.slice(directive.length + 1));
  }

  it('starts the same program as the image, from the same place', () => {
    const { nodeFlags, program } = imageFacts();
    expect(all('ExecStart')).to.deep.equal([['/usr/bin/node', ...nodeFlags, program, 'run'].join(' ')]);
  });

  it('sets what are settings: the state folder that systemd makes, the token that it hands over', () => {
    const set = Object.fromEntries(
      all('Environment').map((pair): [string, string] => [
        pair.slice(0, pair.indexOf('=')),
        pair.slice(pair.indexOf('=') + 1),
      ]),
    );
    for (const name of Object.keys(set).filter((one) => one.startsWith('DELEGATE_'))) {
      expect(SETTINGS.has(name), name).to.equal(true);
    }
    expect(set['DELEGATE_STATE_DIR']).to.equal(`/var/lib/${all('StateDirectory').join()}`);
    const [credential] = all('LoadCredential').map((value) => value.split(':')[0]);
    expect(set['DELEGATE_ENROLMENT_TOKEN_FILE']).to.equal(`%d/${credential}`);
  });

  it('gives a stop its time, and does not start again what settings keep from starting', () => {
    expect(Number(all('TimeoutStopSec')[0])).to.be.at.least(stopSecondsOf({}));
    expect(all('Restart')).to.deep.equal(['on-failure']);
    expect(all('RestartPreventExitStatus')).to.deep.equal(['2']);
  });

  describe('to systemd itself', () => {
    before(function () {
      // Skipped since 2026-11-23 where there is no systemd, as in most containers.
      if (spawnSync('systemd-analyze', ['--version']).status !== 0) this.skip();
    });

    it('is a unit without a mistake', function () {
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], {
        encoding: 'utf8',
      });
      // That there is no program yet where it will be is no mistake of the unit.
      const complaints = stderr
        .split('\n')
        .filter((line) => line !== '' && !line.includes('is not executable'));
      expect(complaints).to.deep.equal([]);
      expect(status).to.be.oneOf([0, 1]);
    });

    it('is exposed little', () => {
      const args = ['security', '--offline=yes', `--threshold=${MAX_EXPOSURE}`, '--no-pager', path];
      const { status, stdout } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
      expect(status, stdout).to.equal(0);
    });
  });
});
