// The page to try the gateway, in a real browser.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { after, afterEach, before, describe, test } from 'node:test';

import { ROOT, startGateway, startSandbox } from '../clients/node/processes.js';
import { openPage, startBrowser } from './browser.js';
import { chunk, startUpstream } from './servers.js';

const KEY = 'the-key-of-a-user-1f3a';
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

let browser;
let sandbox;
let upstream;
// A gateway before the sandbox, and one before an upstream that the tests control.
let gateway;
let controlled;
let open;

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
async function visit({ address }, { expected = false, ...options } = {}) {
  const origin = `http://${address}`;
  open = { origin, expected, ...(await openPage(browser, `${origin}/`, options)) };
  return open.page;
}

async function ask(page, prompt) {
  await page.getByLabel('Prompt', { exact: true }).fill(prompt);
  await page.keyboard.press('Control+Enter');
}

async function choose(page, model) {
  await page.locator('#model').selectOption('(other)');
  await page.locator('#other').fill(model);
}

const answer = (page) => page.locator('.turn:last-child .answer');
const isOver = (page, calls = 1) => page.locator('.turn[aria-busy=false]').nth(calls - 1).waitFor();
const facts = (page) => page.locator('.turn:last-child .facts').innerText();
const textOf = (page, text) => answer(page).getByText(text, { exact: true }).waitFor();

describe('an answer', () => {
  test('appears in steps, each as soon as it has come', async () => {
    const page = await visit(controlled);
    await ask(page, 'hello');
    const call = await upstream.next();
    await page.getByText('Waiting for the first chunk').waitFor();
    // The next step is sent only after the page has shown the one before.
    for (const step of ['One', 'One two', 'One two three']) {
      call.send(chunk(step.split(' ').length === 1 ? step : ` ${step.split(' ').at(-1)}`));
      await textOf(page, step);
      await page.getByRole('button', { name: 'Stop' }).waitFor();
    }
    call.send(chunk('.', true));
    call.end();
    await isOver(page);
    assert.equal(await answer(page).innerText(), 'One two three.');
    await page.getByRole('button', { name: 'Send' }).waitFor();
  });

  test('has tokens, times, the request id, and the trace id that upstream got', async () => {
    const page = await visit(controlled);
    const response = page.waitForResponse(/streamGenerateContent/);
    await ask(page, 'hello');
    const call = await upstream.next();
    call.send(chunk('Hi.', true));
    call.end();
    await isOver(page);
    const shown = await facts(page);
    assert.match(shown, /3 in, 5 out/);
    assert.match(shown, /First chunk\s+[\d.]+ m?s/);
    assert.match(shown, /Total\s+[\d.]+ m?s/);
    assert.match(shown, /STOP/);
    assert.ok(shown.includes((await response).headers()['x-request-id']), shown);
    const [, trace] = (await (await response).request().allHeaders()).traceparent.split('-');
    assert.ok(shown.includes(trace), shown);
    assert.equal(call.headers.traceparent.split('-')[1], trace);
  });

  test('keeps its lines, and shows code as a block, however it is cut', async () => {
    const page = await visit(controlled);
    await ask(page, 'code, please');
    const call = await upstream.next();
    const text = 'First line\nsecond line:\n\n```rust\nfn main() {\n    run();\n}\n```\n\nThe end, with `a` and ``` inside.';
    for (const char of text) call.send(chunk(char));
    call.send(chunk('', true));
    call.end();
    await isOver(page);
    assert.deepEqual(await answer(page).locator('.prose').allInnerTexts(), [
      'First line\nsecond line:',
      'The end, with `a` and ``` inside.',
    ]);
    assert.equal(await answer(page).locator('figcaption').innerText(), 'rust');
    assert.equal(await answer(page).locator('pre').textContent(), 'fn main() {\n    run();\n}');
  });

  test('is text, whatever it contains', async () => {
    const page = await visit(controlled);
    const hostile = '<img src=x onerror="document.title=\'hacked\'"><script>document.title="hacked"</script><b>bold</b>';
    await ask(page, hostile);
    const call = await upstream.next();
    call.send(chunk(hostile, true));
    call.end();
    await isOver(page);
    assert.equal(await answer(page).innerText(), hostile);
    assert.equal(await page.locator('.turn img, .turn b, .turn script').count(), 0);
    assert.notEqual(await page.title(), 'hacked');
  });

  test('can be stopped, which ends the call upstream', async () => {
    const page = await visit(controlled);
    await ask(page, 'a long story');
    const call = await upstream.next();
    call.send(chunk('Once upon a time'));
    await textOf(page, 'Once upon a time');
    await page.keyboard.press('Escape');
    await call.closed;
    await isOver(page);
    assert.equal(await answer(page).innerText(), 'Once upon a time');
    assert.match(await facts(page), /your stop/);
  });

  test('is a part of the next request', async () => {
    const page = await visit(controlled);
    for (const [prompt, text] of [['one', 'uno'], ['two', 'due']]) {
      await ask(page, prompt);
      const call = await upstream.next();
      call.send(chunk(text.slice(0, 1)));
      call.send(chunk(text.slice(1), true));
      call.end();
      await isOver(page, prompt === 'one' ? 1 : 2);
    }
    const sent = upstream.calls.at(-1).body.contents.map(({ role, parts }) => [role, ...parts.map(({ text }) => text)]);
    assert.deepEqual(sent, [['user', 'one'], ['model', 'uno'], ['user', 'two']]);
    await page.getByRole('button', { name: 'New' }).click();
    await ask(page, 'three');
    const call = await upstream.next();
    call.send(chunk('tre', true));
    call.end();
    await isOver(page);
    assert.equal(call.body.contents.length, 1);
  });
});

