import { chromium } from 'playwright-core';
const OUT = '/tmp/h16/page/target/dev/';
const which = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
const url = process.env.URL0 ?? 'http://127.0.0.1:18732/';
async function page(options, name, act) {
  if (which.length && !which.includes(name)) return;
  const context = await browser.newContext({ viewport: { width: 1380, height: 860 }, ...options });
  const page = await context.newPage();
  page.on('console', (m) => console.log(name, m.type(), m.text()));
  page.on('pageerror', (e) => console.log(name, e.message));
  await page.goto(url);
  try { await act(page); } catch (e) { console.log(name, String(e).slice(0, 500)); }
  await page.screenshot({ path: `${OUT}${name}.png` });
  await context.close();
}
const ask = async (p, text) => { await p.fill('#prompt', text); await p.press('#prompt', 'Control+Enter'); };
const done = (p, n = 1) => p.waitForFunction((n) => document.querySelectorAll('.turn[aria-busy=false]').length === n, n);
await page({ colorScheme: 'light' }, 'empty', async () => {});
await page({ colorScheme: 'dark' }, 'dark-empty', async () => {});
await page({ colorScheme: 'light' }, 'stream', async (p) => { await ask(p, 'Why is the sky blue? Answer in three sentences.'); await p.waitForSelector('.answer .prose'); await p.waitForFunction(() => document.querySelector('.answer .prose').textContent.length > 60); });
const picture = async (p) => { await p.click('.starter >> nth=1'); await p.press('#prompt', 'Control+Enter'); await done(p); await p.waitForFunction(() => document.querySelector('.picture img').naturalWidth > 0 && document.querySelector('.picture span').textContent); await p.waitForTimeout(300); };
await page({ colorScheme: 'light' }, 'picture', picture);
await page({ colorScheme: 'dark' }, 'dark-picture', picture);
const error = async (p) => { await p.click('.starter >> nth=3'); await p.press('#prompt', 'Control+Enter'); await done(p); };
await page({ colorScheme: 'light' }, 'error', error);
await page({ colorScheme: 'dark' }, 'dark-error', async (p) => { await p.selectOption('#model', '(other)'); await p.fill('#other', 'sandbox-error-event'); await ask(p, 'Why?'); await done(p); await p.click('#tab-python'); });
await page({ colorScheme: 'light' }, 'code', async (p) => { await ask(p, 'Show it:\n```rust\nfn main() {\n    println!("hello");\n}\n```\nDone.'); await done(p); await p.click('#tab-go'); });
await page({ colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 }, 'narrow', async (p) => { await ask(p, 'Why is the sky blue?'); await done(p); });
await page({ colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 }, 'narrow-empty', async (p) => {});
await browser.close();
