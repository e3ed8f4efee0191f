// What a program does with the gateway, part by part, with Connect-ES. After `clients/build node`, in this folder:
//
//   npm install && npm install --no-save ../../target/clients/node/mountsea-gemini-*.tgz
//   npx tsc && node built/tour.js ENDPOINT KEY [CA_FILE]

import { writeFile } from "node:fs/promises";
import {
  connect, createClient, explain, GenerateContentResponse_PromptFeedback_BlockReason as BlockReason, GenerativeService,
  Type, type Blob, type GenerateContentResponse, type Part, type Tool,
} from "@mountsea/gemini";

type Init<T> = { [K in keyof T]?: T[K] };
