import { expect } from 'chai';
import { evidenceOf } from '../../../src/connectors/servicenow/evidence.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import type { HttpResponse } from '../../../src/kit/http-exchange.ts';
import { answer, envelope, json, judged, page, plain, redirect, REQUEST } from './answers.ts';

const asIs = (text: string): string => text;

describe('what is told of an answer', () => {
  const serverText = (response: HttpResponse): string | undefined => evidenceOf(response, asIs).serverText;
  const bodyStart = (response: HttpResponse): string | undefined => evidenceOf(response, asIs).bodyStart;

  describe('of an error', () => {
    it('message and detail, on one line', () => {
      expect(evidenceOf(envelope(403, 'Operation\tFailed', 'ACL\n'), asIs)).to.deep.equal({
        contentType: 'application/json',
        isPage: false,
        serverText: 'Operation Failed: ACL',
        isEnvelope: true,
        bodyStart: undefined,
      });
    });

    it('the message alone where the detail is null, and the other way round', () => {
      expect(serverText(envelope(400, 'Invalid table x', null))).to.equal('Invalid table x');
      expect(serverText(json(400, { error: { message: null, detail: 'd' } }))).to.equal('d');
      expect(serverText(json(400, { error: { detail: 'd' } }))).to.equal('d');
    });

    it('whatever the order of its keys, and whatever stands beside them', () => {
      const body = '{"status":"failure","x":1,"error":{"detail":"d","y":2,"message":"m"}}';
      expect(serverText(answer(500, 'application/json', body))).to.equal('m: d');
    });

    it('at most 300 characters, cut between words', () => {
      expect(serverText(envelope(500, 'word '.repeat(1_000), null))).to.equal(`${'word '.repeat(60)}…`);
    });

    it('nothing of one without words: it is no envelope then', () => {
      for (const error of [{}, { message: '' }, { message: ' ', detail: null }]) {
        expect(evidenceOf(json(403, { error }), asIs)).to.include({
          serverText: undefined,
          isEnvelope: false,
        });
      }
    });

    it('nothing of what is no error', () => {
      for (const value of [null, 'x', [], { error: 1 }, { error: { message: 1 } }, { error: [] }]) {
        expect(evidenceOf(json(403, value), asIs)).to.include({ serverText: undefined, isEnvelope: false });
      }
    });

    it('the code and the description of a token server, which is no envelope', () => {
      expect(
        evidenceOf(json(401, { error_description: 'access_denied', error: 'server_error' }), asIs),
      ).to.include({ serverText: 'server_error: access_denied', isEnvelope: false });
      expect(serverText(json(400, { error: 'invalid_client' }))).to.equal('invalid_client');
      expect(serverText(json(400, { error: 'invalid_client', error_description: null }))).to.equal(
        'invalid_client',
      );
    });

    describe('in XML', () => {
      const xml = (body: string): HttpResponse => answer(403, 'application/xml', body);

      it('the same', () => {
        const written =
          '<response>\n <error><detail>d</detail>\n<message>m &lt;x&gt;</message></error></response>';
        for (const prologue of ['', '\n<?xml version="1.0"?>\n']) {
          expect(evidenceOf(xml(prologue + written), asIs)).to.include({
            serverText: 'm <x>: d',
            isEnvelope: true,
          });
        }
      });

      it('the message alone where the detail is empty', () => {
        for (const detail of ['<detail/>', '<detail></detail>', '']) {
          const body = `<response><error>${detail}<message>m</message></error></response>`;
          expect(serverText(xml(body))).to.equal('m');
        }
      });

      it('whatever the length of the detail, and no detail of what follows the error', () => {
        const error = '<error><detail>Record of an ACL</detail><message>m</message></error>';
        expect(serverText(xml(`<response>${error}</response>`))).to.equal('m: Record of an ACL');
        const another = '<error><message>m</message></error><x><error><detail>d</detail></error></x>';
        expect(serverText(xml(`<response>${another}</response>`))).to.equal('m');
      });

      it('nothing of a document of 64 Ki characters and more', () => {
        const start = '<response><error><message>m</message></error>';
        expect(serverText(xml(start.padEnd(65_536)))).to.equal('m');
        expect(serverText(xml(start.padEnd(65_537)))).to.equal(undefined);
      });

      it('nothing of another document', () => {
        for (const body of [
          '<a><response><error><message>m</message></error></response></a>',
          '<response/>',
        ]) {
          expect(evidenceOf(xml(body), asIs)).to.include({ serverText: undefined, isEnvelope: false });
        }
      });
    });

    it('nothing of 64 Ki characters and more, which no message has', () => {
      const frame = JSON.stringify({ error: { message: '', detail: null } }).length;
      const sized = (chars: number): HttpResponse =>
        json(500, { error: { message: 'a '.repeat(chars / 2).padEnd(chars, 'a'), detail: null } });
      expect(serverText(sized(65_536 - frame))).to.match(/^a a/);
      expect(evidenceOf(sized(65_537 - frame), asIs)).to.include({
        serverText: undefined,
        bodyStart: undefined,
      });
    });
  });

  describe('of anything else', () => {
    it('how it begins, in 120 characters', () => {
      expect(bodyStart(plain(502, `Bad\n\tGateway ${'word '.repeat(100)}`))).to.equal(
        `Bad Gateway ${'word '.repeat(21)}…`,
      );
    });

    it('a page without its tags, scripts and styles', () => {
      const body =
        '<script type="a">let a = "<b>";</script>One<STYLE>b{}</style ><br/>two<script>x</script>&amp;&lt;3&gt; &quot;&apos;&#39;&#x41;&nbsp;&#99999999;<a href="';
      expect(bodyStart(page(400, body))).to.equal("Title One two &<3> \"''A&nbsp;&#99999999;");
    });

    it('the title of a page only if its text does not say that, too', () => {
      expect(bodyStart(page(400, '<h1>404 Not&#32;Found</h1>', {}, ' 404  Not Found '))).to.equal(
        '404 Not Found',
      );
      expect(bodyStart(page(400, '<h1>404</h1>', {}, '404 Not Found'))).to.equal('404 Not Found 404');
      expect(bodyStart(page(400, '', {}, 'Only'))).to.equal('Only');
      expect(bodyStart(answer(400, 'text/html', '<TITLE lang=en>One</TITLE> two'))).to.equal('One two');
      expect(bodyStart(answer(400, 'text/html', 'none'))).to.equal('none');
    });

    it('each element apart, and a title that its text holds not twice', () => {
      expect(bodyStart(page(400, '<b>one</b><i>two</i>', {}, ''))).to.equal('one two');
      expect(bodyStart(page(400, '(Not Found)', {}, 'Not Found'))).to.equal('(Not Found)');
      expect(bodyStart(answer(400, 'text/html', '<title lang=en>A</title>the A'))).to.equal('the A');
    });

    it('JSON of another form, however its characters are written', () => {
      expect(bodyStart(answer(403, 'application/json', '{ "message":\n"gr\\u00fcn" }'))).to.equal(
        '{"message":"grün"}',
      );
    });

    it('characters by their number, as far as there are such', () => {
      expect(bodyStart(page(400, '&#128273;&#x1F511;&#X41;&#x10ffff;&#1114112;&#x110000;', {}, ''))).to.equal(
        '🔑🔑A &#1114112;&#x110000;',
      );
    });

    it('a page as far as its first 8,192 characters', () => {
      const padding = '<br>'.repeat(2_047);
      const html = (body: string): HttpResponse => answer(400, 'text/html', body);
      expect(bodyStart(html(`${padding}abcd`))).to.equal('abcd');
      expect(bodyStart(html(`${padding}abcde`))).to.equal('abcd');
    });

    it('nothing where there are no words', () => {
      for (const response of [plain(500, ''), plain(500, ' \n'), page(500, '', {}, '')]) {
        expect(bodyStart(response)).to.equal(undefined);
      }
    });

    it('nothing of a success that may hold records', () => {
      for (const body of ['{"a":1}', ' [1]', '\n<response/>']) {
        expect(bodyStart(plain(200, body))).to.equal(undefined);
        expect(bodyStart(plain(299, body))).to.equal(undefined);
        expect(bodyStart(plain(300, body))).to.be.a('string');
      }
      expect(bodyStart(plain(200, 'Hello {'))).to.equal('Hello {');
      expect(bodyStart(page(200, 'Hello'))).to.equal('Title Hello');
    });

    it('endless tags that never close cost no time', () => {
      for (const open of ['<script>', '<script', '<', '<style>x']) {
        expect(evidenceOf(answer(400, 'text/html', open.repeat(5_000)), asIs).isPage).to.equal(true);
      }
    });
  });

  describe('its content type', () => {
    const typeOf = (type: string): string => evidenceOf(answer(200, type, ''), asIs).contentType;

    it('in lower case, without its parameters', () => {
      expect(typeOf('Text/HTML; charset=utf-8')).to.equal('text/html');
    });

    it('only if it is one', () => {
      for (const type of ['', 'text', 'a b/c', `${'a'.repeat(41)}/b`, `a/${'b'.repeat(61)}`, 'a/b/c', '/b']) {
        expect(typeOf(type)).to.equal('no known content type');
      }
      expect(typeOf(`${'a'.repeat(40)}/${'b'.repeat(60)}`)).to.have.length(101);
    });
  });

  it('that it is a page: by its type, or by how it begins, but not under the name of JSON', () => {
    const isPage = (type: string, body: string): boolean => evidenceOf(answer(200, type, body), asIs).isPage;
    expect(isPage('text/html', '')).to.equal(true);
    expect(isPage('application/xhtml+xml', '')).to.equal(true);
    expect(isPage('', ' <!DOCTYPE HTML>')).to.equal(true);
    expect(isPage('text/plain', '\n<html lang="en">')).to.equal(true);
    expect(isPage('text/plain', 'x<html>')).to.equal(false);
    expect(isPage('application/json', '<html>')).to.equal(false);
  });
});

