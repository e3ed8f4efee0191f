// Elements of the document, announcements for screen readers, and the clipboard.

/** An element with attributes, listeners (`onclick`) and children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const field = (id) => document.getElementById(id);

/** Says something to screen readers. */
export function say(text) {
  field('status').textContent = text;
}

/** Copies a text, and says so on the button. */
export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page that came over plain HTTP from another machine has no clipboard, but this older way.
    const area = make('textarea', { class: 'unseen', readonly: true, 'aria-hidden': 'true' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
    button.focus();
  }
  const before = button.dataset.text ?? button.textContent;
  button.dataset.text = before;
  button.textContent = 'Copied';
  say('Copied.');
  button.addEventListener('blur', () => { button.textContent = before; }, { once: true });
}
