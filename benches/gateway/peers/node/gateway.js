// The gateway that a team writes for Node.js: grpc-js in front, protobufjs, fetch behind, one process per core.
//
// gateway.js UPSTREAM PORT PROTO_FOLDER CLIENT serves GenerativeService on 127.0.0.1:PORT and calls Gemini's REST API
// at http://UPSTREAM. CLIENT is fetch, which is built into Node.js, or undici, a package with pools of connections.
"use strict";

const cluster = require("node:cluster");
const os = require("node:os");
const path = require("node:path");
const { StringDecoder } = require("node:string_decoder");
const grpc = require("@grpc/grpc-js");
const protobuf = require("protobufjs");

const SERVICES = ["mountsea.gemini.v1.GenerativeService", "google.ai.generativelanguage.v1beta.GenerativeService"];

const CODES = {
  400: grpc.status.INVALID_ARGUMENT,
  401: grpc.status.UNAUTHENTICATED,
  403: grpc.status.PERMISSION_DENIED,
  404: grpc.status.NOT_FOUND,
  429: grpc.status.RESOURCE_EXHAUSTED,
  499: grpc.status.CANCELLED,
  500: grpc.status.INTERNAL,
  501: grpc.status.UNIMPLEMENTED,
  503: grpc.status.UNAVAILABLE,
  504: grpc.status.DEADLINE_EXCEEDED,
};

const TO_JSON = { enums: String, longs: String, bytes: String };

// google.protobuf.Struct and Value are plain JSON; protobufjs has their messages but not this rule.
function valueToJson(value) {
  if (value.structValue) return structToJson(value.structValue);
  if (value.listValue) return value.listValue.values.map(valueToJson);
  return value.stringValue ?? value.numberValue ?? value.boolValue ?? null;
}

function structToJson(struct) {
  return Object.fromEntries(Object.entries(struct.fields).map(([name, value]) => [name, valueToJson(value)]));
}

function valueFromJson(json) {
  if (json === null) return { nullValue: 0 };
  if (Array.isArray(json)) return { listValue: { values: json.map(valueFromJson) } };
  if (typeof json === "object") return { structValue: structFromJson(json) };
  return { [`${typeof json === "boolean" ? "bool" : typeof json}Value`]: json };
}

function structFromJson(json) {
  return { fields: Object.fromEntries(Object.entries(json).map(([name, value]) => [name, valueFromJson(value)])) };
}

protobuf.wrappers[".google.protobuf.Struct"] = {
  fromObject(json) {
    return this.create(structFromJson(json));
  },
  toObject: structToJson,
};
protobuf.wrappers[".google.protobuf.Value"] = {
  fromObject(json) {
    return this.create(valueFromJson(json));
  },
  toObject: valueToJson,
};

function loadMessages(folder) {
  const root = new protobuf.Root();
  // protobufjs has some of Google's own files built in, and the others in its package.
  const google = path.dirname(require.resolve("protobufjs/package.json"));
  root.resolvePath = (origin, target) => {
    if (protobuf.common.get(target)) return target;
    return path.join(target.startsWith("google/protobuf/") ? google : folder, target);
  };
  root.loadSync("mountsea/gemini/v1/generative_service.proto").resolveAll();
  return {
    Request: root.lookupType("mountsea.gemini.v1.GenerateContentRequest"),
    Response: root.lookupType("mountsea.gemini.v1.GenerateContentResponse"),
  };
}

function definition(service, { Request, Response }) {
  const method = (name, responseStream) => ({
    path: `/${service}/${name}`,
    requestStream: false,
    responseStream,
    // A request is JSON from its arrival on, and a response until it leaves.
    requestDeserialize: (bytes) => Request.toObject(Request.decode(bytes), TO_JSON),
    requestSerialize: (json) => Request.encode(Request.fromObject(json)).finish(),
    responseDeserialize: (bytes) => Response.toObject(Response.decode(bytes), TO_JSON),
    responseSerialize: (json) => Response.encode(Response.fromObject(json)).finish(),
  });
  return {
    GenerateContent: method("GenerateContent", false),
    StreamGenerateContent: method("StreamGenerateContent", true),
  };
}

