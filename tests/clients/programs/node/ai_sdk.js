// Vercel's AI SDK with its provider for Gemini: `node ai_sdk.js BASE_URL` prints what it got as JSON.

import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from 'ai';

const google = createGoogleGenerativeAI({ baseURL: `${process.argv[2]}/v1beta`, apiKey: 'a-key' });
const request = (prompt, model = 'gemini-2.5-flash') => ({ model: google(model), prompt, maxRetries: 0 });
const schemaOf = (properties) => jsonSchema({ type: 'object', properties, additionalProperties: false });

const calls = [];
const weather = tool({
  description: 'The weather in a city',
  inputSchema: schemaOf({ city: { type: 'string' } }),
  execute: async ({ city }) => {
    calls.push(city);
    return `${city}: sun`;
  },
});

/** The texts of a stream, and its error. */
async function read(model) {
  const texts = [];
  let error = null;
  for await (const part of streamText({ ...request('hello there', model), onError: () => {} }).fullStream) {
    if (part.type === 'text-delta') texts.push(part.text);
    if (part.type === 'error') error = [part.error.name ?? part.error.constructor.name, JSON.stringify(part.error)];
  }
  return [texts, error];
}

const whole = await generateText(request('hello there'));
const agent = await generateText({ ...request('Paris please'), tools: { weather }, stopWhen: stepCountIs(3) });
const output = Output.object({ schema: schemaOf({ name: { type: 'string' } }) });
const picture = await generateText(request('a lighthouse', 'gemini-2.5-flash-image'));
const failure = await generateText(request('hi', 'sandbox-429')).catch((error) => error);

console.log(
  JSON.stringify({
    text: whole.text,
    usage: whole.usage.inputTokens,
    stream: await read('gemini-2.5-flash'),
    tools: [calls.length, agent.text],
    structured: Object.keys((await generateText({ ...request('a city'), output })).output),
    picture: picture.files.map((file) => file.mediaType),
    error: [failure.name, failure.statusCode],
    cut: await read('sandbox-cut'),
  }),
);