describe('a picture', () => {
  test('appears in its shape, and can be changed by the next prompt', async () => {
    const page = await visit(gateway);
    await page.locator('#model').selectOption('gemini-2.5-flash-image');
    await page.getByLabel('Ratio').selectOption('16:9');
    await ask(page, 'a lighthouse at dawn');
    const picture = answer(page).locator('.picture img');
    await picture.waitFor();
    await isOver(page);
    const shape = await picture.evaluate(async (image) => {
      await image.decode();
      return [image.naturalWidth, image.naturalHeight];
    });
    assert.equal(shape[0] * 9, shape[1] * 16);
    assert.match(await picture.getAttribute('alt'), /a lighthouse at dawn/);
    await answer(page).getByRole('button', { name: 'Use in the next prompt' }).click();
    await page.locator('#pictures img').waitFor();
    await ask(page, 'the same at night');
    await isOver(page, 2);
    await answer(page).locator('.picture img').waitFor();
  });

  for (const [how, add] of [
    ['dropped in', (page, transfer) => page.dispatchEvent('#prompt', 'drop', { dataTransfer: transfer })],
    ['pasted', (page, transfer) => page.evaluate((clipboardData) => {
      document.getElementById('prompt').dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
    }, transfer)],
    ['chosen', (page) => page.locator('#file').setInputFiles({ name: 'dot.png', mimeType: 'image/png', buffer: PICTURE })],
  ]) {
    test(`that is ${how} is sent as it is`, async () => {
      const page = await visit(controlled);
      const transfer = await page.evaluateHandle((base64) => {
        const transfer = new DataTransfer();
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
        transfer.items.add(new File([bytes], 'dot.png', { type: 'image/png' }));
        return transfer;
      }, PICTURE.toString('base64'));
      await add(page, transfer);
      await page.locator('#pictures img[alt="dot.png"]').waitFor();
      await ask(page, 'what is it?');
      const call = await upstream.next();
      const [{ inlineData }, { text }] = call.body.contents[0].parts;
      assert.deepEqual([inlineData.mimeType, inlineData.data, text], ['image/png', PICTURE.toString('base64'), 'what is it?']);
      call.send(chunk('a dot', true));
      call.end();
      await isOver(page);
    });
  }
});

