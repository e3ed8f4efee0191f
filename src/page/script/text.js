// Texts that grow while they arrive: on the page, and in what a screen reader reads out.

import { field, make } from './dom.js';

/** Reads an answer out in pieces of some sentences, so that a stream of words is not a flood of announcements. */
export class Speech {
  static LEAST_CHARS = 160;
  #text = '';

  add(text) {
    this.#text += text;
    if (this.#text.length < Speech.LEAST_CHARS) return;
    const end = Math.max(...['. ', '! ', '? ', '.\n', '。', '\n'].map((mark) => this.#text.lastIndexOf(mark) + mark.length));
    if (end >= Speech.LEAST_CHARS / 2) this.#announce(end);
  }

  end() {
    this.#announce(this.#text.length);
  }

  #announce(end) {
    const text = this.#text.slice(0, end).trim();
    this.#text = this.#text.slice(end);
    if (text) field('spoken').append(make('p', {}, text));
    // Screen readers read what is added; what was read is of no more use.
    while (field('spoken').childElementCount > 20) field('spoken').firstElementChild.remove();
  }
}

/** A text that grows. What is between lines of ``` becomes blocks of code; the rest keeps its line breaks. */
export class GrowingText {
  #parent;
  #node = null;
  #isCode = false;
  #atLineStart = true;
  // The beginning of a line that may become a line of ```.
  #kept = '';

  constructor(parent) {
    this.#parent = parent;
  }

  add(text) {
    const pieces = (this.#kept + text).match(/[^\n]*\n|[^\n]+$/g) ?? [];
    this.#kept = '';
    for (const piece of pieces) {
      const isWhole = piece.endsWith('\n');
      if (this.#atLineStart && /^\s{0,3}`{1,3}/.test(piece) && !isWhole && /^\s{0,3}(`{1,2}$|```)/.test(piece)) {
        this.#kept = piece;
        return;
      }
      if (this.#atLineStart && /^\s{0,3}```/.test(piece)) this.#fence(piece.trim().slice(3));
      else this.#write(piece);
      this.#atLineStart = isWhole;
    }
  }

  end() {
    const rest = this.#kept;
    this.#kept = '';
    if (/^\s*```\s*$/.test(rest)) this.#fence('');
    else if (rest) this.#write(rest);
    if (this.#node && !this.#isCode) this.#node.data = this.#node.data.trimEnd();
  }

  #fence(language) {
    if (this.#node) this.#node.data = this.#node.data.replace(/\n+$/, '');
    this.#isCode = !this.#isCode;
    this.#node = null;
    if (this.#isCode) this.#node = codeBlock(this.#parent, language);
  }

  #write(text) {
    if (!this.#node) {
      if (!text.trim()) return;
      this.#node = new Text();
      this.#parent.append(make('div', { class: 'prose' }, this.#node));
    }
    this.#node.appendData(text);
  }
}

/** Appends a block of code, and returns its text node. */
export function codeBlock(parent, title, text = '') {
  const node = new Text(text);
  const pre = make('pre', { tabindex: 0, role: 'group', 'aria-label': title || 'Code' }, make('code', {}, node));
  parent.append(make('figure', { class: 'block' }, title ? make('figcaption', {}, title) : null, pre));
  return node;
}
