// The helper of the npm package, in both stacks, against a server that answers as each test wants.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { after, before, beforeEach, test } from 'node:test';

import * as grpc from '@grpc/grpc-js';
import * as connectEs from '@mountsea/gemini';
import * as grpcJs from '@mountsea/gemini/grpc-js';

// It is no entry of the package.
import { parseEndpoint } from './node_modules/@mountsea/gemini/dist/endpoint.js';

const REQUEST = { model: 'gemini-2.5-flash' };
const ANSWER = connectEs.create(connectEs.GenerateContentResponseSchema, { responseId: 'an answer' });

let server;
let address;
/** What the server does with the next calls: an error, or null for an answer. Its `after` is the number of answers before it. */
let script;
/** The metadata of each call that came. */
let calls;

function failure(code, pushback, after = 0) {
  const metadata = new grpc.Metadata();
  if (pushback !== undefined) metadata.set('grpc-retry-pushback-ms', pushback);
  return { code, details: 'a failure', metadata, after };
}

function generateContent(call, callback) {
  calls.push(call.metadata);
  const error = script.shift();
  callback(error ?? null, error ? null : ANSWER);
}

function streamGenerateContent(call) {
  calls.push(call.metadata);
  const error = script.shift();
  for (let i = 0; i < (error?.after ?? 1); i++) call.write(ANSWER);
  if (error) call.emit('error', error);
  else call.end();
}

