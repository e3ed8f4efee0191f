// The page itself: the conversation, the prompt that is being written, and the buttons.

/** Listed if the gateway lists no text models: any other name can be typed. */
const TEXT_MODELS = ['gemini-2.5-flash', 'gemini-2.5-pro', 'gemini-3-flash-preview', 'gemini-3-pro-preview'];
const IMAGE_MODELS = ['gemini-2.5-flash-image', 'gemini-3.1-flash-image-preview', 'gemini-3-pro-image-preview'];
const RATIOS = ['1:1', '4:3', '3:2', '2:3', '5:4', '4:5', '3:4', '16:9', '9:16', '21:9', '1:4', '4:1', '1:8', '8:1'];
const SIZES = ['512', '1K', '2K', '4K'];
const OTHER = '(other)';
/** Whether a model makes pictures: the gateway lists their ratios, and other lists have nothing but names. */
const isImageModel = (name) => Boolean(state.models.get(name)?.aspectRatios) || /image|banana/.test(name);

const MISTAKES = { generationConfig: { temperature: 3, topP: 2, imageConfig: { aspectRatio: '7:3' } } };
const STARTERS = [
  { kind: 'Text', prompt: 'Why is the sky blue? Answer in three sentences.', model: 'gemini-2.5-flash' },
  { kind: 'Picture', prompt: 'A lighthouse at dawn, in fog', model: 'gemini-2.5-flash-image', ratio: '16:9' },
  { kind: 'Code', prompt: 'A function in Rust that reverses the words of a sentence', model: 'gemini-2.5-flash' },
  { kind: 'Mistakes', prompt: 'A picture with settings that do not exist', model: 'gemini-2.5-flash-image', more: MISTAKES },
];

const state = {
  /** The listed models, by name. */
  models: new Map(),
  /** The contents of the conversation, as they are sent. */
  history: [],
  /** The pictures of the prompt: `{name, url, inlineData}`. */
  pictures: [],
  /** The abort controller of the running call. */
  running: null,
  calls: 0,
  /** What the last call sent, which the samples show while no prompt is written. */
  sent: null,
};

// The prompt

const model = () => (field('model').value === OTHER ? field('other').value.trim() : field('model').value);

/** The contents that the prompt adds, or `null` if it is empty. */
function content() {
  const text = field('prompt').value.trim();
  const parts = state.pictures.map(({ inlineData }) => ({ inlineData }));
  if (text) parts.push({ text });
  return parts.length ? { role: 'user', parts } : null;
}

/** The request with these new contents. Throws if the settings are not JSON. */
function requestWith(newContent) {
  const body = { contents: [...state.history, newContent] };
  const imageConfig = {};
  if (!isHidden('ratio') && field('ratio').value) imageConfig.aspectRatio = field('ratio').value;
  if (!isHidden('size') && field('size').value) imageConfig.imageSize = field('size').value;
  if (Object.keys(imageConfig).length) body.generationConfig = { imageConfig };
  const more = field('more').value.trim();
  return { model: model(), body: more ? merged(body, parsed(more)) : body, key: field('key').value.trim() };
}

function parsed(text) {
  const value = JSON.parse(text);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new SyntaxError('an object is expected');
  return value;
}

const isHidden = (id) => field(id).closest('label').hidden;

function notice(text) {
  field('notice').textContent = text;
  field('notice').hidden = !text;
}

