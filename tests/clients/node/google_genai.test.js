// Google's unmodified REST SDK for JavaScript, against the sandbox: it shows that the sandbox behaves like Gemini.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { ApiError, GoogleGenAI, Type } from '@google/genai';

import { startSandbox } from './processes.js';

const TEXT_MODEL = 'gemini-2.5-flash';
const IMAGE_MODEL = 'gemini-2.5-flash-image';

let sandbox;
let client;

function clientWith(apiKey) {
  return new GoogleGenAI({ apiKey, vertexai: false, httpOptions: { baseUrl: sandbox.url } });
}

before(async () => {
  sandbox = await startSandbox();
  client = clientWith('any');
});

after(() => sandbox?.stop());

const partsOf = (answer) => answer.candidates[0].content.parts;

function pictureOf(answer) {
  const { mimeType, data } = partsOf(answer).find((part) => part.inlineData && !part.thought).inlineData;
  const bytes = Buffer.from(data, 'base64');
  assert.equal(mimeType, 'image/png');
  assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
  return { data, width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
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
  const chunks = [];
  for await (const chunk of await client.models.generateContentStream(params)) chunks.push(chunk);
  assert.ok(chunks.length > 5);
  const whole = await client.models.generateContent(params);
  assert.equal(chunks.map((chunk) => chunk.text).join(''), whole.text);
  assert.equal(chunks.at(-1).candidates[0].finishReason, 'STOP');
});

test('a chat remembers its earlier messages', async () => {
  const chat = client.chats.create({ model: TEXT_MODEL });
  await chat.sendMessage({ message: 'hello' });
  const answer = await chat.sendMessage({ message: 'again' });
  assert.match(answer.text, /again/);
  assert.deepEqual(chat.getHistory().map((content) => content.role), ['user', 'model', 'user', 'model']);
});

test('an image is generated and edited', async () => {
  const config = { responseModalities: ['TEXT', 'IMAGE'], imageConfig: { aspectRatio: '4:3' } };
  const generate = (contents) => client.models.generateContent({ model: IMAGE_MODEL, contents, config });
  const made = pictureOf(await generate('a lighthouse'));
  assert.equal(made.width * 3, made.height * 4);

  const edited = pictureOf(await generate([{ inlineData: { mimeType: 'image/png', data: made.data } }, 'at night']));
  assert.deepEqual([edited.width, edited.height], [made.width, made.height]);
  assert.notEqual(edited.data, made.data);
});

test('an image model requires response modalities', async () => {
  const call = client.models.generateContent({ model: IMAGE_MODEL, contents: 'a lighthouse' });
  await assert.rejects(call, /responseModalities/);
});

test('a function is called and its result is answered', async () => {
  const parameters = {
    type: Type.OBJECT,
    properties: { city: { type: Type.STRING }, days: { type: Type.INTEGER, minimum: 2, maximum: 5 } },
  };
  const config = { tools: [{ functionDeclarations: [{ name: 'weather', description: 'The weather', parameters }] }] };
  const question = { role: 'user', parts: [{ text: 'Paris please' }] };
  const generate = (...contents) => client.models.generateContent({ model: TEXT_MODEL, contents, config });

  const first = await generate(question);
  const [call] = first.functionCalls;
  assert.equal(call.name, 'weather');
  assert.match(call.args.city, /Paris/);
  assert.equal(call.args.days, 2);

  const functionResponse = { id: call.id, name: call.name, response: { degrees: 21.5 } };
  const answer = await generate(question, first.candidates[0].content, { role: 'user', parts: [{ functionResponse }] });
  assert.match(answer.text, /weather/);
});

test('structured output is generated', async () => {
  const city = { type: Type.OBJECT, properties: { name: { type: Type.STRING }, people: { type: Type.INTEGER } } };
  const config = { responseMimeType: 'application/json', responseSchema: { type: Type.ARRAY, items: city } };
  const answer = await client.models.generateContent({ model: TEXT_MODEL, contents: 'cities', config });
  const [first] = JSON.parse(answer.text);
  assert.equal(typeof first.name, 'string');
  assert.ok(Number.isInteger(first.people));
});

for (const [model, status, name] of [
  ['sandbox-429', 429, 'RESOURCE_EXHAUSTED'],
  ['sandbox-500', 500, 'INTERNAL'],
  ['no-such-model', 404, 'NOT_FOUND'],
]) {
  test(`an error of status ${status} is reported`, async () => {
    const check = (error) => error instanceof ApiError && error.status === status && error.message.includes(name);
    await assert.rejects(client.models.generateContent({ model, contents: 'hi' }), check);
    await assert.rejects(client.models.generateContentStream({ model, contents: 'hi' }), check);
  });
}

test('models are listed page by page', async () => {
  const names = [];
  for await (const model of await client.models.list({ config: { pageSize: 5 } })) names.push(model.name);
  assert.ok(names.length > 5 && new Set(names).size === names.length);
  assert.ok(names.includes(`models/${TEXT_MODEL}`));
  assert.equal((await client.models.get({ model: TEXT_MODEL })).name, `models/${TEXT_MODEL}`);
  await assert.rejects(client.models.get({ model: 'no-such-model' }), (error) => error.status === 404);
});

test('tokens are counted and contents become vectors', async () => {
  const counted = await client.models.countTokens({ model: TEXT_MODEL, contents: 'three short words' });
  assert.equal(counted.totalTokens, 3);
  const answer = await client.models.embedContent({ model: 'gemini-embedding-001', contents: ['the sky', 'the sea'] });
  assert.deepEqual(answer.embeddings.map(({ values }) => values.length), [3072, 3072]);
});

test('what the sandbox does not have is not found', async () => {
  await assert.rejects(client.files.get({ name: 'files/a' }), (error) => error.status === 404);
  await assert.rejects(client.caches.get({ name: 'cachedContents/a' }), (error) => error.status === 404);
});

test('a bad key is refused', async () => {
  const call = clientWith('bad-key').models.generateContent({ model: TEXT_MODEL, contents: 'hi' });
  await assert.rejects(call, (error) => error.status === 400 && /API key not valid/.test(error.message));
});
