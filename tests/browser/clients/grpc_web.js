// Google's client for gRPC-Web, which speaks both forms of it. Only over the text form it reads a stream chunk by chunk.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { base64Decode } from '@bufbuild/protobuf/wire';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { GrpcWebClientBase, MethodDescriptor, MethodType } from 'grpc-web';

import { StatusSchema } from './gen/google/rpc/status_pb.js';
import { GenerativeService } from './gen/mountsea/gemini/v1/generative_service_pb.js';
import { errorDetails, picturesOf, request, textOf } from './values.js';

function descriptor({ name, parent, input, output, methodKind }) {
  const type = methodKind === 'unary' ? MethodType.UNARY : MethodType.SERVER_STREAMING;
  const path = `/${parent.typeName}/${name}`;
  return new MethodDescriptor(path, type, Object, Object,
    (message) => toBinary(input, create(input, message)), (bytes) => fromBinary(output, bytes));
}

const [UNARY, STREAM] = [GenerativeService.method.generateContent, GenerativeService.method.streamGenerateContent].map(descriptor);

/** An error as plain values. */
function described({ code, metadata }) {
  const encoded = metadata['grpc-status-details-bin'];
  const details = encoded ? fromBinary(StatusSchema, base64Decode(encoded)).details : [];
  const find = (schema) => details.map((detail) => anyUnpack(detail, schema)).filter(Boolean);
  return { code: Code[code], requestId: metadata['x-request-id'], ...errorDetails(find) };
}

/** `format`: `text` or `binary`. */
export function grpcWeb(baseUrl, format) {
  const client = new GrpcWebClientBase({ format, maxReceiveMessageSize: 0 });
  return {
    async unary(text, model, more = {}) {
      try {
        const answer = await client.unaryCall(baseUrl + UNARY.getName(), request(text, model, more), {}, UNARY);
        return { text: textOf(answer), pictures: picturesOf(answer) };
      } catch (error) {
        return { error: described(error) };
      }
    },
    /** `onText` is called with each chunk; when it returns false, the call is cancelled. */
    stream(text, model, onText = () => true) {
      const chunks = [];
      return new Promise((resolve) => {
        const call = client.serverStreaming(baseUrl + STREAM.getName(), request(text, model), {}, STREAM);
        call.on('data', async (answer) => {
          chunks.push(textOf(answer));
          if (await onText(chunks.at(-1)) !== false) return;
          call.cancel();
          // This client reports nothing more of a call that was cancelled.
          resolve({ chunks, error: { code: 'Canceled' } });
        });
        call.on('error', (error) => resolve({ chunks, error: described(error) }));
        call.on('end', () => resolve({ chunks }));
      });
    },
  };
}