describe('an error', () => {
  test('lists all violations by their fields', async () => {
    const page = await visit(gateway, { expected: true });
    await page.getByRole('button', { name: 'Mistakes' }).click();
    await page.keyboard.press('Control+Enter');
    await isOver(page);
    const error = page.getByRole('region', { name: 'Error' });
    assert.match(await error.innerText(), /INVALID_ARGUMENT · REQUEST_INVALID/);
    const fields = await error.locator('dt').allInnerTexts();
    for (const name of ['temperature', 'top_p', 'aspect_ratio']) {
      assert.ok(fields.some((field) => field.endsWith(name)), `${name} of ${fields}`);
    }
    assert.match(await error.innerText(), /a temperature is from 0 to 2/);
    assert.equal(await page.locator('#ratio').getAttribute('aria-invalid'), 'true');
    await error.getByRole('button', { name: 'Edit the prompt' }).click();
    assert.equal(await page.locator('#prompt').inputValue(), 'A picture with settings that do not exist');
  });

  test('names its reason and the delay before a retry', async () => {
    const page = await visit(gateway, { expected: true });
    await choose(page, 'sandbox-429');
    await ask(page, 'hello');
    await isOver(page);
    const error = await page.getByRole('region', { name: 'Error' }).innerText();
    assert.match(error, /429 · RESOURCE_EXHAUSTED · RATE_LIMIT_EXCEEDED/);
    assert.match(error, /Wait 3.5 s/);
    assert.match(await facts(page), /Request\s+\S{36}/);
  });

  test('in the middle of a stream leaves what had come', async () => {
    const page = await visit(gateway, { expected: true });
    await choose(page, 'sandbox-error-event');
    await ask(page, 'hello');
    await isOver(page);
    assert.match(await answer(page).locator('.prose').innerText(), /^\[sandbox\] You said/);
    assert.match(await page.getByRole('region', { name: 'Error' }).innerText(), /UNAVAILABLE/);
    // The failed call is no part of the conversation.
    await page.locator('#model').selectOption('gemini-2.5-flash');
    await ask(page, 'again');
    await isOver(page, 2);
    assert.match(await answer(page).innerText(), /You said "again"/);
  });
});

