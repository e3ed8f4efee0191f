// What the page shows of a call. All text of models and errors becomes text nodes: nothing here parses HTML, and the
// page's policy forbids it.

import { copy, make, say } from './dom.js';
import { markField } from './models.js';
import { codeBlock, GrowingText, Speech } from './text.js';

const seconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`);
const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} KB` : `${(bytes / 1e6).toFixed(1)} MB`);

function blobOf({ mimeType, data }) {
  return new Blob([Uint8Array.from(atob(data), (char) => char.charCodeAt(0))], { type: mimeType });
}

/** A prompt and its answer. */
export class Turn {
  #answer;
  #facts;
  #text = null;
  #thoughts = null;
  #parent;
  #speech = new Speech();
  #isEmpty = true;
  #actions;

  /** `actions`: what the buttons do, `edit`, `retry`, `usePicture` and `askForKey`; `grown` is called when a picture has its size. */
  constructor({ prompt, pictures }, number, actions) {
    this.#actions = actions;
    this.prompt = prompt;
    const thumbnails = pictures.map(({ url, name }) => make('li', {}, make('img', { src: url, alt: name })));
    this.#answer = make('div', { class: 'answer arriving' });
    this.#facts = make('dl', { class: 'facts', hidden: true });
    this.#parent = this.#answer;
    const asked = make('div', { class: 'asked' });
    if (thumbnails.length) asked.append(make('ul', { 'aria-label': 'Pictures of the prompt' }, ...thumbnails));
    const text = new GrowingText(asked);
    text.add(prompt);
    text.end();
    const attributes = { class: 'turn', 'aria-label': `Call ${number}`, 'aria-busy': 'true' };
    const heading = make('h2', { class: 'unseen' }, `Call ${number}`);
    this.element = make('article', attributes, heading, asked, this.#answer, this.#facts);
    this.#answer.append(make('p', { class: 'waiting' }, 'Waiting for the first chunk'));
  }

  /** Adds the parts of a chunk. */
  add(chunk) {
    this.#answer.querySelector(':scope > .waiting')?.remove();
    const blocked = chunk.promptFeedback?.blockReason;
    if (blocked) this.#notice(`The prompt was blocked: ${blocked}`);
    for (const part of chunk.candidates?.[0]?.content?.parts ?? []) this.#part(part);
  }

  #part(part) {
    const { text, inlineData, thought, functionCall, thoughtSignature, ...others } = part;
    if (Boolean(thought) !== (this.#thoughts !== null)) this.#changeParent(thought);
    if (text) {
      this.#text ??= new GrowingText(this.#parent);
      this.#text.add(text);
      if (!thought) this.#speech.add(text);
    }
    const blocks = Object.entries(others).filter(([, value]) => value !== null && typeof value === 'object');
    if (functionCall) blocks.push([`call of ${functionCall.name}`, functionCall.args ?? {}]);
    if (inlineData || blocks.length) this.#endText();
    if (inlineData) this.#picture(inlineData, thought);
    for (const [name, value] of blocks) codeBlock(this.#parent, name, JSON.stringify(value, null, 2));
    if (text || inlineData || blocks.length) this.#isEmpty = false;
  }

  #changeParent(isThought) {
    this.#endText();
    this.#thoughts = isThought ? make('details', { class: 'thoughts' }, make('summary', {}, 'Thoughts')) : null;
    if (isThought) this.#answer.append(this.#thoughts);
    this.#parent = this.#thoughts ?? this.#answer;
  }

  #endText() {
    this.#text?.end();
    this.#text = null;
  }

  #picture(data, isThought) {
    const blob = blobOf(data);
    const url = URL.createObjectURL(blob);
    const alt = `Picture for the prompt: ${this.prompt.slice(0, 120) || 'no text'}`;
    const caption = make('span', {});
    const image = make('img', { src: url, alt, onload: () => {
      caption.textContent = `${image.naturalWidth} × ${image.naturalHeight}, ${size(blob.size)}`;
      this.#actions.grown();
    } });
    const name = `answer.${data.mimeType.split('/')[1] ?? 'bin'}`;
    this.#parent.append(make('figure', { class: 'picture' }, image, make('figcaption', {}, caption,
      make('button', { type: 'button', class: 'act plain', onclick: () => this.#actions.usePicture(data, url) }, 'Use in the next prompt'),
      make('a', { class: 'act plain', href: url, download: name }, 'Save'))));
    if (!isThought) say('A picture has arrived.');
  }

  #notice(text) {
    this.#isEmpty = false;
    this.#answer.append(make('p', { class: 'error' }, text));
    say(text);
  }

  /** Shows that the answer has ended. */
  end({ finishReason, wasStopped, usage }) {
    this.#close();
    const tokens = usage?.candidatesTokenCount;
    if (wasStopped) say('Stopped.');
    else if (this.#isEmpty && finishReason) this.#notice(`The answer has no content. It ended with ${finishReason}.`);
    else say(`The answer is complete${tokens === undefined ? '' : `, ${tokens} tokens`}.`);
  }

  #close() {
    this.#answer.querySelector(':scope > .waiting')?.remove();
    this.#endText();
    this.#speech.end();
    this.#answer.classList.remove('arriving');
    this.element.setAttribute('aria-busy', 'false');
  }

  /** Shows the error that the call ended with, and marks the controls that it is about. */
  error(error) {
    this.#close();
    const { edit, retry, askForKey } = this.#actions;
    const violations = error.violations.map(({ field, description }) => make('div', {},
      make('dt', {}, field || 'the request'), make('dd', {}, description)));
    const button = (text, onclick) => make('button', { type: 'button', class: 'act', onclick }, text);
    this.#answer.append(make('section', { class: 'error', 'aria-label': 'Error' },
      make('h3', {}, error.title),
      error.codes.length ? make('div', { class: 'codes' }, error.codes.join(' · ')) : null,
      // The message of a request with violations repeats the first of them.
      violations.length ? make('dl', { class: 'violations' }, ...violations) : make('p', {}, error.message),
      error.retryDelay ? make('p', { class: 'delay' }, `Wait ${Number.parseFloat(error.retryDelay)} s before you try it again.`) : null,
      make('div', { class: 'acts' },
        button('Edit the prompt', edit),
        violations.length ? null : button('Send again', retry),
        error.isAboutKey ? button('Enter a key', askForKey) : null)));
    error.violations.forEach(({ field }) => markField(field));
    say(`${error.title}. ${violations.length ? `${violations.length === 1 ? 'One violation' : `${violations.length} violations`}.` : error.message.slice(0, 200)}`);
  }

  /** Shows the numbers and ids of the call; called again as more of them is known. */
  facts({ usage, firstChunk, total, finishReason, wasStopped, modelVersion, requestId, traceId }) {
    const id = (name, value) => value && total !== undefined && make('div', { class: 'id' }, make('dt', {}, name),
      make('dd', {}, make('code', {}, value), make('button', {
        type: 'button', class: 'quiet', 'aria-label': `Copy the id: ${name}`, onclick: (event) => copy(value, event.currentTarget),
      }, 'Copy')));
    const fact = (name, value, kind) => value && make('div', { class: kind ?? '' }, make('dt', {}, name), make('dd', {}, value));
    const ms = (value) => (value === undefined ? null : seconds(value));
    const { promptTokenCount, candidatesTokenCount, thoughtsTokenCount } = usage ?? {};
    const tokens = [[promptTokenCount, 'in'], [thoughtsTokenCount, 'thought'], [candidatesTokenCount, 'out']];
    const isOdd = wasStopped || (finishReason && finishReason !== 'STOP');
    this.#facts.replaceChildren(...[
      fact('Tokens', tokens.filter(([count]) => count).map(([count, kind]) => `${count} ${kind}`).join(', ')),
      fact('First chunk', ms(firstChunk)),
      fact('Total', ms(total)),
      fact('Ended with', wasStopped ? 'your stop' : finishReason, isOdd ? 'warn' : ''),
      fact('Answered by', modelVersion),
      id('Request', requestId),
      id('Trace', traceId),
    ].filter(Boolean));
    this.#facts.hidden = !this.#facts.childElementCount;
  }
}
