// scratch: look at the page with files from the tree
import { readFileSync } from 'node:fs';
import { startGateway, startSandbox } from '../clients/node/processes.js';
import { startBrowser } from './browser.js';
const SRC = new URL('../../src/page/', import.meta.url).pathname;
const rs = readFileSync(`${SRC}document.rs`, 'utf8');
const html = () => {
  const script = [...rs.matchAll(/include_str!\("(script\/.+?)"\)/g)].map(([, f]) => readFileSync(SRC + f, 'utf8').split('\n')
    .filter((l) => !/^import \{ .*';$/.test(l)).map((l) => l.replace(/^export /, '')).join('\n')).join('\n');
  return readFileSync(`${SRC}page.html`, 'utf8').replace('{style}', () => readFileSync(`${SRC}page.css`, 'utf8')).replace('{script}', () => script);
};
export const OUT = new URL('../../target/look/', import.meta.url).pathname;
const only = process.argv[2]?.split(',');
const sandbox = await startSandbox();
const gateway = await startGateway(sandbox.url, ['--playground']);
const browser = await startBrowser([`--host-resolver-rules=MAP localhost:50051 ${gateway.address}`]);
const states = {
  welcome: async () => {},
  text: async (page) => { await ask(page, 'What is a gateway for?'); await ask(page, 'Write a haiku about protocol buffers, and explain in detail why they are smaller than JSON.\n\n```rust\nfn main() {}\n```'); },
  picture: async (page) => {
    await page.locator('#model').selectOption('gemini-2.5-flash-image');
    await page.getByLabel('Ratio').selectOption('16:9');
    await ask(page, 'A lighthouse at dawn, in fog');
    await page.locator('.picture img').evaluate((i) => i.decode()); await page.mouse.move(5, 5);
  },
  error: async (page) => { await page.getByRole('button', { name: 'Mistakes' }).click(); await page.keyboard.press('Control+Enter'); await page.locator('.turn[aria-busy=false]').waitFor(); },
  cut: async (page) => { await page.locator('#model').selectOption('(other)'); await page.locator('#other').fill('sandbox-cut'); await ask(page, 'hello'); },
};
async function ask(page, prompt) {
  const n = await page.locator('.turn').count();
  await page.getByLabel('Prompt', { exact: true }).fill(prompt);
  await page.keyboard.press('Control+Enter');
  await page.locator('.turn[aria-busy=false]').nth(n).waitFor();
}
try {
  for (const [name, run] of Object.entries(states)) {
    for (const [kind, options] of Object.entries({
      light: {}, dark: { colorScheme: 'dark' }, phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 1.5 } })) {
      if (only && !only.includes(name) && !only.includes(`${name}-${kind}`)) continue;
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options });
      const page = await context.newPage();
      page.on('console', (m) => console.log(name, m.text())); page.on('pageerror', (e) => console.log(name, String(e)));
      await page.route('http://localhost:50051/', (r) => r.fulfill({ contentType: 'text/html', body: html() }));
      await page.goto('http://localhost:50051/');
      await page.waitForFunction(() => document.querySelectorAll('#model option').length > 3);
      await run(page);
      await page.screenshot({ path: `${OUT}${name}-${kind}.png` });
      await context.close();
    }
  }
} finally { await browser.close(); await gateway.stop(); await sandbox.stop(); }
