// Every part of the API once, with Connect-ES. It saves pictures in the current folder. After
// `clients/build node`, in the folder of this file:
//
//   npm install --no-save ../../target/clients/node/mountsea-gemini-*.tgz
//   npx tsc && node built/tour.js ENDPOINT KEY [CA_FILE]

import { writeFile } from "node:fs/promises";
import {
  type Blob, type Client, connect, ContentSchema, create, createClient, explain, type Explanation,
  type GenerateContentRequest, GenerateContentRequestSchema, type GenerateContentResponse,
  GenerateContentResponse_PromptFeedback_BlockReason as BlockReason, GenerativeService,
  type MessageInitShape, type Part, PartSchema, Type,
} from "@mountsea/gemini";

const MODEL = "gemini-2.5-flash";
const IMAGE_MODEL = "gemini-3-pro-image-preview";
const QUESTION = "Why is the sky blue?";

const [endpoint = "", key = "", ca] = process.argv.slice(2);
const client: Client<typeof GenerativeService> = createClient(
  GenerativeService,
  connect(endpoint, key, ca),
);

/** A request with one text. `more` are other fields, which may replace the model. */
function ask(
  text: string,
  more: MessageInitShape<typeof GenerateContentRequestSchema> = {},
): GenerateContentRequest {
  const parts = [{ data: { case: "text", value: text } as const }];
  const contents = [{ role: "user", parts }];
  return create(GenerateContentRequestSchema, { model: MODEL, contents, ...more });
}

/** The parts of an answer without its thoughts. A blocked prompt has none. */
function partsOf({ candidates }: GenerateContentResponse): Part[] {
  const parts = candidates.flatMap((candidate) => candidate.content?.parts ?? []);
  return parts.filter((part) => !part.thought);
}

function textOf(answer: GenerateContentResponse): string {
  return partsOf(answer).map(({ data }) => (data.case === "text" ? data.value : "")).join("");
}

async function text() {
  const answer = await client.generateContent(ask(QUESTION), { timeoutMs: 60_000 });
  console.log("text:", textOf(answer));
}

async function stream() {
  process.stdout.write("stream: ");
  for await (const answer of client.streamGenerateContent(ask(QUESTION), { timeoutMs: 60_000 })) {
    process.stdout.write(textOf(answer));
  }
  console.log();
}

async function savePicture(
  name: string,
  file: string,
  request: GenerateContentRequest,
): Promise<Blob> {
  const answer = await client.generateContent(request, { timeoutMs: 120_000 });
  for (const { data } of partsOf(answer)) {
    if (data.case === "inlineData") {
      await writeFile(file, data.value.data);
      console.log(`${name}: ${file}, ${data.value.mimeType}, ${data.value.data.length} bytes`);
      return data.value;
    }
  }
  // One of them says why.
  const { promptFeedback, candidates } = answer;
  throw new Error(`no picture: ${promptFeedback?.blockReason}, ${candidates[0]?.finishReason}`);
}

function picture(): Promise<Blob> {
  const generationConfig = { imageConfig: { imageSize: "4K" } };
  const request = ask("a lighthouse at dawn", { model: IMAGE_MODEL, generationConfig });
  return savePicture("picture", "lighthouse.png", request);
}

async function edited(lighthouse: Blob) {
  const request = ask("at night", { model: IMAGE_MODEL });
  const picture = { data: { case: "inlineData", value: lighthouse } as const };
  request.contents[0]?.parts.push(create(PartSchema, picture));
  await savePicture("edited", "lighthouse-night.png", request);
}

async function tool() {
  const properties = { city: { type: Type.STRING } };
  const parameters = { type: Type.OBJECT, properties, required: ["city"] };
  const weather = { name: "get_weather", description: "The weather", parameters };
  const tools = [{ functionDeclarations: [weather] }];
  const request = ask("What is the weather in Oslo?", { tools });
  const answer = await client.generateContent(request, { timeoutMs: 60_000 });
  for (const { data } of partsOf(answer)) {
    if (data.case !== "functionCall") continue;
    const { id, name } = data.value;
    console.log("tool:", name);
    const value = { id, name, response: { celsius: 7 } };
    const parts = [{ data: { case: "functionResponse", value } as const }];
    // The model's turn as it came: it may have signatures, which the model expects back.
    const turn = answer.candidates.flatMap(({ content }) => content ?? []);
    request.contents.push(...turn, create(ContentSchema, { role: "user", parts }));
    const next = await client.generateContent(request, { timeoutMs: 60_000 });
    console.log("tool answer:", textOf(next));
    return;
  }
  throw new Error("the model called no function");
}

async function failureOf(call: Promise<unknown>): Promise<Explanation> {
  try {
    await call;
  } catch (error) {
    return explain(error);
  }
  throw new Error("the call was expected to fail");
}

async function deadline() {
  const request = ask(QUESTION, { model: "sandbox-hang" });
  const { code } = await failureOf(client.generateContent(request, { timeoutMs: 500 }));
  console.log("deadline:", code);
}

async function cancel() {
  const controller = new AbortController();
  const request = ask(QUESTION, { model: "sandbox-hang-stream" });
  try {
    const { signal } = controller;
    for await (const _ of client.streamGenerateContent(request, { signal })) controller.abort();
  } catch (error) {
    console.log("cancel:", explain(error).code);
    return;
  }
  throw new Error("the call was not cancelled");
}

async function refused() {
  const request = ask(QUESTION, { generationConfig: { temperature: 3, topP: 2 } });
  const failure = await failureOf(client.generateContent(request));
  console.log(`refused: ${failure.code}, ${failure.reason}`);
  for (const { field, description } of failure.violations) {
    console.log(`  ${field}: ${description}`);
  }
  console.log("  request id:", failure.requestId);
}

async function busy() {
  const request = ask(QUESTION, { model: "sandbox-429" });
  const { code, reason, retryDelayMs = 0 } = await failureOf(client.generateContent(request));
  console.log(`busy: ${code}, ${reason}, retry in ${retryDelayMs / 1000} s`);
}

async function blocked() {
  const answer = await client.generateContent(ask(QUESTION, { model: "sandbox-blocked" }));
  console.log("blocked:", BlockReason[answer.promptFeedback?.blockReason ?? 0]);
}

async function usage() {
  const { usageMetadata } = await client.generateContent(ask(QUESTION));
  const { promptTokenCount, candidatesTokenCount } = usageMetadata ?? {};
  console.log(`usage: ${promptTokenCount} tokens in, ${candidatesTokenCount} tokens out`);
}

await text();
await stream();
await edited(await picture());
await tool();
for (const part of [deadline, cancel, refused, busy, blocked, usage]) await part();