before(async () => {
  server = new grpc.Server();
  const { generateContent: unary, streamGenerateContent: stream } = grpcJs.serviceDefinition(grpcJs.GenerativeService);
  server.addService({ unary, stream }, { unary: generateContent, stream: streamGenerateContent });
  const port = await new Promise((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
  address = `127.0.0.1:${port}`;
});
after(() => server.forceShutdown());
beforeEach(() => {
  script = [];
  calls = [];
});

const STACKS = {
  'Connect-ES': {
    explain: connectEs.explain,
    open: () => ({ client: connectEs.createClient(connectEs.GenerativeService, connectEs.connect(address, 'a-key')) }),
    inMs: (timeoutMs) => ({ timeoutMs }),
    keyed: (key) => ({ headers: { 'x-goog-api-key': key } }),
  },
  'grpc-js': {
    explain: grpcJs.explain,
    open: () => {
      const channel = grpcJs.connect(address, 'a-key');
      return { client: grpcJs.createClient(grpcJs.GenerativeService, channel), close: () => channel.close() };
    },
    inMs: (ms) => ({ deadline: Date.now() + ms }),
    keyed: (key) => {
      const metadata = new grpc.Metadata();
      metadata.set('x-goog-api-key', key);
      return { metadata };
    },
  },
};

for (const [stack, { explain, open, inMs, keyed }] of Object.entries(STACKS)) {
  const check = (name, run) =>
    test(`${stack}: ${name}`, async () => {
      const { client, close } = open();
      try {
        await run(client);
      } finally {
        close?.();
      }
    });
  const drain = async (stream) => {
    const answers = [];
    for await (const answer of stream) answers.push(answer.responseId);
    return answers;
  };
  const codeOf = (call) => call.then(() => 'OK', (error) => explain(error).code);

  check('a call that could not be carried out is repeated, after the delay that the server asks for', async (client) => {
    script = [failure(grpc.status.UNAVAILABLE, '1'), failure(grpc.status.UNAVAILABLE, '1')];
    assert.equal((await client.generateContent(REQUEST)).responseId, 'an answer');
    assert.equal(calls.length, 3);
  });

  check('a call with a picture is repeated too', async (client) => {
    script = [failure(grpc.status.UNAVAILABLE, '1')];
    const value = { mimeType: 'image/png', data: new Uint8Array(2 << 20) };
    const contents = [{ parts: [{ data: { case: 'inlineData', value } }] }];
    assert.equal(await codeOf(client.generateContent({ ...REQUEST, contents })), 'OK');
    assert.equal(calls.length, 2);
  });

  check('a call is attempted three times at most', async (client) => {
    script = Array.from({ length: 5 }, () => failure(grpc.status.UNAVAILABLE, '1'));
    assert.equal(await codeOf(client.generateContent(REQUEST)), 'UNAVAILABLE');
    assert.equal(calls.length, 3);
  });

  check('a call without a delay from the server is repeated too', async (client) => {
    script = [failure(grpc.status.UNAVAILABLE)];
    assert.equal(await codeOf(client.generateContent(REQUEST)), 'OK');
    assert.equal(calls.length, 2);
  });

  check('a call is not repeated if the server refuses that', async (client) => {
    script = [failure(grpc.status.UNAVAILABLE, '-1')];
    assert.equal(await codeOf(client.generateContent(REQUEST)), 'UNAVAILABLE');
    assert.equal(calls.length, 1);
  });

  check('an exceeded quota is not retried', async (client) => {
    script = [failure(grpc.status.RESOURCE_EXHAUSTED, '1')];
    assert.equal(await codeOf(client.generateContent(REQUEST)), 'RESOURCE_EXHAUSTED');
    assert.equal(calls.length, 1);
  });

  check('a stream is repeated before its first message only', async (client) => {
    script = [failure(grpc.status.UNAVAILABLE, '1')];
    assert.deepEqual(await drain(client.streamGenerateContent(REQUEST)), ['an answer']);
    assert.equal(calls.length, 2);
    script = [failure(grpc.status.UNAVAILABLE, '1', 1)];
    assert.equal(await codeOf(drain(client.streamGenerateContent(REQUEST))), 'UNAVAILABLE');
    assert.equal(calls.length, 3);
  });

  check('a deadline ends the wait for a retry', async (client) => {
    script = [failure(grpc.status.UNAVAILABLE, '60000')];
    assert.equal(await codeOf(client.generateContent(REQUEST, inMs(300))), 'DEADLINE_EXCEEDED');
    assert.equal(calls.length, 1);
  });

  check('a cancel ends the wait for a retry', async (client) => {
    script = [failure(grpc.status.UNAVAILABLE, '60000')];
    const controller = new AbortController();
    const call = codeOf(client.generateContent(REQUEST, { signal: controller.signal }));
    while (calls.length === 0) await new Promise(setImmediate);
    controller.abort();
    assert.equal(await call, 'CANCELLED');
    assert.equal(await codeOf(client.generateContent(REQUEST, { signal: controller.signal })), 'CANCELLED');
  });

  check('a call may have a key of its own', async (client) => {
    await client.generateContent(REQUEST);
    await client.generateContent(REQUEST, keyed('its-own'));
    assert.deepEqual(calls.map((metadata) => metadata.get('x-goog-api-key')), [['a-key'], ['its-own']]);
  });

  test(`${stack}: an error that is not the gateway's has no reason`, () => {
    const { code, reason, violations, retryDelayMs, requestId } = explain(new Error('not of a call'));
    assert.deepEqual([code, reason, violations, retryDelayMs, requestId], ['UNKNOWN', '', [], undefined, '']);
  });
}

test('Connect-ES: an IPv6 address keeps its brackets', async (context) => {
  const server = http2.createServer().listen(0, '::1');
  const started = await Promise.race([once(server, 'listening').then(() => true), once(server, 'error').then(() => false)]);
  if (!started) return context.skip('this machine has no IPv6');
  const called = once(server, 'stream');
  const endpoint = `[::1]:${server.address().port}`;
  const client = connectEs.createClient(connectEs.GenerativeService, connectEs.connect(endpoint, 'a-key'));
  const call = client.generateContent(REQUEST, { timeoutMs: 30_000 }).catch(() => {});
  const [{ session }, headers] = await called;
  session.destroy();
  server.close();
  await call;
  assert.equal(headers[':authority'], endpoint);
});

test('the endpoint, its scheme and a CA decide about TLS', () => {
  const read = (...given) => {
    const { address, tls } = parseEndpoint(...given);
    return `${address} ${tls ? 'TLS' : 'plaintext'}`;
  };
  assert.equal(read('localhost:50051'), 'localhost:50051 plaintext');
  assert.equal(read('127.0.0.2:80'), '127.0.0.2:80 plaintext');
  assert.equal(read('[::1]:50051'), '[::1]:50051 plaintext');
  assert.equal(read('localhost:50051', 'ca.pem'), 'localhost:50051 TLS');
  assert.equal(read('gateway.example.com:443'), 'gateway.example.com:443 TLS');
  assert.equal(read('localhost.example.com:80'), 'localhost.example.com:80 TLS');
  assert.equal(read('http://gateway.example.com:80'), 'gateway.example.com:80 plaintext');
  assert.equal(read('http://gateway.example.com:8080', 'ca.pem'), 'gateway.example.com:8080 plaintext');
  assert.equal(read('https://127.0.0.1:50051'), '127.0.0.1:50051 TLS');
  assert.equal(read('https://gateway.example.com/'), 'gateway.example.com:443 TLS');
  assert.throws(() => parseEndpoint('ftp://gateway.example.com'), TypeError);
});
