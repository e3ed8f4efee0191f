// Connect-ES in the page of a test: a client for gRPC-Web, whose results the test can read. esbuild makes one file of it.

import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from './gen/google/rpc/error_details_pb.js';
import { GenerativeService } from './gen/mountsea/gemini/v1/generative_service_pb.js';

const textOf = (answer) => answer.candidates[0]?.content?.parts
  .map(({ data }) => (data.case === 'text' ? data.value : '')).join('') ?? '';

const request = (text, model, more) => ({
  model, contents: [{ role: 'user', parts: [{ data: { case: 'text', value: text } }] }], ...more,
});

/** An error as plain values. */
function described(thrown) {
  const error = ConnectError.from(thrown);
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const violations = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  return {
    code: Code[error.code],
    reason: info?.reason,
    metadata: { ...info?.metadata },
    retryMs: retry && Number(retry.retryDelay.seconds) * 1000 + retry.retryDelay.nanos / 1e6,
    fields: violations.map(({ field }) => field),
    requestId: error.metadata.get('x-request-id'),
  };
}

window.connect = (baseUrl, useBinaryFormat = true) => {
  const client = createClient(GenerativeService, createGrpcWebTransport({ baseUrl, useBinaryFormat }));
  return {
    async unary(text, model, more = {}) {
      try {
        const answer = await client.generateContent(request(text, model, more));
        const pictures = answer.candidates[0].content.parts.filter(({ data }) => data.case === 'inlineData');
        return { text: textOf(answer), pictures: pictures.map(({ data }) => [data.value.mimeType, data.value.data.length]) };
      } catch (error) {
        return { error: described(error) };
      }
    },
    /** `onText` is called with each chunk; when it returns false, the call is cancelled. */
    async stream(text, model, onText = () => true) {
      const controller = new AbortController();
      const chunks = [];
      try {
        for await (const answer of client.streamGenerateContent(request(text, model), { signal: controller.signal })) {
          chunks.push(textOf(answer));
          if (await onText(chunks.at(-1)) === false) controller.abort();
        }
        return { chunks };
      } catch (error) {
        return { chunks, error: described(error) };
      }
    },
  };
};
