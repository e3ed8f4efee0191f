// Google's unmodified REST SDK for JavaScript, against the gateway.
//
// SERVICE is the base URL of a gateway in front of the sandbox, RELAY of one in front of the double at UPSTREAM.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ApiError, GoogleGenAI, Type } from '@google/genai';

const { SERVICE, RELAY, UPSTREAM } = process.env;
const TEXT_MODEL = 'gemini-2.5-flash';
const IMAGE_MODEL = 'gemini-2.5-flash-image';
const ERRORS = JSON.parse(readFileSync(new URL('../errors.json', import.meta.url)));

function clientOf(baseUrl, options = {}, apiKey = 'a-key') {
  return new GoogleGenAI({ apiKey, vertexai: false, httpOptions: { baseUrl, ...options } });
}

const client = clientOf(SERVICE);
const relay = clientOf(RELAY);

const partsOf = (answer) => answer.candidates[0].content.parts;

function pictureOf(answer) {
  const { mimeType, data } = partsOf(answer).find((part) => part.inlineData && !part.thought).inlineData;
  const bytes = Buffer.from(data, 'base64');
  assert.equal(mimeType, 'image/png');
  assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
  return { data, width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

async function all(stream) {
  const items = [];
  for await (const item of await stream) items.push(item);
  return items;
}

/** The error of a call that must fail, with the object in its message. */
async function failureOf(call) {
  const error = await call.then(
    () => assert.fail('the call did not fail'),
    (error) => error,
  );
  assert.ok(error instanceof ApiError, `${error.constructor.name}: ${error.message}`);
  return { code: error.status, ...JSON.parse(error.message.slice(error.message.indexOf('{'))).error };
}

/** Waits until the call of that model has arrived upstream, or was cancelled there. */
async function assertUpstream(event, model) {
  assert.equal((await fetch(`${UPSTREAM}/${event}/${model}`)).status, 204);
}

test('a text is generated', async () => {
  const answer = await client.models.generateContent({ model: TEXT_MODEL, contents: 'hello there' });
  assert.match(answer.text, /^\[sandbox\] You said "hello there"/);
  assert.equal(answer.candidates[0].finishReason, 'STOP');
  assert.equal(answer.usageMetadata.promptTokenCount, 2);
  assert.equal(answer.modelVersion, 'sandbox/gemini-2.5-flash');
});

test('a text is streamed', async () => {
  const params = { model: TEXT_MODEL, contents: 'hello there' };
  const chunks = await all(client.models.generateContentStream(params));
  assert.ok(chunks.length > 5);
  const whole = await client.models.generateContent(params);
  assert.equal(chunks.map((chunk) => chunk.text).join(''), whole.text);
  assert.equal(chunks.at(-1).candidates[0].finishReason, 'STOP');
});

test('a chat remembers its earlier messages', async () => {
  const chat = client.chats.create({ model: TEXT_MODEL });
  await chat.sendMessage({ message: 'hello' });
  const chunks = await all(chat.sendMessageStream({ message: 'again' }));
  assert.match(chunks.map((chunk) => chunk.text).join(''), /again/);
  assert.match((await chat.sendMessage({ message: 'third' })).text, /third/);
  assert.deepEqual(chat.getHistory().filter((content) => content.role === 'user').length, 3);
});

test('an image is generated and edited', async () => {
  const config = { imageConfig: { aspectRatio: '4:3' } };
  const generate = (contents) => client.models.generateContent({ model: IMAGE_MODEL, contents, config });
  const made = pictureOf(await generate('a lighthouse'));
  assert.equal(made.width * 3, made.height * 4);

  const edited = pictureOf(await generate([{ inlineData: { mimeType: 'image/png', data: made.data } }, 'at night']));
  assert.deepEqual([edited.width, edited.height], [made.width, made.height]);
  assert.notEqual(edited.data, made.data);
});

test('the SDK calls a function and sends its result back', async () => {
  const calls = [];
  const parameters = {
    type: Type.OBJECT,
    properties: { city: { type: Type.STRING }, days: { type: Type.INTEGER, minimum: 2, maximum: 5 } },
  };
  const weather = {
    tool: async () => ({ functionDeclarations: [{ name: 'weather', description: 'The weather', parameters }] }),
    callTool: async (functionCalls) => {
      calls.push(...functionCalls);
      return functionCalls.map(({ id, name }) => ({ functionResponse: { id, name, response: { degrees: 21.5 } } }));
    },
  };
  const params = { model: TEXT_MODEL, contents: 'Paris please', config: { tools: [weather] } };
  const answer = await client.models.generateContent(params);
  assert.match(answer.text, /weather/);
  assert.deepEqual(calls.map((call) => [call.name, call.args.days]), [['weather', 2]]);
  assert.match(calls[0].args.city, /Paris/);

  const chunks = await all(client.models.generateContentStream(params));
  assert.match(chunks.map((chunk) => chunk.text ?? '').join(''), /weather/);
  assert.equal(calls.length, 2);
});

test('structured output is generated', async () => {
  const city = { type: Type.OBJECT, properties: { name: { type: Type.STRING }, people: { type: Type.INTEGER } } };
  const config = { responseMimeType: 'application/json', responseSchema: { type: Type.ARRAY, items: city } };
  const answer = await client.models.generateContent({ model: TEXT_MODEL, contents: 'cities', config });
  const [first] = JSON.parse(answer.text);
  assert.equal(typeof first.name, 'string');
  assert.ok(Number.isInteger(first.people));

  const properties = { zebra: { type: 'integer' }, ant: { type: 'string' } };
  const other = { responseMimeType: 'application/json', responseJsonSchema: { type: 'object', properties } };
  const animals = await client.models.generateContent({ model: TEXT_MODEL, contents: 'animals', config: other });
  assert.deepEqual(Object.keys(JSON.parse(animals.text)), ['zebra', 'ant']);
});

for (const [name, of] of [['upstream', client], ['the catalogue', relay]]) {
  test(`models are listed and described from ${name}`, async () => {
    const names = (await all(of.models.list())).map((model) => model.name);
    assert.ok(names.includes(`models/${IMAGE_MODEL}`));
    assert.deepEqual((await all(of.models.list({ config: { pageSize: 2 } }))).map((model) => model.name), names);
    const model = await of.models.get({ model: IMAGE_MODEL });
    assert.equal(model.name, `models/${IMAGE_MODEL}`);
    assert.ok(model.supportedActions.includes('generateContent'));
  });
}

test('tokens are counted', async () => {
  assert.equal((await client.models.countTokens({ model: TEXT_MODEL, contents: 'hello there' })).totalTokens, 2);
});

test('texts are embedded', async () => {
  const answer = await client.models.embedContent({ model: 'gemini-embedding-001', contents: ['hello', 'there'] });
  assert.deepEqual(answer.embeddings.map((embedding) => embedding.values.length > 0), [true, true]);
});

test('what upstream does not offer is refused with a sentence', async () => {
  for (const method of ['countTokens', 'embedContent']) {
    const call = relay.models[method]({ model: TEXT_MODEL, contents: ['hello'] });
    const { code, status, message } = await failureOf(call);
    assert.deepEqual([code, status], [501, 'UNIMPLEMENTED']);
    assert.match(message, / /);
  }
});

const REQUESTS = [{ contents: 'hello' }];
const UNSERVED = {
  'files.upload': [{ file: new Blob(['a file'], { type: 'text/plain' }) }, 404, /inlineData/],
  'files.get': [{ name: 'files/a' }, 404, /inlineData/],
  'caches.create': [{ model: TEXT_MODEL, config: { contents: 'hello' } }, 404, /with each request/],
  'batches.create': [{ model: TEXT_MODEL, src: REQUESTS }, 501, /one by one/],
  'batches.get': [{ name: 'batches/a' }, 404, /one by one/],
  'fileSearchStores.create': [{}, 404, /in the request/],
  'tunings.get': [{ name: 'tunedModels/a' }, 404, /base model/],
};

for (const [name, [params, code, advice]] of Object.entries(UNSERVED)) {
  test(`${name} is refused with what to use instead`, async () => {
    const [part, method] = name.split('.');
    const failure = await failureOf(relay[part][method](params));
    assert.deepEqual([failure.code, failure.status], [code, code === 404 ? 'NOT_FOUND' : 'UNIMPLEMENTED']);
    assert.match(failure.message, advice);
  });
}

test('interactions are refused with what to use instead', async () => {
  // The exceptions of this part of the SDK are not public.
  await assert.rejects(relay.interactions.create({ model: TEXT_MODEL, input: 'hello' }), (error) => {
    assert.equal(error.status, 404);
    assert.match(error.message, /client\.models/);
    return true;
  });
});

for (const { model, code, status, after_chunks: late } of ERRORS) {
  test(`the error of ${model} is reported`, async () => {
    const check = async (call) => {
      const failure = await failureOf(call);
      assert.deepEqual([failure.code, failure.status], [code, status]);
    };
    const chunks = [];
    await check((async () => {
      for await (const chunk of await client.models.generateContentStream({ model, contents: 'hi' })) chunks.push(chunk);
    })());
    assert.equal(chunks.length > 2, Boolean(late));
    if (!late) await check(client.models.generateContent({ model, contents: 'hi' }));
  });
}

test('a quota error has the retry delay', async () => {
  const { details } = await failureOf(client.models.generateContent({ model: 'sandbox-429', contents: 'hi' }));
  assert.equal(parseFloat(details.find((detail) => detail.retryDelay).retryDelay), 3.5);
});

test('all violations are reported together', async () => {
  const config = { temperature: 3, imageConfig: { aspectRatio: '7:3' } };
  const failure = await failureOf(client.models.generateContent({ model: IMAGE_MODEL, contents: 'hi', config }));
  assert.deepEqual([failure.code, failure.status], [400, 'INVALID_ARGUMENT']);
  const { fieldViolations } = failure.details.find((detail) => detail.fieldViolations);
  assert.deepEqual(
    fieldViolations.map((violation) => violation.field),
    ['generation_config.temperature', 'generation_config.image_config.aspect_ratio'],
  );
});

test('a bad key is refused', async () => {
  const call = clientOf(SERVICE, {}, 'bad-key').models.generateContent({ model: TEXT_MODEL, contents: 'hi' });
  const failure = await failureOf(call);
  assert.deepEqual([failure.code, failure.status], [401, 'UNAUTHENTICATED']);
  assert.match(failure.message, /API key not valid/);
});

test('the gateway ends a call at the deadline in its header', async () => {
  const hurried = clientOf(RELAY, { headers: { 'X-Server-Timeout': '1' } });
  const failure = await failureOf(hurried.models.generateContent({ model: 'hang-node-deadline', contents: 'hi' }));
  assert.deepEqual([failure.code, failure.status], [504, 'DEADLINE_EXCEEDED']);
});

test('a client that does not wait any longer ends the call upstream', async () => {
  const call = clientOf(RELAY, { timeout: 300 }).models.generateContent({ model: 'hang-node-timeout', contents: 'hi' });
  await assert.rejects(call, /abort/i);
  await assertUpstream('cancelled', 'hang-node-timeout');
});

test('a call that is aborted ends upstream', async () => {
  const model = 'hang-node-unary-abort';
  const controller = new AbortController();
  const call = relay.models.generateContent({ model, contents: 'hi', config: { abortSignal: controller.signal } });
  await assertUpstream('arrived', model);
  controller.abort();
  await assert.rejects(call, /abort/i);
  await assertUpstream('cancelled', model);
});

// Only a signal ends the call: this SDK keeps the connection of a stream that is left.
test('a stream that is aborted ends the call upstream', async () => {
  const model = 'hang-node-abort';
  const controller = new AbortController();
  const config = { abortSignal: controller.signal };
  const stream = await relay.models.generateContentStream({ model, contents: 'hi', config });
  const next = async () => (await stream.next()).value.text;
  assert.equal(await next(), 'first');
  controller.abort();
  await assert.rejects(next(), /abort/i);
  await assertUpstream('cancelled', model);
});

test('upstream gets the name of the SDK', async () => {
  await relay.models.generateContent({ model: 'plain', contents: 'hi' });
  const requests = await (await fetch(`${UPSTREAM}/requests/plain`)).json();
  assert.ok(requests.some(({ headers }) => /^google-genai-sdk\/.* gl-node/.test(headers['x-goog-api-client'])));
});