describe('a user', () => {
  test('can do everything with the keyboard, and sees where the focus is', async () => {
    const page = await visit(gateway);
    const focused = () => page.evaluate(() => {
      const { id, ariaLabel, textContent } = document.activeElement;
      return id || ariaLabel || textContent.trim();
    });
    assert.equal(await focused(), 'prompt');
    await page.keyboard.type('hello there');
    await page.keyboard.press('Control+Enter');
    await isOver(page);
    // Each control is reached once, in reading order, and is outlined. Behind the last one is the first.
    const reached = [];
    for (;;) {
      await page.keyboard.press('Tab');
      if (await page.evaluate(() => document.activeElement === document.body)) continue;
      const name = await focused();
      if (reached.includes(name)) break;
      reached.push(name);
      const isVisible = await page.evaluate(() => {
        const shows = (element, part) => element && getComputedStyle(element, part).outlineStyle !== 'none';
        const { activeElement } = document;
        // The outline of the prompt is that of the box around it.
        if (activeElement.id === 'prompt') return shows(document.getElementById('composer'), '::before');
        return shows(activeElement) || shows(activeElement.closest('.tool'));
      });
      assert.ok(isVisible, `the focus on ${name} is visible`);
    }
    reached.push(...reached.splice(0, reached.indexOf('Skip to the prompt')));
    const order = ['Skip to the prompt', 'new', 'prompt', 'add', 'model', 'settings-toggle', 'send', 'copy', 'tab-curl'];
    assert.deepEqual(reached.filter((name) => order.includes(name)), order, reached.join(', '));
    await page.locator('#tab-curl').focus();
    for (const name of ['grpcurl', 'Python', 'Python gRPC', 'Go', 'curl']) {
      await page.keyboard.press('ArrowRight');
      assert.equal(await page.getByRole('tab', { selected: true }).innerText(), name);
    }
    await page.locator('#settings-toggle').focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'key', 'the settings follow their button, after Send');
  });

  test('of a screen reader hears an answer in sentences, and knows every control', async () => {
    const page = await visit(controlled);
    await page.evaluate(() => {
      window.announcements = [];
      const watch = (id) => new MutationObserver(() => {
        window.announcements.push(document.getElementById(id).textContent);
      }).observe(document.getElementById(id), { childList: true, characterData: true, subtree: true });
      watch('spoken');
      watch('status');
    });
    await ask(page, 'many words');
    const call = await upstream.next();
    for (let word = 0; word < 200; word += 1) call.send(chunk(word % 10 === 9 ? 'word. ' : 'word '));
    call.send(chunk('', true));
    call.end();
    await isOver(page);
    await page.getByText('The answer is complete, 5 tokens.').waitFor({ state: 'attached' });
    const announcements = await page.evaluate(() => window.announcements);
    assert.ok(announcements.length < 15, `${announcements.length} announcements for 201 chunks`);
    const heard = await page.locator('#spoken').textContent();
    assert.equal(heard.match(/word/g).length, 200);
    const session = await page.context().newCDPSession(page);
    const { nodes } = await session.send('Accessibility.getFullAXTree');
    const controls = nodes.filter(({ ignored, role }) => !ignored
      && ['button', 'textbox', 'combobox', 'tab', 'link', 'image', 'tabpanel', 'article'].includes(role?.value));
    assert.ok(controls.length > 12);
    for (const { role, name } of controls) assert.ok(name?.value, `a ${role.value} has no name`);
  });

  for (const colorScheme of ['light', 'dark']) {
    test(`can read everything in ${colorScheme}`, async () => {
      const page = await visit(gateway, { expected: true, colorScheme });
      await page.locator('#model').selectOption('gemini-2.5-flash-image');
      await ask(page, 'A line, and code:\n```rust\nfn main() {}\n```');
      await isOver(page);
      await choose(page, 'sandbox-429');
      await ask(page, 'hello');
      await isOver(page, 2);
      await page.locator('#settings-toggle').click();
      const faint = await page.evaluate(() => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
        // The canvas resolves every notation of a colour.
        const paint = (...colors) => {
          canvas.clearRect(0, 0, 1, 1);
          for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
          return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
        };
        const luminance = (rgb) => rgb.map((value) => value / 255)
          .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
          .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
        const background = (element) => {
          const colors = [];
          for (let at = element; at; at = at.parentElement) {
            colors.unshift(getComputedStyle(at).backgroundColor);
            if (at.id === 'composer') colors.unshift(getComputedStyle(at, '::before').backgroundColor);
          }
          return colors;
        };
        const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const elements = new Set(document.querySelectorAll('select, input[type=text], textarea'));
        while (texts.nextNode()) if (texts.currentNode.data.trim()) elements.add(texts.currentNode.parentElement);
        const faint = [];
        for (const element of elements) {
          if (!element.checkVisibility() || element.closest('.unseen, script, style, option, svg')) continue;
          const behind = background(element);
          const [text, under] = [paint(...behind, getComputedStyle(element).color), paint(...behind)].map(luminance);
          const contrast = (Math.max(text, under) + 0.05) / (Math.min(text, under) + 0.05);
          if (contrast < 4.5) faint.push(`${element.tagName} ${element.className} ${element.textContent.slice(0, 30)}: ${contrast.toFixed(2)}`);
        }
        return elements.size > 20 ? faint : ['nothing was measured'];
      });
      assert.deepEqual(faint, []);
    });
  }

  test('of assistive technology finds no fault that axe knows, at any width', async () => {
    const page = await visit(gateway, { expected: true });
    const faults = async () => {
      const { violations, incomplete } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations', 'incomplete'] }));
      // Contrast has a test of its own: axe cannot see what is behind a text where elements overlap.
      const found = [...violations, ...incomplete.filter(({ id }) => id !== 'color-contrast')];
      return found.map(({ help, nodes }) => [help, ...nodes.map(({ html }) => html)]);
    };
    await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
    assert.deepEqual(await faults(), [], 'at the beginning');
    await page.locator('#file').setInputFiles({ name: 'dot.png', mimeType: 'image/png', buffer: PICTURE });
    await page.locator('#pictures img').waitFor();
    await page.locator('#model').selectOption('gemini-2.5-flash-image');
    await ask(page, 'A line, and code:\n```rust\nfn main() {}\n```');
    await isOver(page);
    await page.getByRole('button', { name: 'New' }).waitFor();
    await page.locator('#more').evaluate((more) => { more.value = '{"generationConfig": {"temperature": 3}}'; });
    await ask(page, 'hello');
    await isOver(page, 2);
    await page.locator('#settings-toggle').click();
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 800 });
      assert.deepEqual(await faults(), [], `with answers, at a width of ${width}`);
    }
  });

  test('of a narrow screen scrolls in one direction', async () => {
    const page = await visit(gateway, { expected: true, viewport: { width: 320, height: 640 } });
    const isNarrow = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    assert.ok(await isNarrow());
    await choose(page, 'sandbox-429');
    await ask(page, 'hello '.repeat(30));
    await isOver(page);
    await page.locator('#settings-toggle').click();
    assert.ok(await isNarrow());
  });

  test('who wants less motion sees none', async () => {
    const page = await visit(controlled, { reducedMotion: 'reduce' });
    await ask(page, 'hello');
    const call = await upstream.next();
    await page.locator('.waiting').waitFor();
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    call.send(chunk('Hi.', true));
    call.end();
    await isOver(page);
  });
});

