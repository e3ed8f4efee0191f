// The prompt that is being written: its text, pictures and settings, and the request that they make.

import { merged } from './call.js';
import { field, make, say } from './dom.js';
import { imageConfig, model, unmarkFields } from './models.js';
import { showRequest } from './sample_panel.js';
import { state } from './state.js';

/** Written in the samples while there is no prompt. */
const EXAMPLE = { role: 'user', parts: [{ text: 'Why is the sky blue?' }] };

/** The contents that the prompt adds, or `null` if it is empty. */
export function content() {
  const text = field('prompt').value.trim();
  const parts = state.pictures.map(({ inlineData }) => ({ inlineData }));
  if (text) parts.push({ text });
  return parts.length ? { role: 'user', parts } : null;
}

/** The request with these new contents. Throws if the settings are not JSON. */
export function requestWith(newContent) {
  const body = { contents: [...state.history, newContent] };
  const shape = imageConfig();
  if (shape) body.generationConfig = { imageConfig: shape };
  const more = field('more').value.trim();
  return { model: model(), body: more ? merged(body, parsed(more)) : body, key: field('key').value.trim() };
}

function parsed(text) {
  const value = JSON.parse(text);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new SyntaxError('an object is expected');
  return value;
}

/** Shows a sentence below the prompt, or nothing if it is empty. */
export function notice(text) {
  field('notice').textContent = text;
  field('notice').hidden = !text;
}

/** Adds pictures to the prompt. */
export async function addFiles(files) {
  const pictures = [...files].filter(({ type }) => type.startsWith('image/'));
  notice(pictures.length < files.length ? 'Only pictures can be added.' : '');
  for (const file of pictures) {
    const dataUrl = await new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    });
    const inlineData = { mimeType: file.type, data: dataUrl.slice(dataUrl.indexOf(',') + 1) };
    state.pictures.push({ name: file.name || 'picture', url: URL.createObjectURL(file), inlineData });
  }
  if (pictures.length) say(`${pictures.length === 1 ? 'A picture was' : `${pictures.length} pictures were`} added.`);
  showPictures();
}

/** Adds a picture of an answer to the prompt. */
export function addPicture(picture) {
  state.pictures.push(picture);
  showPictures();
  field('prompt').focus();
}

/** Shows the pictures of the prompt. */
export function showPictures() {
  field('pictures').hidden = !state.pictures.length;
  field('pictures').replaceChildren(...state.pictures.map((picture) => make('li', {},
    make('img', { src: picture.url, alt: picture.name }),
    make('button', { type: 'button', 'aria-label': `Remove ${picture.name}`, onclick: () => {
      state.pictures = state.pictures.filter((other) => other !== picture);
      showPictures();
      field('prompt').focus();
    } }, '×'))));
  changed();
}

/** Writes a prompt into the field again. */
export function restore({ prompt, pictures }) {
  field('prompt').value = prompt;
  state.pictures = [...pictures];
  showPictures();
  field('prompt').focus();
}

/** Opens or closes the settings, and focuses one of them if it is named. */
export function openSettings(isOpen, focused) {
  field('settings').hidden = !isOpen;
  field('settings-toggle').setAttribute('aria-expanded', String(isOpen));
  if (focused) field(focused).focus();
}

/** Called after each change of the prompt or its settings. */
export function changed() {
  unmarkFields();
  field('send').setAttribute('aria-disabled', String(!content() || Boolean(state.running)));
  const set = [['key', 'key'], ['more', 'JSON']].filter(([id]) => field(id).value.trim()).map(([, name]) => name);
  field('settings-toggle').textContent = ['Settings', ...set].join(' · ');
  const written = content();
  if (!written && state.sent) {
    showRequest(state.sent);
    return;
  }
  try {
    showRequest(requestWith(written ?? EXAMPLE));
  } catch {
    // Settings that are being written are not JSON yet.
  }
}
