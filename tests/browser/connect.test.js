// Connect-ES over gRPC-Web, in a real browser, from a page of another origin that the gateway allows.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { ROOT, startGateway, startSandbox } from '../clients/node/processes.js';
import { openPage, startBrowser } from './browser.js';
import { chunk, startSite, startUpstream } from './servers.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const TEXT_MODEL = 'gemini-2.5-flash';
const IMAGE_MODEL = 'gemini-2.5-flash-image';

/** The client and the code that is generated from the contract, in one file for browsers. */
async function bundle() {
  const folder = mkdtempSync(`${tmpdir()}/connect-`);
  try {
    const plugin = { local: `${HERE}node_modules/.bin/protoc-gen-es`, out: `${folder}/gen`, opt: ['target=js', 'import_extension=js'] };
    const inputs = [{ directory: `${ROOT}proto`, paths: [`${ROOT}proto/mountsea`, `${ROOT}proto/google/rpc`] }];
    const template = JSON.stringify({ version: 'v2', inputs, plugins: [plugin] });
    execFileSync(`${ROOT}target/ci/tools/node_modules/.bin/buf`, ['generate', '--template', template], { cwd: folder });
    cpSync(`${HERE}connect.js`, `${folder}/connect.js`);
    symlinkSync(`${HERE}node_modules`, `${folder}/node_modules`);
    const outfile = `${folder}/bundle.js`;
    await build({ entryPoints: [`${folder}/connect.js`], bundle: true, format: 'iife', outfile, logLevel: 'error' });
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

before(async () => {
  const html = '<!doctype html><title>A program of another origin</title><link rel="icon" href="data:,"><script src="/bundle.js"></script>';
  [browser, sandbox, upstream, site] = await Promise.all([startBrowser(), startSandbox(), startUpstream(), bundle()
    .then((script) => startSite({ '/': ['text/html', html], '/bundle.js': ['text/javascript', script] }))]);
  const flags = ['--cors-origins', site.url];
  [gateway, controlled] = await Promise.all([startGateway(sandbox.url, [...flags, '--retries', '0']), startGateway(upstream.url, flags)]);
  opened = await openPage(browser, site.url);
  page = opened.page;
});

after(async () => {
  await browser?.close();
  await Promise.all([gateway, controlled, sandbox].map((process) => process?.stop()));
  await Promise.all([upstream, site].map((server) => server?.close()));
});

const unary = (...args) => page.evaluate(([url, ...args]) => window.connect(url).unary(...args), [`http://${gateway.address}`, ...args]);
const stream = (...args) => page.evaluate(([url, ...args]) => window.connect(url).stream(...args), [`http://${gateway.address}`, ...args]);

test('a text is generated', async () => {
  const { text } = await unary('hello there', TEXT_MODEL);
  assert.match(text, /hello there/);
});

test('the chunks of a stream add up to the whole text', async () => {
  const { chunks } = await stream('hello there', TEXT_MODEL);
  assert.ok(chunks.length > 5);
  assert.equal(chunks.join(''), (await unary('hello there', TEXT_MODEL)).text);
});

test('a picture arrives as bytes', async () => {
  const { pictures } = await unary('a lighthouse', IMAGE_MODEL, { generationConfig: { imageConfig: { aspectRatio: '16:9' } } });
  const [[type, length]] = pictures;
  assert.equal(type, 'image/png');
  assert.ok(length > 100_000, String(length));
});

test('each chunk arrives before the next is sent', async () => {
  const arrived = [];
  let next;
  await page.exposeFunction('arrived', (text) => {
    arrived.push(text);
    next?.();
  });
  const result = page.evaluate(([url, model]) => window.connect(url).stream('hi', model, window.arrived), [`http://${controlled.address}`, TEXT_MODEL]);
  const call = await upstream.next();
  for (const text of ['one', 'two', 'three']) {
    const shown = new Promise((resolve) => { next = resolve; });
    call.send(chunk(text, text === 'three'));
    await shown;
    assert.equal(arrived.at(-1), text);
  }
  call.end();
  assert.deepEqual((await result).chunks, ['one', 'two', 'three']);
});

test('a cancelled call ends upstream', async () => {
  const result = page.evaluate(([url, model]) => window.connect(url).stream('hi', model, () => false), [`http://${controlled.address}`, TEXT_MODEL]);
  const call = await upstream.next();
  call.send(chunk('one'));
  await call.closed;
  const { chunks, error } = await result;
  assert.deepEqual([chunks, error.code], [['one'], 'Canceled']);
});

test('all violations are reported together', async () => {
  const { error } = await unary('hi', IMAGE_MODEL, { generationConfig: { temperature: 3, imageConfig: { aspectRatio: '7:3' } } });
  assert.deepEqual([error.code, error.reason], ['InvalidArgument', 'REQUEST_INVALID']);
  assert.deepEqual(error.fields, ['generation_config.temperature', 'generation_config.image_config.aspect_ratio']);
  assert.ok(error.requestId);
});

test('a quota error names its reason and the retry delay', async () => {
  const { error } = await unary('hi', 'sandbox-429');
  assert.deepEqual([error.code, error.reason, error.retryMs], ['ResourceExhausted', 'RATE_LIMIT_EXCEEDED', 3500]);
  assert.equal(error.metadata.upstreamStatus, '429');
});

test('a stream that breaks has its chunks and then the error', async () => {
  const { chunks, error } = await stream('hi', 'sandbox-cut');
  assert.match(chunks.join(''), /^\[sandbox\] You said/);
  assert.deepEqual([error.code, error.reason], ['Unavailable', 'UPSTREAM_CUT_OFF']);
});

test('nothing was reported on the console', () => {
  assert.deepEqual(opened.seen.errors, []);
  assert.deepEqual(opened.seen.messages, []);
});
