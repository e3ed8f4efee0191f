// The client for @grpc/grpc-js, with the same messages.

import { readFileSync } from "node:fs";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import {
  KEY_HEADER,
  MAX_MESSAGE_BYTES,
  PING_INTERVAL_MS,
  PING_TIMEOUT_MS,
  parseEndpoint,
  serviceConfig,
} from "./endpoint.js";
import { explainStatus, type Explanation } from "./explanation.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";

export * from "./messages.js";
export type { Explanation };

/**
 * Returns a channel for {@link createClient}: with the key in each call that has none, messages of up to 64 MiB, pings
 * during calls, and retries of what may be retried. It connects with the first call; `close()` closes it.
 *
 * @param endpoint - `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`. Without a scheme it is TLS if a CA is given or
 *   the host is not this machine.
 * @param key - the key, or the token of a caller.
 * @param ca - the file of a private CA, as PEM. Without it Node's own list of CAs is used.
 * @param options - more settings of grpc-js.
 */
export function connect(endpoint: string, key: string, ca?: string, options: grpc.ClientOptions = {}): grpc.Client {
  const { address, tls } = parseEndpoint(endpoint, ca);
  // An interceptor, since grpc-js refuses credentials of calls in plaintext.
  const sendKey: grpc.Interceptor = (callOptions, next) =>
    new grpc.InterceptingCall(next(callOptions), {
      start(metadata, listener, start) {
        if (metadata.get(KEY_HEADER).length === 0) metadata.set(KEY_HEADER, key);
        start(metadata, listener);
      },
    });
  const credentials = tls ? grpc.credentials.createSsl(ca ? readFileSync(ca) : null) : grpc.credentials.createInsecure();
  return new grpc.Client(address, credentials, {
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.keepalive_time_ms": PING_INTERVAL_MS,
    "grpc.keepalive_timeout_ms": PING_TIMEOUT_MS,
    "grpc.service_config": JSON.stringify(serviceConfig),
    "grpc.service_config_disable_resolution": 1,
    // Otherwise a request of more than 1 MiB, such as one with a picture, is not retried.
    "grpc.per_rpc_retry_buffer_size": MAX_MESSAGE_BYTES,
    "grpc.retry_buffer_size": 4 * MAX_MESSAGE_BYTES,
    ...options,
    interceptors: [sendKey, ...(options.interceptors ?? [])],
  });
}

/** Explains what a call threw. */
export function explain(error: unknown): Explanation {
  const { code = grpc.status.UNKNOWN, details = String(error), metadata } = (error ?? {}) as Partial<grpc.ServiceError>;
  const [bytes] = metadata?.get("grpc-status-details-bin") ?? [];
  const found = bytes instanceof Uint8Array ? fromBinary(StatusSchema, bytes).details : [];
  const find = <T extends DescMessage>(schema: T) =>
    found.map((detail) => anyUnpack(detail, schema)).find((detail) => detail !== undefined);
  return explainStatus(code, details, find, metadata?.get("x-request-id")[0]?.toString());
}

/** Settings of one call: those of grpc-js, its metadata, and a signal that cancels it. */
export interface CallOptions extends grpc.CallOptions {
  metadata?: grpc.Metadata;
  signal?: AbortSignal;
}

/** A typed client of a service: an RPC with one answer returns a promise, one with a stream returns that of grpc-js. */
export type Client<S extends DescService> = {
  [M in keyof S["method"]]: S["method"][M] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : S["method"][M] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => Stream<MessageShape<O>>
      : never;
};

/** A stream of answers, for `for await`; `cancel()` ends it. */
export type Stream<T> = grpc.ClientReadableStream<T> & AsyncIterable<T>;

/** Returns a client of a service, such as `GenerativeService`, on a channel. */
export function createClient<S extends DescService>(service: S, channel: grpc.Client): Client<S> {
  const call = (method: DescMethod) => (request: MessageInitShape<DescMessage>, options: CallOptions = {}) => {
    const { metadata = new grpc.Metadata(), signal, ...rest } = options;
    const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
    const message = create(method.input, request);
    if (method.methodKind === "server_streaming") {
      const make = channel.makeServerStreamRequest.bind(channel);
      return cancelBy(signal, make(path, requestSerialize, responseDeserialize, message, metadata, rest));
    }
    return new Promise((resolve, reject) => {
      const answer = (error: grpc.ServiceError | null, value?: unknown) => (error ? reject(error) : resolve(value));
      const make = channel.makeUnaryRequest.bind(channel);
      cancelBy(signal, make(path, requestSerialize, responseDeserialize, message, metadata, rest, answer));
    });
  };
  return Object.fromEntries(service.methods.map((method) => [method.localName, call(method)])) as Client<S>;
}

/** A service as grpc-js describes it: for `grpc.Server.addService`, and for clients with callbacks. */
export function serviceDefinition(service: DescService): grpc.ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
}

function methodDefinition(method: DescMethod): grpc.MethodDefinition<any, any> {
  const serialize = (schema: DescMessage) => (message: MessageShape<DescMessage>) =>
    Buffer.from(toBinary(schema, message));
  const deserialize = (schema: DescMessage) => (bytes: Buffer) => fromBinary(schema, bytes);
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: serialize(method.input),
    requestDeserialize: deserialize(method.input),
    responseSerialize: serialize(method.output),
    responseDeserialize: deserialize(method.output),
  };
}

function cancelBy<C extends grpc.ClientUnaryCall | grpc.ClientReadableStream<unknown>>(
  signal: AbortSignal | undefined,
  call: C,
): C {
  const cancel = () => call.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  call.on("status", () => signal?.removeEventListener("abort", cancel));
  if (signal?.aborted) cancel();
  return call;
}
