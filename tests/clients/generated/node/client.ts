// Calls the gateway at the given address, with the client that was generated for TypeScript.
import { create } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  type GenerateContentRequest,
  GenerateContentRequestSchema,
  type GenerateContentResponse,
  GenerativeService,
} from "./gen/mountsea/gemini/v1/generative_service_pb.js";

const client = createClient(GenerativeService, createGrpcTransport({ baseUrl: `http://${process.argv[2]}` }));

function newRequest(text: string): GenerateContentRequest {
  const contents = [{ role: "user", parts: [{ data: { case: "text" as const, value: text } }] }];
  return create(GenerateContentRequestSchema, { model: "gemini-2.5-flash", contents });
}

function text(answer: GenerateContentResponse): string {
  const data = answer.candidates[0]?.content?.parts[0]?.data;
  return data?.case === "text" ? data.value : "";
}

console.log("answer:", text(await client.generateContent(newRequest("Why is the sky blue?"))));
let streamed = "";
for await (const answer of client.streamGenerateContent(newRequest("Why is the sky blue?"))) {
  streamed += text(answer);
}
console.log("stream:", streamed);
try {
  await client.generateContent({ model: "gemini-2.5-flash" });
} catch (error) {
  const { code, rawMessage } = ConnectError.from(error);
  console.log("refused:", code, rawMessage);
}
