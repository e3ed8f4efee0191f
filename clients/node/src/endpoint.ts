// Where and how a gateway is reached; the same for both stacks.

import retry from "./gen/service_config.js";

/** The metadata that has the key. */
export const KEY_HEADER = "x-goog-api-key";

/** The largest message to receive or send, in bytes. gRPC's usual limit of 4 MiB is less than a picture of 4K. */
export const MAX_MESSAGE_BYTES = 64 << 20;

/** How often a connection that has open calls is probed, and how long the answer may take, in milliseconds. */
export const PING_INTERVAL_MS = 60_000;
export const PING_TIMEOUT_MS = 20_000;

/** The service config of gRPC: which calls are retried, and when. */
export const serviceConfig = retry;

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * Reads `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`. Without a scheme it is TLS if a CA is given or the host
 * is not this machine.
 */
export function parseEndpoint(endpoint: string, ca?: string): { address: string; tls: boolean } {
  const { protocol, hostname, port } = new URL(endpoint.includes("://") ? endpoint : `none://${endpoint}`);
  if (!["http:", "https:", "none:"].includes(protocol)) {
    throw new TypeError(`an endpoint is HOST:PORT, http://HOST:PORT or https://HOST:PORT, not ${endpoint}`);
  }
  const tls = protocol === "none:" ? ca !== undefined || !LOOPBACK.test(hostname) : protocol === "https:";
  return { address: `${hostname}:${port || (tls ? 443 : 80)}`, tls };
}
