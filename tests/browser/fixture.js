// The page to try the gateway, opened in a real browser by the tests of a file. What it does there is checked after each test.

import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';

import { startGateway, startSandbox } from '../clients/node/processes.js';
import { openPage, startBrowser } from './browser.js';
import { startUpstream } from './servers.js';

export const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

let browser;
let sandbox;
/** The upstream of `controlled`, whose answers the test sends. */
export let upstream;
/** A gateway in front of a sandbox. */
export let gateway;
export let controlled;
/** The page that is open, and what it did. */
export let open;

before(async () => {
  [browser, sandbox, upstream] = await Promise.all([startBrowser(), startSandbox(), startUpstream()]);
  [gateway, controlled] = await Promise.all([
    startGateway(sandbox.url, ['--playground', '--retries', '0']),
    // Upstream gets the trace of the page only if it is asked for.
    startGateway(upstream.url, ['--playground', '--forward-trace-context', 'true']),
  ]);
});

after(async () => {
  await browser?.close();
  await Promise.all([gateway, controlled, sandbox].map((process) => process?.stop()));
  await upstream?.close();
});

afterEach(async () => {
  const { seen, origin, expected, close } = open ?? {};
  open = null;
  await close?.();
  if (!seen) return;
  const others = seen.requests.filter((url) => !url.startsWith(`${origin}/`) && !/^(data|blob):/.test(url));
  assert.deepEqual(others, [], 'the page calls no other origin');
  assert.deepEqual(seen.errors, []);
  // Chromium itself reports each response with an error status.
  const messages = seen.messages.filter((text) => !(expected && text.includes('Failed to load resource')));
  assert.deepEqual(messages, [], 'the console stays empty');
});

/** Opens the page of a gateway. `expected`: whether the gateway will refuse calls. */
export async function visit({ address }, { expected = false, ...options } = {}) {
  const origin = `http://${address}`;
  open = { origin, expected, ...(await openPage(browser, `${origin}/`, options)) };
  return open.page;
}

export async function ask(page, prompt) {
  await page.getByLabel('Prompt', { exact: true }).fill(prompt);
  await page.keyboard.press('Control+Enter');
}

export async function choose(page, model) {
  await page.locator('#model').selectOption('(other)');
  await page.locator('#other').fill(model);
}

export const answer = (page) => page.locator('.turn:last-child .answer');
export const isOver = (page, calls = 1) => page.locator('.turn[aria-busy=false]').nth(calls - 1).waitFor();
export const facts = (page) => page.locator('.turn:last-child .facts').innerText();
export const textOf = (page, text) => answer(page).getByText(text, { exact: true }).waitFor();

