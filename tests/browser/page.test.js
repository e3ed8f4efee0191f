// The page to try the gateway: answers, pictures, errors, keys and its policy.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { PICTURE, answer, ask, choose, controlled, facts, gateway, isOver, open, textOf, upstream, visit } from './fixture.js';
import { chunk } from './servers.js';

const KEY = 'the-key-of-a-user-1f3a';

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
