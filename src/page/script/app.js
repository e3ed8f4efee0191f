// The page: its listeners, and what it shows first.

import { listModels } from './call.js';
import { copy, field, make } from './dom.js';
import { choose, isOther, showModels, showShapes } from './models.js';
import { addFiles, changed, openSettings } from './prompt.js';
import { reset, send } from './conversation.js';
import { showTabs } from './sample_panel.js';
import { state } from './state.js';

const MISTAKES = { generationConfig: { temperature: 3, topP: 2, imageConfig: { aspectRatio: '7:3' } } };
const STARTERS = [
  { kind: 'Text', prompt: 'Why is the sky blue? Answer in three sentences.', model: 'gemini-2.5-flash' },
  { kind: 'Picture', prompt: 'A lighthouse at dawn, in fog', model: 'gemini-2.5-flash-image', ratio: '16:9' },
  { kind: 'Code', prompt: 'A function in Rust that reverses the words of a sentence', model: 'gemini-2.5-flash' },
  { kind: 'Mistakes', prompt: 'A picture with settings that do not exist', model: 'gemini-2.5-flash-image', more: MISTAKES },
];

// The listeners

field('composer').addEventListener('submit', (event) => { event.preventDefault(); send(); });
field('composer').addEventListener('input', changed);
field('composer').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); }
  // Without this, Enter in a field of one line would send.
  else if (event.key === 'Enter' && event.target.matches('input')) event.preventDefault();
});
addEventListener('keydown', (event) => { if (event.key === 'Escape' && !event.isComposing) state.running?.abort(); });
field('stop').addEventListener('click', () => state.running?.abort());
field('new').addEventListener('click', reset);
field('model').addEventListener('change', () => {
  showShapes();
  changed();
  if (isOther()) field('other').focus();
});
field('key').addEventListener('change', async () => {
  const models = await listModels(field('key').value.trim());
  if (models) showModels(models);
  changed();
});
field('settings-toggle').addEventListener('click', () => openSettings(field('settings').hidden));
field('copy').addEventListener('click', (event) => copy(field('sample').textContent, event.currentTarget));
field('add').addEventListener('click', () => field('file').click());
field('file').addEventListener('change', () => { addFiles(field('file').files); field('file').value = ''; });
field('prompt').addEventListener('paste', (event) => {
  if (event.clipboardData.files.length) { event.preventDefault(); addFiles(event.clipboardData.files); }
});
const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
addEventListener('dragover', (event) => {
  if (carriesFiles(event)) { event.preventDefault(); field('drop').classList.add('over'); }
});
addEventListener('dragleave', (event) => { if (!event.relatedTarget) field('drop').classList.remove('over'); });
addEventListener('drop', (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  field('drop').classList.remove('over');
  addFiles(event.dataTransfer.files);
});

// The beginning

field('place').textContent = location.host;
if (/Mac|iPhone|iPad/.test(navigator.platform)) {
  field('send-key').textContent = '⌘ ↵';
  field('keys').textContent = 'Command and Enter sends. Escape stops an answer.';
}
field('starters').append(...STARTERS.map(({ kind, prompt, model: name, ratio = '', more }) => make('li', {},
  make('button', { type: 'button', class: 'starter', onclick: () => {
    choose(name);
    field('ratio').value = ratio;
    field('prompt').value = prompt;
    field('more').value = more ? JSON.stringify(more, null, 2) : '';
    openSettings(Boolean(more));
    changed();
    field('prompt').focus();
  } }, make('span', { class: 'kind' }, kind), make('span', { class: 'what' }, prompt),
  make('span', { class: 'arrow', 'aria-hidden': 'true' }, '→')))));
// On a touch screen the focus would open the keyboard, and the page would be hidden behind it.
if (matchMedia('(pointer: fine)').matches) field('prompt').focus({ preventScroll: true });
showTabs();
showModels(null);
changed();
listModels('').then((models) => {
  if (models) showModels(models);
  changed();
});
