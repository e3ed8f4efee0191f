// Requests as text of a language: JSON, and literals of Python. Pictures are read from files there.

/** The bytes of a picture, which a sample reads from a file of this name. */
export class PictureFile {
  constructor(name) {
    this.name = name;
  }
}

/** A request with the pictures replaced by files. */
export function withFiles(body) {
  const count = {};
  const replace = (value, name) => {
    if (Array.isArray(value)) return value.map((item) => replace(item));
    if (value === null || typeof value !== 'object') return value;
    if (name === 'inlineData') {
      const [, kind = 'bin'] = /^image\/(\w+)/.exec(value.mimeType) ?? [];
      count[kind] = (count[kind] ?? 0) + 1;
      return { ...value, data: new PictureFile(`picture-${count[kind]}.${kind}`) };
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replace(item, key)]));
  };
  return replace(body);
}

export const filesIn = (value) => {
  if (value instanceof PictureFile) return [value];
  return value !== null && typeof value === 'object' ? Object.values(value).flatMap(filesIn) : [];
};

/** The longest line with an object or a list, in characters. */
const MAX_LINE = 54;
/** Members whose value has names that a user chose. */
const FREE_FORM = /^(args|response|properties|metadata|responseSchema|responseJsonSchema|parameters(JsonSchema)?)$/;
const unchanged = (name) => name;
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/**
 * A value on one line, or with a line for each of its items if that would be too long. Lines begin with `indent`, and
 * `before` is the text in front of the value. Without an indentation everything is written on one line.
 */
function written(value, syntax, indent = '', before = '') {
  if (value instanceof PictureFile) return syntax.file(value);
  if (value === null || typeof value !== 'object') return syntax.scalar(value);
  const isList = Array.isArray(value);
  const [open, close] = isList ? '[]' : '{}';
  const items = (within) => Object.entries(value).map(([name, item]) => {
    const inner = FREE_FORM.test(name) ? { ...syntax, rename: unchanged } : syntax;
    const label = isList ? '' : `${JSON.stringify(syntax.rename(name))}: `;
    return label + written(item, inner, within, label);
  });
  const line = `${open}${items(null).join(', ')}${close}`;
  if (indent === null || indent.length + before.length + line.length < MAX_LINE) return line;
  const inner = indent + syntax.step;
  return `${open}\n${inner}${items(inner).join(`,\n${inner}`)}${syntax.comma}\n${indent}${close}`;
}

/** JSON. A file becomes `file(it)`, without quotes. */
export function json(value, file) {
  return written(value, { step: '  ', comma: '', scalar: JSON.stringify, rename: unchanged, file });
}

const PYTHON_NAMES = new Map([[null, 'None'], [true, 'True'], [false, 'False']]);

/** A literal of Python, in snake_case if `isSnake`. Strings and numbers are written as in JSON. A file becomes `file(it)`. */
export function python(value, { file, isSnake = false, indent = '' }) {
  const scalar = (value) => PYTHON_NAMES.get(value) ?? JSON.stringify(value);
  return written(value, { step: '    ', comma: ',', scalar, rename: isSnake ? snake : unchanged, file }, indent);
}
