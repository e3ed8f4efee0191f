// Reads streams with @google/genai and prints, for each model, one line of JSON: what was read, and how the stream ended.
//
//     node read.js BASE_URL < MODELS

import { text } from 'node:stream/consumers';

import { ApiError, GoogleGenAI } from '@google/genai';

const client = new GoogleGenAI({ apiKey: 'a-key', vertexai: false, httpOptions: { baseUrl: process.argv[2] } });

function failure(error) {
  if (!(error instanceof ApiError)) return [error.constructor.name, String(error.message)];
  // The SDK has only the HTTP status as a member; its message has the body of the error.
  const [, status] = error.message.match(/"status":\s*"([A-Z_]+)"/) ?? [];
  return [error.constructor.name, error.status, status];
}

for (const model of (await text(process.stdin)).split(/\s+/).filter(Boolean)) {
  const texts = [];
  let end = null;
  try {
    const stream = await client.models.generateContentStream({ model, contents: 'hi' });
    for await (const chunk of stream) texts.push(chunk.text ?? '');
  } catch (error) {
    end = failure(error);
  }
  console.log(JSON.stringify({ model, texts, end }));
}
