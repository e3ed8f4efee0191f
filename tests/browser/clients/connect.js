// Connect-ES, which speaks the binary form of gRPC-Web.

import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';

import { GenerativeService } from './gen/mountsea/gemini/v1/generative_service_pb.js';
import { errorDetails, picturesOf, request, textOf } from './values.js';

/** An error as plain values. */
function described(thrown) {
  const error = ConnectError.from(thrown);
  const find = (schema) => error.findDetails(schema);
  return { code: Code[error.code], requestId: error.metadata.get('x-request-id'), ...errorDetails(find) };
}

export function connect(baseUrl) {
  const client = createClient(GenerativeService, createGrpcWebTransport({ baseUrl }));
  return {
    async unary(text, model, more = {}) {
      try {
        const answer = await client.generateContent(request(text, model, more));
        return { text: textOf(answer), pictures: picturesOf(answer) };
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
}
