import { expect } from 'chai';
import * as fc from 'fast-check';
import { findValues } from '../../../src/cli/bundle/finder.ts';
import { KnownSecrets } from '../../../src/cli/bundle/known-secrets.ts';
import { bundleText, type Scrubber, type Section } from '../../../src/cli/bundle/text.ts';
import { MASK } from '../../../src/kit/secret.ts';
import { formsOf } from '../../../src/kit/secret-forms.ts';
import { failureOf } from '../../support/failure.ts';
import { findLeaks } from '../../support/canaries.ts';

const section = (text: string): Section => ({ title: 'Part', about: 'What it is.', text });

/** A redactor with a mistake in the one thing that it does. */
function broken(scrub: (text: string, whole: KnownSecrets) => string): Scrubber {
  const whole = new KnownSecrets();
  return {
    register: (value, options) => whole.register(value, options),
    values: () => whole.values(),
    scrub: (text) => scrub(text, whole),
  };
}

async function refusal(scrubber: Scrubber, text = 'nothing of interest') {
  return await failureOf(Promise.resolve().then(() => bundleText([section(text)], scrubber)));
}

describe('the text of a support bundle', () => {
  it('has its parts, and a self-test in which nothing but masks was left', () => {
    const text = bundleText([section('one'), section('two')], new KnownSecrets());
    expect(text).to.match(/one\n[\s\S]*two\n[\s\S]*Self-test[\s\S]*\n\n\[secret\], \d\d+ times\n$/);
    expect(text).to.not.match(/canary-/i);
  });

  it('masks what is known wherever it stands', () => {
    const secrets = new KnownSecrets();
    secrets.register('hunter2-for-the-bundle');
    const text = bundleText(
      [section(`password=hunter2-for-the-bundle ${btoa('svc:hunter2-for-the-bundle')}`)],
      secrets,
    );
    expect(text).to.contain(`password=${MASK}`);
    expect(findLeaks(new Map([['a', 'hunter2-for-the-bundle']]), [{ where: 'bundle', text }])).to.deep.equal(
      [],
    );
  });

  for (const [mistake, scrub] of Object.entries<(text: string, whole: KnownSecrets) => string>({
    'does nothing': (text) => text,
    'masks no encoded form': (text, whole) =>
      whole.values().reduce((masked, value) => masked.replaceAll(value, MASK), text),
    'stops after the first lines': (text, whole) => whole.scrub(text.slice(0, 200)) + text.slice(200),
    'misses the last line': (text, whole) => {
      const end = text.lastIndexOf('\n', text.length - 2);
      return whole.scrub(text.slice(0, end)) + text.slice(end);
    },
  })) {
    it(`is refused when the redactor ${mistake}`, async () => {
      const refused = await refusal(broken(scrub));
      expect(refused).to.include({ code: 'support-bundle-unsafe' });
      expect(refused.message).to.not.match(/canary-/i);
    });
  }

  it('is refused when a real secret gets through, also where every made-up one is masked', async () => {
    const forgetful = broken((text, whole) => whole.scrub(text).replace('<here>', 'hunter2-for-the-bundle'));
    forgetful.register('hunter2-for-the-bundle');
    expect(await refusal(forgetful, '<here>')).to.include({ code: 'support-bundle-unsafe' });
  });

  it('no form that the redactor knows is one that the search does not', () => {
    const secret = fc
      .string({ minLength: 20, maxLength: 60, unit: 'grapheme-ascii' })
      .filter((value) => value.trim() === value);
    fc.assert(
      fc.property(secret, fc.constantFrom('hex', 'base64', 'uri', 'json', 'raw'), (value, how) => {
        const spelt = {
          raw: value,
          hex: Buffer.from(value).toString('hex'),
          base64: Buffer.from(value).toString('base64'),
          uri: encodeURIComponent(value),
          json: JSON.stringify(value),
        }[how];
        expect(findValues(`before ${spelt} after`, [value]), spelt).to.deep.equal([0]);
      }),
    );
    expect(formsOf('x'.repeat(20)).size).to.be.above(3);
  });

  it('finds no secret where there is none', () => {
    expect(
      findValues('a report about nothing, 0123456789abcdef, YWJjZGVm', ['hunter2', 'abcd', 'report-of-x']),
    ).to.deep.equal([]);
  });
});