test('a key stays in memory, and is in no sample', async () => {
  const page = await visit(controlled);
  await page.locator('#settings-toggle').click();
  await page.getByLabel('API key or token').fill(KEY);
  await ask(page, 'hello');
  const call = await upstream.next();
  assert.equal(call.headers['x-goog-api-key'] ?? call.headers.authorization?.replace('Bearer ', ''), KEY);
  call.send(chunk('Hi.', true));
  call.end();
  await isOver(page);
  for (const tab of await page.getByRole('tab').all()) {
    await tab.click();
    const sample = await page.locator('#sample').textContent();
    assert.ok(sample.includes('YOUR_KEY') && !sample.includes(KEY), sample);
  }
  assert.ok(!page.url().includes(KEY));
  const stored = await page.evaluate(async () => [
    localStorage.length, sessionStorage.length, document.cookie, (await indexedDB.databases()).length, (await caches.keys()).length,
    JSON.stringify(history.state),
  ]);
  assert.deepEqual(stored, [0, 0, '', 0, 0, 'null']);
  assert.ok(open.seen.requests.every((url) => !url.includes(KEY)));
  await page.reload();
  assert.equal(await page.locator('#key').inputValue(), '');
});

test('the policy of the page allows nothing but itself', async () => {
  const page = await visit(gateway, { expected: true });
  const headers = open.response.headers();
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['referrer-policy'], 'no-referrer');
  const policy = headers['content-security-policy'];
  for (const rule of ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]) {
    assert.ok(policy.includes(rule), policy);
  }
  assert.ok(!policy.includes('unsafe'), policy);
  const attempts = await page.evaluate(async () => {
    const fails = async (attempt) => { try { await attempt(); return false; } catch { return true; } };
    return [
      await fails(() => fetch('https://example.com/')),
      await fails(() => { document.body.innerHTML = '<b>x</b>'; }),
      await fails(() => { document.createElement('script').text = 'document.title = "hacked"'; }),
    ];
  });
  assert.deepEqual(attempts, [true, true, true]);
  // These reports are what was asked for here.
  assert.ok(open.seen.messages.length >= 2);
  open.seen.messages.length = 0;
});

describe('the same call', () => {
  const python = `${ROOT}target/ci/python/bin/python`;
  const folder = mkdtempSync(`${tmpdir()}/sample-`);

  before(() => {
    writeFileSync(`${folder}/picture-1.png`, PICTURE);
    const proto = `${ROOT}proto`;
    const contract = `${proto}/mountsea/gemini/v1`;
    const files = readdirSync(contract).map((name) => `${contract}/${name}`);
    execFileSync(python, ['-m', 'grpc_tools.protoc', `-I${proto}`, '--python_out=.', '--grpc_python_out=.', ...files], { cwd: folder });
  });

  after(() => rmSync(folder, { recursive: true }));

  for (const [name, ...command] of [['curl', 'bash'], ['Python', python], ['Python gRPC', python]]) {
    test(`is made by the sample for ${name}`, async () => {
      const page = await visit(controlled);
      await page.getByRole('tab', { name, exact: true }).click();
      const prompt = 'It\'s "quoted", $HOME, `id` and \\n, in two\nlines';
      const run = async () => {
        writeFileSync(`${folder}/sample`, await page.locator('#sample').textContent());
        const program = spawn(command[0], ['sample'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
        const output = [];
        for (const stream of [program.stdout, program.stderr]) stream.on('data', (data) => output.push(data));
        const closed = once(program, 'close');
        const call = await Promise.race([upstream.next(), closed.then(() => assert.fail(`${Buffer.concat(output)}`))]);
        call.send(chunk('Hi.', true));
        call.end();
        assert.deepEqual(await closed, [0, null], `${Buffer.concat(output)}`);
        assert.match(`${Buffer.concat(output)}`, /Hi\./);
        return call.body.contents[0].parts;
      };
      await page.getByLabel('Prompt', { exact: true }).fill(prompt);
      assert.deepEqual(await run(), [{ text: prompt }]);
      await page.locator('#file').setInputFiles({ name: 'dot.png', mimeType: 'image/png', buffer: PICTURE });
      await page.locator('#pictures img').waitFor();
      const [picture, text] = await run();
      // Google's SDK writes the variant of base64 that is for URLs.
      assert.deepEqual([Buffer.from(picture.inlineData.data, 'base64'), text], [PICTURE, { text: prompt }]);
    });
  }
});
