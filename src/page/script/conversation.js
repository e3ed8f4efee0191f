// The conversation: calls, one after the other, and their answers.

import { CallError, makeCall } from './call.js';
import { field, say } from './dom.js';
import { model } from './models.js';
import { addPicture, changed, content, notice, openSettings, requestWith, restore, showPictures } from './prompt.js';
import { state } from './state.js';
import { Turn } from './turn.js';

/** Sends the prompt that is written. */
export function send() {
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
  // The answer needs the space.
  openSettings(false);
  run(request, asked, draft);
  notice('');
  showPictures();
}

/** Makes a call, and shows its answer while it arrives. */
async function run(request, asked, draft) {
  const controller = new AbortController();
  // A new conversation has another list.
  const { history } = state;
  const turn = begin(request, asked, draft, controller);
  const call = { parts: [], begun: performance.now() };
  const onHead = (head) => Object.assign(call, head);
  const onChunk = (chunk) => followingTheEnd(() => {
    record(call, chunk);
    turn.add(chunk);
    turn.facts(call);
  });
  let failure = null;
  try {
    await makeCall(request, { signal: controller.signal, onHead, onChunk });
  } catch (error) {
    if (controller.signal.aborted) call.wasStopped = true;
    else failure = error instanceof CallError ? error : new CallError({ title: 'The page failed', message: String(error) });
  }
  call.total = performance.now() - call.begun;
  if (!controller.signal.aborted || state.running === controller) setRunning(null);
  // A prompt without an answer is not a part of the conversation: the next prompt would be refused for it.
  if (!failure && call.parts.length) history.push(asked, { role: 'model', parts: joined(call.parts) });
  changed();
  followingTheEnd(() => {
    if (failure) turn.error(failure);
    else turn.end(call);
    turn.facts(call);
  });
  // What went wrong is read from its beginning.
  const error = turn.element.querySelector('.error');
  if (error && error.getBoundingClientRect().top < field('bar').offsetHeight) error.scrollIntoView();
}

/** Shows a prompt that is sent. */
function begin(request, asked, draft, controller) {
  const turn = new Turn(draft, state.calls += 1, {
    edit: () => restore(draft),
    retry: () => !state.running && run(request, asked, draft),
    usePicture: (inlineData, url) => addPicture({ name: 'earlier answer', url, inlineData }),
    askForKey: () => openSettings(true, 'key'),
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
  return turn;
}

/** Adds what a chunk says of its call. */
function record(call, { candidates: [candidate] = [], usageMetadata, modelVersion }) {
  call.firstChunk ??= performance.now() - call.begun;
  call.usage = usageMetadata ?? call.usage;
  call.modelVersion = modelVersion ?? call.modelVersion;
  call.finishReason = candidate?.finishReason ?? call.finishReason;
  call.parts.push(...(candidate?.content?.parts ?? []));
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

/** Begins a new conversation. */
export function reset() {
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

// Scrolling: the page follows an answer unless its reader has scrolled away from the end.

const END_DISTANCE = 80;
const lastEdge = () => field('turns').getBoundingClientRect().bottom - field('composer').getBoundingClientRect().top;
const followEnd = () => scrollBy({ top: Math.max(0, lastEdge()), behavior: 'instant' });

/** Changes the page with `change`, and shows its end if that was shown before. */
function followingTheEnd(change) {
  const follows = lastEdge() < END_DISTANCE;
  change();
  if (follows) followEnd();
}
