// The client for Connect-ES.

import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, type GrpcTransportOptions } from "@connectrpc/connect-node";
import {
  KEY_HEADER,
  MAX_MESSAGE_BYTES,
  PING_INTERVAL_MS,
  PING_TIMEOUT_MS,
  parseEndpoint,
  serviceConfig,
} from "./endpoint.js";
import { explainStatus, type Explanation } from "./explanation.js";

export { createClient, type Client } from "@connectrpc/connect";
export * from "./messages.js";
export type { Explanation };

/**
 * Returns a transport for {@link createClient}: with the key in each call that has none, messages of up to 64 MiB, pings
 * during calls, and retries of what may be retried. It connects with the first call.
 *
 * @param endpoint - `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`. Without a scheme it is TLS if a CA is given or
 *   the host is not this machine.
 * @param key - the key, or the token of a caller.
 * @param ca - the file of a private CA, as PEM. Without it Node's own list of CAs is used.
 * @param options - more settings of the transport. Its interceptors see each attempt of a call.
 */
export function connect(
  endpoint: string,
  key: string,
  ca?: string,
  options: Partial<GrpcTransportOptions> = {},
): Transport {
  const { address, tls } = parseEndpoint(endpoint, ca);
  const sendKey: Interceptor = (next) => (request) => {
    if (!request.header.has(KEY_HEADER)) request.header.set(KEY_HEADER, key);
    return next(request);
  };
  return createGrpcTransport({
    readMaxBytes: MAX_MESSAGE_BYTES,
    writeMaxBytes: MAX_MESSAGE_BYTES,
    pingIntervalMs: PING_INTERVAL_MS,
    pingTimeoutMs: PING_TIMEOUT_MS,
    ...options,
    baseUrl: `${tls ? "https" : "http"}://${address}`,
    nodeOptions: {
      ...(ca && { ca: readFileSync(ca) }),
      // Node itself leaves out the brackets of an IPv6 address in :authority, which servers refuse.
      ...(!tls && { servername: address.slice(0, address.lastIndexOf(":")) }),
      ...options.nodeOptions,
    },
    interceptors: [retry, sendKey, ...(options.interceptors ?? [])],
  });
}

/** Explains what a call threw. */
export function explain(error: unknown): Explanation {
  const failure = ConnectError.from(error);
  const requestId = failure.metadata.get("x-request-id") ?? undefined;
  return explainStatus(failure.code, failure.rawMessage, (schema) => failure.findDetails(schema)[0], requestId);
}

const policy = serviceConfig.methodConfig[0].retryPolicy;

/**
 * Retries UNAVAILABLE as gRPC's service config says, since Connect-ES does not read it: calls of which nothing has been
 * answered, after the delay that the gateway asks for, and not if it refuses a retry.
 */
export const retry: Interceptor = (next) => async (request) => {
  // What a stream sends can be read only once. It is one message here.
  const messages: Message[] = [];
  if (request.stream) for await (const message of request.message) messages.push(message);
  for (let attempt = 1; ; attempt++) {
    try {
      return await next(request.stream ? { ...request, message: iterate(messages) } : request);
    } catch (error) {
      const delayMs = delayBeforeRetry(ConnectError.from(error), attempt);
      if (delayMs === undefined) throw error;
      await setTimeout(delayMs, undefined, { signal: request.signal }).catch(() => {
        throw request.signal.reason;
      });
    }
  }
};

async function* iterate<T>(messages: T[]): AsyncIterable<T> {
  yield* messages;
}

/** In milliseconds, or undefined if the call must not be repeated. */
function delayBeforeRetry(error: ConnectError, attempt: number): number | undefined {
  if (error.code !== Code.Unavailable || attempt >= policy.maxAttempts) return undefined;
  const pushback = error.metadata.get("grpc-retry-pushback-ms");
  if (pushback !== null) return /^\d+$/.test(pushback) ? Number(pushback) : undefined;
  const backoff = 1000 * parseFloat(policy.initialBackoff) * policy.backoffMultiplier ** (attempt - 1);
  // So that clients whose calls failed together do not come back together.
  return Math.min(backoff, 1000 * parseFloat(policy.maxBackoff)) * (0.8 + 0.4 * Math.random());
}
