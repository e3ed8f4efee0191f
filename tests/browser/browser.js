// A real Chromium, and what the pages in it did: their messages, their requests, their errors.

import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Starts Chromium, with these flags besides those that it needs here. */
export async function startBrowser(flags = []) {
  const executablePath = process.env.CHROMIUM ?? PROGRAMS.find(existsSync);
  if (!executablePath) throw new Error('there is no Chromium; .ci/tools/debian installs it');
  return chromium.launch({
    executablePath,
    // In CI it runs as root, and it shows only pages of these tests.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server', ...flags],
  });
}

/** A new page of a browser of its own user, at this address. `seen` has what it did. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const seen = { messages: [], requests: [], errors: [] };
  page.on('console', (message) => seen.messages.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('request', (request) => seen.requests.push(request.url()));
  const response = await page.goto(url);
  return { page, seen, response, close: () => context.close() };
}