describe('a secret in an answer', () => {
  const redactor = new Redactor();
  const SECRET = 'two  spaces/and "quotes"\tin it';
  redactor.register(SECRET);
  const request = { ...REQUEST, scrub: (text: string) => redactor.scrub(text) };
  const shown = (response: HttpResponse): string => JSON.stringify(judged(response, request).toWire());

  it('is masked before its spaces are put in order', () => {
    const error = judged(envelope(403, `for ${SECRET} refused`, null), request);
    expect(error.details?.['serverText']).to.equal('for [secret] refused');
    expect(error.message).to.contain('"for [secret] refused"');
  });

  it('is masked before the text is cut in the middle of it', () => {
    for (let lead = 270; lead <= 300; lead += 1) {
      expect(shown(envelope(403, `${'x '.repeat(lead / 2)}${SECRET} and more`, null))).not.to.match(
        /two|quotes/,
      );
    }
  });

  it('is masked before the beginning of a body is cut in the middle of it', () => {
    for (let lead = 90; lead <= 120; lead += 1) {
      expect(shown(plain(403, `${'x '.repeat(lead / 2)}${SECRET} and more`))).not.to.match(/two|quotes/);
    }
  });

  it('is masked before a page is cut in the middle of it', () => {
    for (let lead = 8_150; lead <= 8_192; lead += 1) {
      const body = ' '.repeat(lead) + SECRET;
      expect(shown(answer(403, 'text/html', body))).not.to.match(/two|quotes/);
    }
  });

  it('is masked however JSON writes its characters', () => {
    const body = envelope(403, SECRET, null).body.replace('two', String.raw`\u0074wo`);
    expect(shown({ ...envelope(403, '', null), body }))
      .to.contain('[secret]')
      .and.not.to.contain('two');
  });

  it('is masked however a page or XML writes its characters', () => {
    const written = SECRET.replaceAll('"', '&quot;').replace('t', '&#116;').replace('w', '&#x77;');
    for (const response of [
      page(403, written),
      answer(403, 'application/xml', `<response><error><message>${written}</message></error></response>`),
    ]) {
      expect(shown(response)).to.contain('[secret]').and.not.to.contain('spaces');
    }
  });

  it('is masked in JSON and pages that write what is beyond ASCII by its number', () => {
    const beyond = 'wröng pass-🔑-word';
    redactor.register(beyond);
    const units = beyond.replaceAll(
      /[^ -~]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    const points = Array.from(beyond, (one) => `&#${one.codePointAt(0)};`).join('');
    for (const response of [
      answer(403, 'application/json', `{"message":"for ${units}"}`),
      page(403, `for ${points}`),
    ]) {
      expect(shown(response)).to.contain('for [secret]').and.not.to.contain('word');
    }
  });

  it('is masked in the description of a token server', () => {
    expect(shown(json(400, { error: 'x', error_description: SECRET }))).to.contain('x: [secret]');
  });

  it('is masked in the target of a redirect before that is cut', () => {
    for (let lead = 150; lead <= 200; lead += 1) {
      const path = `${'p'.repeat(lead)}${encodeURIComponent(SECRET)}`;
      expect(shown(redirect(`https://sso.example.com/${path}`))).not.to.match(/two|quotes/);
    }
  });

  it('is masked in a content type before its letters become small', () => {
    redactor.register('Canary');
    expect(shown(answer(200, 'text/Canary', ''))).to.contain('no known content type');
  });

  it('is not in what is told of a page of a load balancer: that says enough', () => {
    expect(judged(page(502, 'Authorization: Basic c2VjcmV0')).details).to.deep.equal({
      contentType: 'text/html',
    });
  });
});
