// The panel with the same call in code.

import { field, make } from './dom.js';
import { filesIn, withFiles } from './literals.js';
import { LANGUAGES } from './samples.js';

let language = LANGUAGES[0];
let shown = null;

/** Writes a request in the chosen language. */
export function showRequest(request) {
  shown = request;
  const body = withFiles(request.body);
  const { model, key } = request;
  const sample = language.write({ origin: location.origin, model, body, hasKey: Boolean(key) });
  field('sample').replaceChildren(...sample.split(/(?<=\n)/).map(line));
  const pictures = filesIn(body).map(({ name }) => name).join(', ');
  field('sample-note').textContent = language.note + (pictures ? ` Save as ${pictures} first.` : '');
}

/** A line of a sample, with its strings as elements of their own. Names of members are no such strings. */
function line(text) {
  const isComment = /^\s*(#|\/\/) /.test(text);
  const pieces = isComment ? [text] : text.split(/("(?:[^"\\]|\\.)*")/);
  const isString = (index) => index % 2 === 1 && !pieces[index + 1].startsWith(':');
  const element = make('span', { class: isComment ? 'line comment' : 'line' },
    ...pieces.map((piece, index) => (isString(index) ? make('span', { class: 'string' }, piece) : piece)));
  const [indent] = /^\s*/.exec(text);
  element.style.setProperty('--indent', indent.replaceAll('\t', '  ').length);
  return element;
}

function select(chosen, { focus = false } = {}) {
  language = chosen;
  LANGUAGES.forEach(({ id }) => {
    const tab = field(`tab-${id}`);
    tab.setAttribute('aria-selected', String(id === chosen.id));
    tab.tabIndex = id === chosen.id ? 0 : -1;
    if (focus && id === chosen.id) tab.focus();
  });
  field('sample-panel').setAttribute('aria-labelledby', `tab-${chosen.id}`);
  if (shown) showRequest(shown);
}

function onTabKey(event) {
  const at = LANGUAGES.indexOf(language);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  select(LANGUAGES.at(next % LANGUAGES.length), { focus: true });
}

/** Makes the tabs. */
export function showTabs() {
  field('tabs').append(...LANGUAGES.map((entry) => make('button', {
    type: 'button', role: 'tab', id: `tab-${entry.id}`, 'aria-controls': 'sample-panel', onclick: () => select(entry),
  }, entry.name)));
  field('tabs').addEventListener('keydown', onTabKey);
  select(language);
}
