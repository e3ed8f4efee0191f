// A gRPC client that is built from the .proto files at run time, against the gateway.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

import { ROOT, startGateway, startSandbox } from './processes.js';

const CONTRACT = protoLoader.loadSync('mountsea/gemini/v1/generative_service.proto', {
  includeDirs: [`${ROOT}proto`],
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});
const DETAILS = protoLoader.loadSync(['google/rpc/status.proto', 'google/rpc/error_details.proto'], {
  includeDirs: [`${ROOT}proto`],
  longs: Number,
  // Decodes the details of known types.
  json: true,
});
const { GenerativeService } = grpc.loadPackageDefinition(CONTRACT).mountsea.gemini.v1;

let sandbox;
let gateway;
let client;
let generate;

before(async () => {
  sandbox = await startSandbox();
  gateway = await startGateway(sandbox.url);
  const options = { 'grpc.max_receive_message_length': 64 << 20, 'grpc.enable_http_proxy': 0 };
  client = new GenerativeService(gateway.address, grpc.credentials.createInsecure(), options);
  generate = promisify(client.generateContent.bind(client));
});

after(async () => {
  client?.close();
  await gateway?.stop();
  await sandbox?.stop();
});

const request = (text, model = 'gemini-2.5-flash', more = {}) => ({
  model,
  contents: [{ role: 'user', parts: [{ text }] }],
  ...more,
});

const partsOf = (answer) => answer.candidates[0].content.parts;
const textOf = (...answers) => answers.flatMap(partsOf).map((part) => part.text).join('');

/** The details of an error, by the name of their type. */
function detailsOf(error) {
  const [trailer] = error.metadata.get('grpc-status-details-bin');
  const { details } = DETAILS['google.rpc.Status'].deserialize(trailer);
  return Object.fromEntries(details.map((detail) => [detail['@type'].split('.').at(-1), detail]));
}

test('a text is generated', async () => {
  const answer = await generate(request('hello there'));
  assert.match(textOf(answer), /hello there/);
  assert.equal(answer.candidates[0].finishReason, 'STOP');
  assert.equal(answer.usageMetadata.promptTokenCount, 2);
});

test('the chunks of a stream add up to the whole text', async () => {
  const chunks = [];
  for await (const chunk of client.streamGenerateContent(request('hello there'))) chunks.push(chunk);
  assert.ok(chunks.length > 5);
  assert.equal(textOf(...chunks), textOf(await generate(request('hello there'))));
});

test('a picture is generated', async () => {
  const generationConfig = { imageConfig: { aspectRatio: '16:9' } };
  const answer = await generate(request('a lighthouse', 'gemini-2.5-flash-image', { generationConfig }));
  const { data } = partsOf(answer).find((part) => part.data === 'inlineData' && !part.thought).inlineData;
  assert.equal(data.readUInt32BE(16) * 9, data.readUInt32BE(20) * 16);
});

test('a quota error names the quota and the retry delay', async () => {
  const error = await generate(request('hi', 'sandbox-429')).catch((error) => error);
  assert.equal(error.code, grpc.status.RESOURCE_EXHAUSTED);
  const { ErrorInfo, RetryInfo, QuotaFailure, RequestInfo } = detailsOf(error);
  assert.equal(ErrorInfo.reason, 'RATE_LIMIT_EXCEEDED');
  assert.equal(ErrorInfo.domain, 'googleapis.com');
  assert.equal(ErrorInfo.metadata.upstreamStatus, '429');
  assert.deepEqual(RetryInfo.retryDelay, { seconds: 3, nanos: 500_000_000 });
  assert.equal(QuotaFailure.violations[0].subject, 'sandbox');
  assert.ok(RequestInfo.requestId);
});

test('all violations are reported together', async () => {
  const generationConfig = { temperature: 3, imageConfig: { aspectRatio: '7:3' } };
  const call = generate(request('hi', 'gemini-2.5-flash-image', { generationConfig }));
  const error = await call.catch((error) => error);
  assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
  const { BadRequest, ErrorInfo } = detailsOf(error);
  assert.equal(ErrorInfo.reason, 'REQUEST_INVALID');
  const fields = BadRequest.fieldViolations.map((violation) => violation.field);
  assert.deepEqual(fields, ['generation_config.temperature', 'generation_config.image_config.aspect_ratio']);
});

test('a broken stream yields its chunks and then the error', async () => {
  const chunks = [];
  const read = async () => {
    for await (const chunk of client.streamGenerateContent(request('hi', 'sandbox-cut'))) chunks.push(chunk);
  };
  const error = await read().catch((error) => error);
  assert.match(textOf(...chunks), /^\[sandbox\] You said/);
  assert.equal(error.code, grpc.status.UNAVAILABLE);
  assert.equal(detailsOf(error).ErrorInfo.reason, 'UPSTREAM_CUT_OFF');
});

test('a deadline ends a call without a response', async () => {
  const call = generate(request('hi', 'sandbox-hang'), { deadline: Date.now() + 300 });
  await assert.rejects(call, { code: grpc.status.DEADLINE_EXCEEDED });
});