/** Adds pictures to the prompt. */
async function addFiles(files) {
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

function showPictures() {
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

/** Fills the lists of models, ratios and sizes. */
function showModels(listed) {
  state.models = new Map((listed ?? []).map((entry) => [entry.name, entry]));
  const names = (listed ?? []).map(({ name }) => name);
  const texts = names.filter((name) => !isImageModel(name));
  const images = names.filter(isImageModel);
  const chosen = field('model').value || TEXT_MODELS[0];
  const options = (list) => list.map((name) => make('option', { value: name }, name));
  field('model').replaceChildren(
    make('optgroup', { label: 'Text' }, ...options(texts.length ? texts : TEXT_MODELS)),
    make('optgroup', { label: 'Pictures' }, ...options(images.length ? images : IMAGE_MODELS)),
    make('option', { value: OTHER }, 'Another model…'));
  choose(chosen);
}

/** Selects a model, listed or not. */
function choose(name) {
  const isListed = [...field('model').options].some(({ value }) => value === name);
  field('model').value = isListed ? name : OTHER;
  if (!isListed) field('other').value = name;
  modelChanged();
}

function modelChanged() {
  const isOther = field('model').value === OTHER;
  field('other-field').hidden = !isOther;
  const takesShape = isImageModel(model()) || isOther;
  const { aspectRatios = RATIOS, imageSizes = aspectRatios === RATIOS ? SIZES : [] } = state.models.get(model()) ?? {};
  for (const [id, values] of [['ratio', aspectRatios], ['size', imageSizes]]) {
    const { value } = field(id);
    field(id).replaceChildren(...['', ...values].map((name) => make('option', { value: name }, name || 'default')));
    field(id).value = values.includes(value) ? value : '';
    field(id).closest('label').hidden = !takesShape || !values.length;
  }
  changed();
}

/** Marks the control that a violation is about. Fields are named as in the contract, or in camelCase. */
function showField(name) {
  const last = name.split('.').at(-1).replaceAll('_', '').toLowerCase();
  const id = { aspectratio: 'ratio', imagesize: 'size', model: 'model' }[last];
  if (id && !isHidden(id)) {
    field(id).setAttribute('aria-invalid', 'true');
    field(id).closest('.tool').classList.add('wrong');
  }
}

/** Called after each change of the prompt or its settings. */
function changed() {
  document.querySelectorAll('[aria-invalid]').forEach((control) => {
    control.removeAttribute('aria-invalid');
    control.closest('.tool')?.classList.remove('wrong');
  });
  field('send').setAttribute('aria-disabled', String(!content() || Boolean(state.running)));
  field('settings-toggle').textContent = field('key').value ? 'Settings, key set' : 'Settings';
  showSample();
}

// The samples

let language = LANGUAGES[0];

function showSample() {
  let request;
  try {
    request = content() || !state.sent ? requestWith(content() ?? EXAMPLE) : state.sent;
  } catch {
    // Settings that are being written are not JSON yet.
    return;
  }
  const { model: name, body, key } = request;
  const files = withFiles(body);
  field('sample').textContent = language.write({ origin: location.origin, model: name, body: files, hasKey: Boolean(key) });
  const pictures = filesIn(files).map((file) => file.name).join(', ');
  field('sample-note').textContent = language.note + (pictures ? ` Save as ${pictures} first.` : '');
}

const EXAMPLE = { role: 'user', parts: [{ text: 'Why is the sky blue?' }] };

function select(chosen, { focus = false } = {}) {
  language = chosen;
  LANGUAGES.forEach(({ id }) => {
    const tab = field(`tab-${id}`);
    tab.setAttribute('aria-selected', String(id === chosen.id));
    tab.tabIndex = id === chosen.id ? 0 : -1;
    if (focus && id === chosen.id) tab.focus();
  });
  field('sample-panel').setAttribute('aria-labelledby', `tab-${chosen.id}`);
  showSample();
}

function onTabKey(event) {
  const at = LANGUAGES.indexOf(language);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  select(LANGUAGES.at(next % LANGUAGES.length), { focus: true });
}

// Calls

function send() {
  const asked = content();
  if (!asked || state.running) return;
  if (!model()) {
    notice('Name a model.');
    field('other').focus();
    return;
  }
  let request;
  try {
    request = requestWith(asked);
  } catch (error) {
    openSettings(true);
    field('more').focus();
    notice(`The added JSON cannot be read: ${error.message}`);
    return;
  }
  const draft = { prompt: field('prompt').value.trim(), pictures: state.pictures };
  field('prompt').value = '';
  state.pictures = [];
  run(request, asked, draft);
  notice('');
  showPictures();
}

async function run(request, asked, draft) {
  const controller = new AbortController();
  // A new conversation has another list.
  const { history } = state;
  const turn = new Turn(draft, state.calls += 1, {
    edit: () => restore(draft),
    retry: () => !state.running && run(request, asked, draft),
    usePicture: (inlineData, url) => {
      state.pictures.push({ name: 'earlier answer', url, inlineData });
      showPictures();
      field('prompt').focus();
    },
    askForKey: () => openSettings(true, 'key'),
    showField,
    grown: followEnd,
  });
  field('welcome').hidden = true;
  field('new').hidden = false;
  field('turns').append(turn.element);
  field('spoken').replaceChildren();
  state.sent = request;
  setRunning(controller);
  say('Waiting for the answer.');
  turn.element.scrollIntoView({ block: 'end' });

  const call = {};
  const parts = [];
  const begun = performance.now();
  const onChunk = (chunk) => {
    call.firstChunk ??= performance.now() - begun;
    call.usage = chunk.usageMetadata ?? call.usage;
    call.modelVersion = chunk.modelVersion ?? call.modelVersion;
    const [candidate] = chunk.candidates ?? [];
    call.finishReason = candidate?.finishReason ?? call.finishReason;
    parts.push(...(candidate?.content?.parts ?? []));
    const follows = isAtEnd();
    turn.add(chunk);
    turn.facts(call);
    if (follows) followEnd();
  };
  let failure = null;
  try {
    await makeCall(request, { signal: controller.signal, onHead: (head) => Object.assign(call, head), onChunk });
  } catch (error) {
    if (controller.signal.aborted) call.wasStopped = true;
    else failure = error instanceof CallError ? error : new CallError({ title: 'The page failed', message: String(error) });
  }
  call.total = performance.now() - begun;
  if (!controller.signal.aborted || state.running === controller) setRunning(null);
  const follows = isAtEnd();
  // What has no answer is not a part of the conversation: the next prompt would be refused for it.
  if (!failure && parts.length) history.push(asked, { role: 'model', parts: joined(parts) });
  if (failure) turn.error(failure, true);
  else turn.end(call);
  turn.facts(call);
  if (follows) followEnd();
  changed();
  if (failure?.violations.length) failure.violations.forEach(({ field: name }) => showField(name));
  if (!failure && !call.wasStopped) {
    const tokens = call.usage?.candidatesTokenCount;
    say(`The answer is complete${tokens === undefined ? '' : `, ${tokens} tokens`}.`);
  }
}

/** The parts of an answer as they are sent back: texts that came in pieces are one part, and thoughts are left out. */
function joined(parts) {
  const all = [];
  const isPlain = (part) => part !== undefined && Object.keys(part).every((name) => name === 'text');
  for (const part of parts.filter(({ thought }) => !thought)) {
    if (isPlain(part) && isPlain(all.at(-1))) all.at(-1).text += part.text;
    else all.push({ ...part });
  }
  return all.filter((part) => part.text !== '' || Object.keys(part).length > 1);
}

function setRunning(controller) {
  state.running = controller;
  const [shown, hidden] = controller ? [field('stop'), field('send')] : [field('send'), field('stop')];
  const hadFocus = document.activeElement === hidden;
  shown.hidden = false;
  hidden.hidden = true;
  // The focus must not be lost with the button that had it.
  if (hadFocus) (controller ? shown : field('prompt')).focus();
}

function restore({ prompt, pictures }) {
  field('prompt').value = prompt;
  state.pictures = [...pictures];
  showPictures();
  field('prompt').focus();
}

function reset() {
  state.running?.abort();
  setRunning(null);
  document.querySelectorAll('.turn img').forEach(({ src }) => URL.revokeObjectURL(src));
  Object.assign(state, { history: [], sent: null, calls: 0 });
  field('turns').replaceChildren();
  field('welcome').hidden = false;
  field('new').hidden = true;
  changed();
  field('prompt').focus();
  say('A new conversation.');
}

function openSettings(isOpen, focused) {
  field('settings').hidden = !isOpen;
  field('settings-toggle').setAttribute('aria-expanded', String(isOpen));
  if (focused) field(focused).focus();
}

// Scrolling: the page follows an answer unless its reader has scrolled away from the end.

const END_DISTANCE = 80;
const lastEdge = () => field('turns').getBoundingClientRect().bottom - field('composer').getBoundingClientRect().top;
const isAtEnd = () => lastEdge() < END_DISTANCE;
const followEnd = () => scrollBy({ top: Math.max(0, lastEdge()), behavior: 'instant' });

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
field('model').addEventListener('change', () => { modelChanged(); if (field('model').value === OTHER) field('other').focus(); });
field('key').addEventListener('change', async () => {
  const models = await listModels(field('key').value.trim());
  if (models) showModels(models);
});
field('settings-toggle').addEventListener('click', () => openSettings(field('settings').hidden));
field('copy').addEventListener('click', (event) => copy(field('sample').textContent, event.currentTarget));
field('tabs').addEventListener('keydown', onTabKey);
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
field('tabs').append(...LANGUAGES.map((entry) => make('button', {
  type: 'button', role: 'tab', id: `tab-${entry.id}`, 'aria-controls': 'sample-panel', onclick: () => select(entry),
}, entry.name)));
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
showModels(null);
select(LANGUAGES[0]);
listModels('').then((models) => { if (models) showModels(models); });
