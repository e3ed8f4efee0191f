// A page of another origin, in a real browser, tries to use the gateway's key over REST and gRPC-Web.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startGateway } from '../clients/node/processes.js';
import { openPage, startBrowser } from './browser.js';
import { chunk, startSite, startUpstream } from './servers.js';

const MODEL = 'gemini-2.5-flash';
const JSON_BODY = JSON.stringify({ contents: [{ parts: [{ text: 'hi' }] }] });
// {model: "gemini-2.5-flash", contents: [{parts: [{text: "hi"}]}]} behind the five bytes of a message.
const FRAME = 'AAAAABoKEGdlbWluaS0yLjUtZmxhc2gSBgoEEgJoaQ==';

/** Runs in the page. Makes each attempt, and returns what the page learned of it. */
async function attempt([gateway, model, json, frame]) {
  const bytes = Uint8Array.from(atob(frame), (char) => char.charCodeAt(0));
  const results = [];
  const urls = ['generateContent', 'streamGenerateContent?alt=sse', 'generateContent?key=any']
    .flatMap((action) => ['/v1beta', '/v1', '/gemini/v1beta'].map((version) => `${gateway}${version}/models/${model}:${action}`));
  const services = ['mountsea.gemini.v1', 'google.ai.generativelanguage.v1beta']
    .flatMap((name) => ['GenerateContent', 'StreamGenerateContent'].map((rpc) => `${gateway}/${name}.GenerativeService/${rpc}`));
  const kinds = [
    ['cors', { 'content-type': 'application/json' }],
    ['cors', { 'content-type': 'text/plain' }],
    ['no-cors', { 'content-type': 'text/plain' }],
    ['no-cors', {}],
  ];
  const webKinds = [
    ['cors', { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1' }],
    ['cors', { 'content-type': 'application/grpc-web-text', 'x-grpc-web': '1' }],
    ['no-cors', { 'content-type': 'text/plain' }],
    ['no-cors', {}],
  ];
  const call = async (url, [mode, headers], body) => {
    try {
      const response = await fetch(url, { method: 'POST', mode, headers, body });
      results.push(`${response.type} ${await response.text()}`);
    } catch {
      results.push('refused');
    }
  };
  for (const url of urls) for (const kind of kinds) await call(url, kind, json);
  for (const url of services) for (const kind of webKinds) await call(url, kind, kind[1]['content-type']?.includes('text') ? frame : bytes);
  for (const url of [...urls, ...services]) {
    navigator.sendBeacon(url, new Blob([json], { type: 'text/plain' }));
    const frame = document.createElement('iframe');
    frame.name = `frame-${results.length}`;
    document.body.append(frame);
    const form = Object.assign(document.createElement('form'), { action: url, method: 'post', enctype: 'text/plain', target: frame.name });
    const field = document.createElement('input');
    // `{"contents":…,"x":"=` and `"}`: a form of text/plain can be JSON.
    [field.name, field.value] = [`${json.slice(0, -1)},"x":"`, '"}'];
    form.append(field);
    document.body.append(form);
    const loaded = new Promise((resolve) => { frame.onload = resolve; });
    form.submit();
    await loaded;
    results.push('form sent');
  }
  for (const path of ['/v1beta/models', '/']) {
    try {
      results.push(`read ${await (await fetch(gateway + path)).text()}`);
    } catch {
      results.push('refused');
    }
  }
  return results;
}

let browser;
let upstream;
let site;

before(async () => {
  const page = ['text/html', '<!doctype html><title>Another site</title><link rel="icon" href="data:,">'];
  [browser, upstream, site] = await Promise.all([startBrowser(), startUpstream(), startSite({ '/': page })]);
});

after(async () => {
  await browser?.close();
  await Promise.all([upstream, site].map((server) => server?.close()));
});

for (const [name, flags] of [['with the page to try it', ['--playground']], ['without it', []]]) {
  test(`a page of another origin changes nothing upstream, and reads nothing, ${name}`, async (context) => {
    const gateway = await startGateway(upstream.url, flags);
    const { page, close } = await openPage(browser, site.url);
    context.after(async () => {
      await close();
      await gateway.stop();
    });
    const results = await page.evaluate(attempt, [`http://${gateway.address}`, MODEL, JSON_BODY, FRAME]);
    assert.equal(results.length, 9 * 4 + 4 * 4 + 13 + 2);
    for (const result of results) assert.ok(['refused', 'opaque ', 'form sent'].includes(result), result);
    assert.equal(upstream.calls.length, 0);
  });
}

test('the same calls are served for a program, and for a page of a listed origin', async (context) => {
  const gateway = await startGateway(upstream.url, ['--cors-origins', site.url]);
  const { page, close } = await openPage(browser, site.url);
  context.after(async () => {
    await close();
    await gateway.stop();
  });
  const answerNext = async () => {
    const call = await upstream.next();
    call.send(chunk('Hi.', true));
    call.end();
  };
  const url = `http://${gateway.address}/v1beta/models/${MODEL}:streamGenerateContent?alt=sse`;
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON_BODY };
  const [program] = await Promise.all([fetch(url, init).then((response) => response.text()), answerNext()]);
  assert.match(program, /Hi\./);
  const [read] = await Promise.all([
    page.evaluate(([url, init]) => fetch(url, init).then((response) => response.text()), [url, init]),
    answerNext(),
  ]);
  assert.equal(read, program);
});
