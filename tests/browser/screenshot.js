// Makes the pictures of the page that the documents show: `npm run screenshot --prefix tests/browser`.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';

import { ROOT, startGateway, startSandbox } from '../clients/node/processes.js';
import { openPage, startBrowser } from './browser.js';

/** In the README, pictures have to load fast. */
const MAX_BYTES = 250_000;
const PICTURES = { light: 'page.png', dark: 'page-dark.png' };
/** The address in the pictures: that of the documents, wherever the gateway listens. */
const SHOWN = 'localhost:50051';

const sandbox = await startSandbox();
const gateway = await startGateway(sandbox.url, ['--playground']);
const browser = await startBrowser([`--host-resolver-rules=MAP ${SHOWN} ${gateway.address}`]);

async function picture(colorScheme) {
  const options = { viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.25, colorScheme, reducedMotion: 'reduce' };
  const { page, close } = await openPage(browser, `http://${SHOWN}/`, options);
  await page.getByRole('tab', { name: 'Python', exact: true }).click();
  await page.locator('#model').selectOption('gemini-2.5-flash-image');
  await page.getByLabel('Ratio').selectOption('21:9');
  await page.getByLabel('Prompt', { exact: true }).fill('A lighthouse at dawn, in fog');
  await page.keyboard.press('Control+Enter');
  await page.locator('.turn[aria-busy=false]').waitFor();
  await page.locator('.picture img').evaluate(async (image) => {
    await image.decode();
    // The noise in a picture of the sandbox, which is hardly seen, would be more than half of the file.
    image.style.filter = 'blur(1px)';
  });
  const bytes = await page.screenshot();
  await close();
  return bytes;
}

try {
  for (const [scheme, name] of Object.entries(PICTURES)) {
    const bytes = await picture(scheme);
    assert.ok(bytes.length < MAX_BYTES, `${name} has ${bytes.length} bytes`);
    writeFileSync(`${ROOT}docs/images/${name}`, bytes);
    console.log(`docs/images/${name}: ${bytes.length} bytes`);
  }
} finally {
  await browser.close();
  await Promise.all([gateway, sandbox].map((process) => process.stop()));
}
