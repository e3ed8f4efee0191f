// Calls of the gateway: the request, the events of the answer, and errors.

/** Random bytes as hex digits. `crypto.randomUUID` is missing where a page came over plain HTTP from another machine. */
export function randomHex(bytes) {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What went wrong with a call. */
export class CallError extends Error {
  constructor(fields) {
    super(fields.message);
    Object.assign(this, { title: '', codes: [], violations: [], retryDelay: null }, fields);
  }

  /** From Google's error envelope: `{"error": {"code", "status", "message", "details"}}`. */
  static fromEnvelope({ code, status, message, details = [] }, httpStatus) {
    const of = (type) => details.filter((detail) => detail?.['@type']?.endsWith(`/google.rpc.${type}`));
    const [info] = of('ErrorInfo');
    const violations = of('BadRequest').flatMap((detail) => detail.fieldViolations ?? []);
    const help = of('Help').flatMap((detail) => detail.links ?? []);
    return new CallError({
      title: TITLES[status] ?? 'The call failed',
      codes: [httpStatus ?? code, status, info?.reason, info?.domain].filter(Boolean),
      reason: info?.reason,
      message: [message, ...help.map(({ url }) => url)].filter(Boolean).join('\n'),
      violations: violations.map(({ field, description }) => ({ field, description })),
      retryDelay: of('RetryInfo')[0]?.retryDelay ?? null,
      isAboutKey: status === 'UNAUTHENTICATED' || status === 'PERMISSION_DENIED' || info?.reason === 'API_KEY_INVALID',
    });
  }

  /** From a response that is not a stream of events. */
  static async fromResponse(response) {
    const text = await response.text();
    try {
      const parsed = JSON.parse(text);
      const { error } = Array.isArray(parsed) ? parsed[0] : parsed;
      if (error) return CallError.fromEnvelope(error, response.status);
    } catch {
      // Not JSON: shown as it is.
    }
    const message = text.slice(0, 500) || response.statusText;
    return new CallError({ title: 'The answer is not one of the Gemini API', codes: [response.status], message });
  }
}

const TITLES = {
  INVALID_ARGUMENT: 'The request is not valid',
  FAILED_PRECONDITION: 'The request is not possible now',
  UNAUTHENTICATED: 'A valid key or token is needed',
  PERMISSION_DENIED: 'This key may not do that',
  NOT_FOUND: 'There is no such model',
  RESOURCE_EXHAUSTED: 'A limit is reached',
  UNAVAILABLE: 'The model is not available now',
  DEADLINE_EXCEEDED: 'The answer took too long',
  UNIMPLEMENTED: 'The gateway does not offer this',
};

/** The path of a call. Models are named with or without `models/`. */
export function pathOf(model) {
  return `/v1beta/models/${encodeURIComponent(model.replace(/^models\//, ''))}:streamGenerateContent?alt=sse`;
}

/** The texts of the `data:` lines of a stream of server-sent events, one for each event. */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  // Where the end of an event may be: a picture comes in many pieces, and what was searched is not searched again.
  let searched = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    buffer += value.replaceAll('\r', '');
    for (let end; (end = buffer.indexOf('\n\n', searched)) >= 0; searched = 0) {
      const lines = buffer.slice(0, end).split('\n');
      buffer = buffer.slice(end + 2);
      const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).join('\n');
      if (data) yield data;
    }
    searched = Math.max(0, buffer.length - 1);
  }
}

/** Makes a call and passes each chunk to `onChunk`. Resolves at the end of the answer; everything else is thrown. */
export async function makeCall({ model, body, key }, { signal, onHead, onChunk }) {
  const traceId = randomHex(16);
  const headers = { 'content-type': 'application/json', traceparent: `00-${traceId}-${randomHex(8)}-01` };
  if (key) headers['x-goog-api-key'] = key;
  onHead({ traceId });
  const broken = (message) => new CallError({ title: 'The connection broke', message });
  let response;
  try {
    response = await fetch(pathOf(model), {
      method: 'POST', headers, body: JSON.stringify(body), signal, cache: 'no-store', credentials: 'omit', redirect: 'error',
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw broken('There was no answer. Is the gateway still running?');
  }
  onHead({ requestId: response.headers.get('x-request-id') });
  if (!response.ok || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
    throw await CallError.fromResponse(response);
  }
  try {
    for await (const event of eventsOf(response.body)) {
      const chunk = JSON.parse(event);
      if (chunk.error) throw CallError.fromEnvelope(chunk.error);
      onChunk(chunk);
    }
  } catch (error) {
    if (error instanceof CallError || signal.aborted) throw error;
    throw broken('The answer broke off before its end.');
  }
}

/** The models that the gateway lists. `null` if it lists none, or refuses to. */
export async function listModels(key) {
  try {
    const headers = key ? { 'x-goog-api-key': key } : {};
    const response = await fetch('/v1beta/models?pageSize=1000', { headers, credentials: 'omit' });
    const { models } = await response.json();
    return models.filter(generates).map((model) => ({ ...model, name: model.name.replace(/^models\//, '') }));
  } catch {
    return null;
  }
}

function generates({ name, supportedGenerationMethods: methods }) {
  return Boolean(name) && (!methods || methods.includes('generateContent') || methods.includes('streamGenerateContent'));
}

/** `base` with the members of `more` added, at any depth. */
export function merged(base, more) {
  const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
  if (!isObject(base) || !isObject(more)) return more;
  const all = { ...base };
  for (const [name, value] of Object.entries(more)) all[name] = name in base ? merged(base[name], value) : value;
  return all;
}
