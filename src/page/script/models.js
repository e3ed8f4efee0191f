// The controls for the model, and for the ratio and size of its pictures.

import { field, make } from './dom.js';

/** Listed if the gateway lists no text models: any other name can be typed. */
const TEXT_MODELS = ['gemini-2.5-flash', 'gemini-2.5-pro', 'gemini-3-flash-preview', 'gemini-3-pro-preview'];
const IMAGE_MODELS = ['gemini-2.5-flash-image', 'gemini-3.1-flash-image-preview', 'gemini-3-pro-image-preview'];
const RATIOS = ['1:1', '4:3', '3:2', '2:3', '5:4', '4:5', '3:4', '16:9', '9:16', '21:9', '1:4', '4:1', '1:8', '8:1'];
const SIZES = ['512', '1K', '2K', '4K'];
const OTHER = '(other)';

/** The models that the gateway lists, by name. */
let listed = new Map();

/** Whether a model makes pictures: the gateway lists their ratios, and other lists have nothing but names. */
const isImageModel = (name) => Boolean(listed.get(name)?.aspectRatios) || /image|banana/.test(name);

/** The name of the model that is chosen. */
export const model = () => (isOther() ? field('other').value.trim() : field('model').value);
export const isOther = () => field('model').value === OTHER;
const isHidden = (id) => field(id).closest('label').hidden;

/** The settings of a picture that are chosen. */
export function imageConfig() {
  const members = [['aspectRatio', 'ratio'], ['imageSize', 'size']]
    .filter(([, id]) => !isHidden(id) && field(id).value)
    .map(([name, id]) => [name, field(id).value]);
  return members.length ? Object.fromEntries(members) : null;
}

/** Fills the list of models. `models` is `null` if the gateway lists none. */
export function showModels(models) {
  listed = new Map((models ?? []).map((entry) => [entry.name, entry]));
  const names = [...listed.keys()];
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
export function choose(name) {
  const isListed = [...field('model').options].some(({ value }) => value === name);
  field('model').value = isListed ? name : OTHER;
  if (!isListed) field('other').value = name;
  showShapes();
}

/** Shows the ratios and sizes of the chosen model. */
export function showShapes() {
  field('other-field').hidden = !isOther();
  const takesShape = isOther() || isImageModel(model());
  const { aspectRatios = RATIOS, imageSizes = aspectRatios === RATIOS ? SIZES : [] } = listed.get(model()) ?? {};
  for (const [id, values] of [['ratio', aspectRatios], ['size', imageSizes]]) {
    const { value } = field(id);
    field(id).replaceChildren(...['', ...values].map((name) => make('option', { value: name }, name || 'default')));
    field(id).value = values.includes(value) ? value : '';
    field(id).closest('label').hidden = !takesShape || !values.length;
  }
}

/** Marks the control that a violation is about. Fields are named as in the contract, or in camelCase. */
export function markField(name) {
  const last = name.split('.').at(-1).replaceAll('_', '').toLowerCase();
  const id = { aspectratio: 'ratio', imagesize: 'size', model: 'model' }[last];
  if (id && !isHidden(id)) {
    field(id).setAttribute('aria-invalid', 'true');
    field(id).closest('.tool').classList.add('wrong');
  }
}

/** Removes the marks of an earlier error. */
export function unmarkFields() {
  document.querySelectorAll('[aria-invalid]').forEach((control) => {
    control.removeAttribute('aria-invalid');
    control.closest('.tool')?.classList.remove('wrong');
  });
}
