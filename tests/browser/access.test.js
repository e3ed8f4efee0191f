// The page to try the gateway, for everyone: by keyboard, with a screen reader, in all colours and widths.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { PICTURE, ask, choose, controlled, gateway, isOver, upstream, visit } from './fixture.js';
import { chunk } from './servers.js';

/** What has the focus: its id, or what it is called. */
const focused = (page) => page.evaluate(() => {
  const { id, ariaLabel, textContent } = document.activeElement;
  return id || ariaLabel || textContent.trim();
});

/** Presses Tab until this has the focus. */
async function tabTo(page, name) {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab');
    if ((await focused(page)).startsWith(name)) return;
  }
  assert.fail(`Tab does not reach ${name}`);
}

describe('a user', () => {
  test('can do everything with the keyboard, and sees where the focus is', async () => {
    const page = await visit(gateway);
    assert.equal(await focused(page), 'prompt');
    await page.keyboard.type('hello there');
    await page.keyboard.press('Control+Enter');
    await isOver(page);
    // Each control is reached once, in reading order, and is outlined. Behind the last one is the first.
    const reached = [];
    for (;;) {
      await page.keyboard.press('Tab');
      if (await page.evaluate(() => document.activeElement === document.body)) continue;
      const name = await focused(page);
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
    assert.equal(await focused(page), 'key', 'the settings follow their button, after Send');
  });

  test('can mend a refused request with the keyboard alone', async () => {
    const page = await visit(gateway, { expected: true });
    await tabTo(page, 'Mistakes');
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'prompt');
    await page.keyboard.press('Control+Enter');
    await isOver(page);
    await tabTo(page, 'Edit the prompt');
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'prompt');
    await tabTo(page, 'settings-toggle');
    await page.keyboard.press('Enter');
    await tabTo(page, 'more');
    await page.keyboard.press('Control+A');
    await page.keyboard.press('Delete');
    await page.keyboard.press('Control+Enter');
    await isOver(page, 2);
    await page.locator('.turn:last-child .picture img').waitFor();
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
