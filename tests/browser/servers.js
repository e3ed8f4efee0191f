// Servers that a test controls: an upstream that answers when the test says so, and a web server of another origin.

import { once } from 'node:events';
import { createServer } from 'node:http';

async function listening(handler) {
  const server = createServer(handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

async function read(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** An event of a stream with this text; the last one has a finish reason and the usage. */
export function chunk(text, isLast = false) {
  const end = { finishReason: 'STOP' };
  const usageMetadata = { promptTokenCount: 3, candidatesTokenCount: 5, totalTokenCount: 8 };
  const candidate = { content: { role: 'model', parts: [{ text }] }, ...(isLast ? end : {}) };
  return { candidates: [candidate], ...(isLast ? { usageMetadata, modelVersion: 'double' } : {}) };
}

/** An upstream. `next()` is its next call, with `body`, `headers`, `send(event)`, `end()` and `closed`. */
export async function startUpstream() {
  const calls = [];
  const waiting = [];
  const server = await listening(async (request, response) => {
    const body = await read(request);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const call = {
      path: request.url,
      headers: request.headers,
      body: JSON.parse(body),
      send: (event) => response.write(`data: ${JSON.stringify(event)}\r\n\r\n`),
      end: () => response.end(),
      /** Resolves once the connection has ended. */
      closed: once(response, 'close'),
    };
    calls.push(call);
    waiting.shift()?.(call);
  });
  let taken = 0;
  const next = async () => {
    taken += 1;
    return calls[taken - 1] ?? new Promise((resolve) => { waiting.push(resolve); });
  };
  return { ...server, calls, next };
}

/** A web server of its own origin, with these files: path → `[content type, content]`. */
export function startSite(files) {
  return listening((request, response) => {
    const [type, content] = files[new URL(request.url, 'http://site').pathname] ?? [];
    response.writeHead(type ? 200 : 404, { 'content-type': type ?? 'text/plain' });
    response.end(content);
  });
}