// Each sends a request, and returns a response with status, body, json() and text(). Both have as many connections as
// calls in flight, and keep them alive.
const CLIENTS = {
  fetch: (upstream) => (path, request) => fetch(`http://${upstream}${path}`, request),
  undici(upstream) {
    const { Pool } = require("undici");
    // The caller's deadline ends a call.
    const pool = new Pool(`http://${upstream}`, { connections: null, headersTimeout: 0, bodyTimeout: 0 });
    return async (path, request) => {
      const { statusCode, body } = await pool.request({ path, ...request });
      return { status: statusCode, body, json: () => body.json(), text: () => body.text() };
    };
  },
};

class Gateway {
  constructor(client) {
    this.client = client;
  }

  // Sends a request. The model is in its path and not in its body.
  async send({ model = "", ...body }, action, call) {
    const abort = new AbortController();
    call.on("cancelled", () => abort.abort());
    const name = model.startsWith("models/") ? model : `models/${model}`;
    const response = await this.client(`/v1beta/${name}:${action}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-goog-api-key": "key" },
      body: JSON.stringify(body),
      signal: abort.signal,
    });
    if (response.status !== 200) throw await upstreamError(response);
    return response;
  }

  generateContent(call, callback) {
    this.send(call.request, "generateContent", call)
      .then((response) => response.json())
      .finally(() => ended(call))
      .then((json) => callback(null, json), (error) => callback(status(error)));
  }

  async streamGenerateContent(call) {
    try {
      const { body } = await this.send(call.request, "streamGenerateContent?alt=sse", call);
      for await (const event of events(body)) {
        // A caller that does not read stops the stream from upstream.
        if (!call.write(JSON.parse(event))) await drained(call);
      }
      call.end();
    } catch (error) {
      call.emit("error", status(error));
    } finally {
      ended(call);
    }
  }
}

// grpc-js emits "cancelled" at the end of every call. An abort after the response would take as long as the request.
function ended(call) {
  call.removeAllListeners("cancelled");
}

function drained(call) {
  return new Promise((resolve) => {
    call.once("drain", resolve);
    call.once("cancelled", resolve);
  });
}

async function upstreamError(response) {
  const text = await response.text();
  let message = `HTTP ${response.status} from upstream`;
  try {
    message = JSON.parse(text).error.message;
  } catch {
    // An error without a body in Google's form has no message of its own.
  }
  return { code: CODES[response.status] ?? grpc.status.UNKNOWN, message };
}

function status(error) {
  // Its code is a number that is none of gRPC's.
  if (error.name === "AbortError") return { code: grpc.status.CANCELLED, message: error.message };
  if (typeof error.code === "number") return error;
  return { code: grpc.status.UNAVAILABLE, message: `upstream: ${(error.cause ?? error).message}` };
}

// The data of each server-sent event.
async function* events(body) {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  for await (const piece of body) {
    const lines = (rest + decoder.write(piece)).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5);
  }
  if (rest.startsWith("data:")) yield rest.slice(5);
}

function serve(upstream, port, folder, client) {
  const gateway = new Gateway(CLIENTS[client](upstream));
  const messages = loadMessages(folder);
  const server = new grpc.Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": 10000,
  });
  for (const service of SERVICES) {
    server.addService(definition(service, messages), {
      GenerateContent: (call, callback) => gateway.generateContent(call, callback),
      StreamGenerateContent: (call) => gateway.streamGenerateContent(call),
    });
  }
  server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) => {
    if (error) throw error;
  });
}

if (cluster.isPrimary) {
  for (let i = 0; i < os.availableParallelism(); i++) cluster.fork();
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers)) worker.kill();
    process.exit(0);
  });
} else {
  const [upstream, port, folder, client] = process.argv.slice(2);
  serve(upstream, Number(port), folder, client);
}
