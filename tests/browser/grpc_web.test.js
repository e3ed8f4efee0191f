// The official clients for gRPC-Web, in a real browser, in a page of another origin that the gateway allows.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { ROOT, startGateway, startSandbox } from '../clients/node/processes.js';
import { openPage, startBrowser } from './browser.js';
import { chunk, startSite, startUpstream } from './servers.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const TEXT_MODEL = 'gemini-2.5-flash';
const IMAGE_MODEL = 'gemini-2.5-flash-image';
/** Their names in clients/index.js. */
const CLIENTS = ['Connect-ES', 'grpc-web', 'grpc-web in text'];

/** The clients and the code that is generated from the contract, in one file for browsers. */
async function bundle() {
  const folder = mkdtempSync(`${tmpdir()}/grpc-web-`);
  try {
    const plugin = { local: `${HERE}node_modules/.bin/protoc-gen-es`, out: `${folder}/gen`, opt: ['target=js', 'import_extension=js'], exclude_types: ['buf.validate'] };
    const inputs = [{ directory: `${ROOT}proto`, paths: [`${ROOT}proto/mountsea`, `${ROOT}proto/google/rpc`] }];
    const template = JSON.stringify({ version: 'v2', inputs, plugins: [plugin] });
    execFileSync(`${ROOT}target/ci/tools/node_modules/.bin/buf`, ['generate', '--template', template], { cwd: folder });
    cpSync(`${HERE}clients`, folder, { recursive: true });
    symlinkSync(`${HERE}node_modules`, `${folder}/node_modules`);
    const outfile = `${folder}/bundle.js`;
    await build({ entryPoints: [`${folder}/index.js`], bundle: true, format: 'iife', outfile, logLevel: 'error' });
    return readFileSync(outfile);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

let browser;
let sandbox;
let upstream;
let site;
let gateway;
let controlled;
let opened;
let page;
/** Called with the next chunk that a client in the page gets. */
let onText;

before(async () => {
  const html = '<!doctype html><title>A program of another origin</title><link rel="icon" href="data:,"><script src="/bundle.js"></script>';
  // First, so that nothing runs yet if it fails.
  const script = await bundle();
  site = await startSite({ '/': ['text/html', html], '/bundle.js': ['text/javascript', script] });
  [browser, sandbox, upstream] = await Promise.all([startBrowser(), startSandbox(), startUpstream()]);
  const flags = ['--cors-origins', site.url];
  [gateway, controlled] = await Promise.all([startGateway(sandbox.url, [...flags, '--retries', '0']), startGateway(upstream.url, flags)]);
  opened = await openPage(browser, site.url);
  page = opened.page;
  await page.exposeFunction('onText', (text) => onText?.(text));
  await page.evaluate(() => { window.cancel = () => false; });
});

after(async () => {
  await browser?.close();
  await Promise.all([gateway, controlled, sandbox].map((process) => process?.stop()));
  await Promise.all([upstream, site].map((server) => server?.close()));
});

/** Makes a call with one of the clients in the page, and returns what the client reports of it. */
const call = (client, rpc, ...args) => page.evaluate(
  ([client, rpc, url, ...args]) => window.clients[client](url)[rpc](...args),
  [client, rpc, `http://${gateway.address}`, ...args],
);

/** Begins a stream of the upstream that the test controls. `onText`: the name of a function in the page. */
const begin = (client, onText) => page.evaluate(
  ([client, url, model, onText]) => window.clients[client](url).stream('hi', model, window[onText]),
  [client, `http://${controlled.address}`, TEXT_MODEL, onText],
);

for (const client of CLIENTS) {
  describe(client, () => {
    test('gets a text, whole and in chunks', async () => {
      const { text } = await call(client, 'unary', 'hello there', TEXT_MODEL);
      assert.match(text, /hello there/);
      const { chunks, error } = await call(client, 'stream', 'hello there', TEXT_MODEL);
      assert.deepEqual([chunks.join(''), error], [text, undefined]);
      assert.ok(chunks.length > 5);
    });

    test('gets a picture as bytes', async () => {
      const { pictures } = await call(client, 'unary', 'a lighthouse', IMAGE_MODEL, { generationConfig: { imageConfig: { aspectRatio: '16:9' } } });
      const [[type, length]] = pictures;
      assert.equal(type, 'image/png');
      assert.ok(length > 100_000, String(length));
    });

    test('reads all violations of a request', async () => {
      const { error } = await call(client, 'unary', 'hi', IMAGE_MODEL, { generationConfig: { temperature: 3, imageConfig: { aspectRatio: '7:3' } } });
      assert.deepEqual([error.code, error.reason], ['InvalidArgument', 'REQUEST_INVALID']);
      assert.deepEqual(error.fields, ['generation_config.temperature', 'generation_config.image_config.aspect_ratio']);
      assert.ok(error.requestId);
    });

    for (const rpc of ['unary', 'stream']) {
      test(`reads the reason and the retry delay of a quota error (${rpc})`, async () => {
        const { chunks, error } = await call(client, rpc, 'hi', 'sandbox-429');
        assert.deepEqual([error.code, error.reason, error.retryMs], ['ResourceExhausted', 'RATE_LIMIT_EXCEEDED', 3500]);
        assert.equal(error.metadata.upstreamStatus, '429');
        assert.equal(chunks?.length ?? 0, 0);
      });
    }

    test('gets the chunks of a stream that breaks, and then the error', async () => {
      const { chunks, error } = await call(client, 'stream', 'hi', 'sandbox-cut');
      assert.match(chunks.join(''), /^\[sandbox\] You said/);
      assert.deepEqual([error?.code, error?.reason], ['Unavailable', 'UPSTREAM_CUT_OFF']);
    });

    // Google's client keeps the chunks of the binary form until the end.
    if (client === 'grpc-web') return;

    test('gets each chunk before the next is sent', async () => {
      const result = begin(client, 'onText');
      const stream = await upstream.next();
      for (const text of ['one', 'two', 'three']) {
        const shown = new Promise((resolve) => { onText = resolve; });
        stream.send(chunk(text, text === 'three'));
        assert.equal(await shown, text);
      }
      stream.end();
      assert.deepEqual(await result, { chunks: ['one', 'two', 'three'] });
    });

    test('ends a call upstream when it cancels it', async () => {
      const result = begin(client, 'cancel');
      const stream = await upstream.next();
      stream.send(chunk('one'));
      await stream.closed;
      const { chunks, error } = await result;
      assert.deepEqual([chunks, error.code], [['one'], 'Canceled']);
    });
  });
}

/** The flags and lengths of the frames of a response, and its status, as the page gets them. */
const frames = (type, rpc, model) => page.evaluate(async ([url, type, body]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const isText = type.includes('text');
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': type, accept: type, 'x-grpc-web': '1' }, body: isText ? body : bytes(body) });
  // In the text form, padding may be at the end of every part.
  const all = isText
    ? (await response.text()).match(/[^=]+=*/g)?.flatMap((part) => [...bytes(part)]) ?? []
    : [...new Uint8Array(await response.arrayBuffer())];
  const found = [];
  for (let at = 0; at < all.length;) {
    const [flag, ...size] = all.slice(at, at + 5);
    const length = size.reduce((sum, byte) => sum * 256 + byte, 0);
    found.push({ flag, length, text: String.fromCharCode(...all.slice(at + 5, at + 5 + length)) });
    at += 5 + length;
  }
  return { found, status: response.headers.get('grpc-status') };
}, [`http://${gateway.address}/mountsea.gemini.v1.GenerativeService/${rpc}`, type, message(model)]);

/** `{model, contents: [{parts: [{text: "hi"}]}]}` behind the five bytes of a message, in base64. */
function message(model) {
  const fields = Buffer.concat([Buffer.from([10, model.length]), Buffer.from(model), Buffer.from([18, 6, 10, 4, 18, 2, 104, 105])]);
  return Buffer.concat([Buffer.from([0, 0, 0, 0, fields.length]), fields]).toString('base64');
}

for (const type of ['application/grpc-web+proto', 'application/grpc-web-text']) {
  test(`the trailers are the last frame of the body, and never empty, in ${type}`, async () => {
    const broken = ['sandbox-cut', 14];
    for (const [rpc, ...more] of [['GenerateContent'], ['StreamGenerateContent', broken]]) {
      for (const [model, status] of [[TEXT_MODEL, 0], ['sandbox-429', 8], ...more]) {
        const { found, status: header } = await frames(type, rpc, model);
        const trailers = found.filter(({ flag }) => flag === 0x80);
        for (const { length } of found) assert.ok(length > 0, `${rpc} ${model}: an empty frame`);
        if (header !== null) {
          // The call failed before its first message.
          assert.deepEqual([header, found], [String(status), []]);
          continue;
        }
        assert.equal(trailers.length, 1, `${rpc} ${model}`);
        assert.equal(found.at(-1), trailers[0]);
        assert.match(trailers[0].text, new RegExp(`^grpc-status: ?${status}\r?$`, 'm'));
      }
    }
  });
}

test('nothing was reported on the console', () => {
  assert.deepEqual(opened.seen.errors, []);
  assert.deepEqual(opened.seen.messages, []);
});
