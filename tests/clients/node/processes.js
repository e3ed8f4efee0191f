// Runs the real binary as processes: a sandbox, and a gateway that uses it as upstream.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BINARY = process.env.GEMINI_GRPC_BIN ?? `${ROOT}target/release/gemini-grpc`;
const START_TIMEOUT_MS = 30_000;

// Settings in the environment of the tests must not affect the processes that are tested.
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(GEMINI_GRPC|MOUNTSEA|OTEL)_/.test(name)),
);

/** Starts a command and waits for the first result of `find` for a line of output; `stop` ends the command. */
async function start(args, find, env = {}) {
  const child = spawn(BINARY, args, { env: { ...ENVIRONMENT, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  const found = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        output.push(line);
        const value = find(line);
        if (value) resolve(value);
      });
    }
    child.on('error', reject);
    child.on('close', () => reject(new Error(`ended early: ${output.join('\n')}`)));
    setTimeout(() => reject(new Error(`not ready in time: ${output.join('\n')}`)), START_TIMEOUT_MS).unref();
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  };
  try {
    return { found: await found, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts a sandbox: its `url`, and `stop`. */
export async function startSandbox() {
  const args = ['sandbox', '--listen', '127.0.0.1:0', '--pace', '1'];
  const { found, stop } = await start(args, (line) => line.match(/http:\/\/\S+/)?.[0]);
  return { url: found, stop };
}

/** Starts a gateway that uses a sandbox as upstream: its `address`, and `stop`. */
export async function startGateway(url, flags = []) {
  const args = ['serve', '--listen', '127.0.0.1:0', '--upstream-url', url, '--log-format', 'json', ...flags];
  const addressIn = (line) => line.startsWith('{') && JSON.parse(line).address;
  const { found, stop } = await start(args, addressIn, { MOUNTSEA_API_KEY: 'a-key' });
  return { address: found, stop };
}
