// The same call in code, for each language. The key is a placeholder there.

import { pathOf, randomHex } from './call.js';
import { filesIn, json, python } from './literals.js';

const KEY = 'YOUR_KEY';

/**
 * A here-document for a shell. With files it is one in which the shell expands `$( )`, so that in all other texts what
 * the shell would expand is escaped.
 */
function hereDocument(body) {
  const files = filesIn(body);
  if (!files.length) return `<<'END'\n${json(body)}\nEND`;
  const token = randomHex(8);
  const text = json(body, ({ name }) => `${token}${name}${token}`).replace(/[\\$`]/g, '\\$&');
  const read = (_, name) => `"$(base64 < ${name} | tr -d '\\n')"`;
  return `<<END\n${text.replace(new RegExp(`${token}(.+?)${token}`, 'g'), read)}\nEND`;
}

const grpcTarget = ({ origin }) => {
  const { hostname, protocol, port } = new URL(origin);
  return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
};
const isTls = ({ origin }) => origin.startsWith('https:');

function curl({ origin, model, body, hasKey }) {
  const key = hasKey ? `  -H 'x-goog-api-key: ${KEY}' \\\n` : '';
  return `curl -N \\
  '${origin}${pathOf(model).replaceAll('\'', '%27')}' \\
  -H 'content-type: application/json' \\
${key}  --data-binary @- ${hereDocument(body)}
`;
}

function grpcurl(call) {
  const key = call.hasKey ? `-H 'x-goog-api-key: ${KEY}' ` : '';
  return `grpcurl ${isTls(call) ? '' : '-plaintext '}-max-msg-sz 67108864 ${key}-d @ ${grpcTarget(call)} \\
  mountsea.gemini.v1.GenerativeService/StreamGenerateContent ${hereDocument({ model: call.model, ...call.body })}
`;
}

/** Google's SDK requires a key. In it the members of generationConfig, and all others but the contents, are one object. */
function pythonSdk({ origin, model, body }) {
  const { contents, generationConfig, ...others } = body;
  const file = ({ name }) => `open(${JSON.stringify(name)}, "rb").read()`;
  const literal = (value) => python(value, { file, isSnake: true, indent: '    ' });
  const config = { ...generationConfig, ...others };
  return `from google import genai

client = genai.Client(
    api_key="${KEY}",
    http_options={"base_url": "${origin}"},
)
stream = client.models.generate_content_stream(
    model=${JSON.stringify(model)},
    contents=${literal(contents)},
${Object.keys(config).length ? `    config=${literal(config)},\n` : ''})
for chunk in stream:
    for part in chunk.parts or []:
        if part.inline_data:
            open("answer.png", "wb").write(part.inline_data.data)
        print(part.text or "", end="", flush=True)
print()
`;
}

function pythonGrpc(call) {
  const file = ({ name }) => `b64encode(open(${JSON.stringify(name)}, "rb").read())`;
  const credentials = isTls(call) ? ', grpc.ssl_channel_credentials()' : '';
  const hasFiles = filesIn(call.body).length > 0;
  return `# pip install grpcio-tools, and in a checkout of gemini-grpc:
# python -m grpc_tools.protoc -Iproto --python_out=. --grpc_python_out=. \\
#     proto/mountsea/gemini/v1/*.proto proto/buf/validate/validate.proto
${hasFiles ? 'from base64 import b64encode\n\n' : ''}import grpc
from google.protobuf.json_format import ParseDict
from mountsea.gemini.v1 import generative_service_pb2 as gemini
from mountsea.gemini.v1.generative_service_pb2_grpc import GenerativeServiceStub

options = [("grpc.max_receive_message_length", 64 << 20)]
channel = grpc.${isTls(call) ? 'secure' : 'insecure'}_channel("${grpcTarget(call)}"${credentials}, options)
request = ParseDict(${python({ model: call.model, ...call.body }, { file })}, gemini.GenerateContentRequest())
stub = GenerativeServiceStub(channel)
for answer in stub.StreamGenerateContent(request${call.hasKey ? `, metadata=[("x-goog-api-key", "${KEY}")]` : ''}):
    for part in answer.candidates[0].content.parts if answer.candidates else []:
        if part.inline_data.data:
            open("answer.png", "wb").write(part.inline_data.data)
        print(part.text, end="", flush=True)
print()
`;
}

function go(call) {
  const files = filesIn(call.body);
  // A raw string of Go cannot contain a backtick, but JSON has an escape for it.
  const request = json({ model: call.model, ...call.body }, () => '""').replaceAll('`', '\\u0060');
  const reading = files.length
    ? `	files := []string{${files.map(({ name }) => JSON.stringify(name)).join(', ')}}
	for _, content := range request.Contents {
		for _, part := range content.Parts {
			if picture := part.GetInlineData(); picture != nil {
				picture.Data = must(os.ReadFile(files[0]))
				files = files[1:]
			}
		}
	}
`
    : '';
  return `// go get github.com/mountsea/gemini-grpc/clients/go
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"google.golang.org/protobuf/encoding/protojson"

	gemini "github.com/mountsea/gemini-grpc/clients/go"
	geminiv1 "github.com/mountsea/gemini-grpc/clients/go/mountsea/gemini/v1"
)

const requestJSON = \`${request}\`

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	client := must(gemini.NewClient("${new URL(call.origin).protocol}//${grpcTarget(call)}", "${call.hasKey ? KEY : ''}"))
	defer client.Close()

	request := &geminiv1.GenerateContentRequest{}
	if err := protojson.Unmarshal([]byte(requestJSON), request); err != nil {
		log.Fatal(err)
	}
${reading}	stream := must(client.StreamGenerateContent(context.Background(), request))
	for {
		answer, err := stream.Recv()
		// EOF comes only after a complete answer.
		if errors.Is(err, io.EOF) {
			break
		}
		for _, candidate := range must(answer, err).Candidates {
			for _, part := range candidate.GetContent().GetParts() {
				if picture := part.GetInlineData(); picture != nil {
					os.WriteFile("answer.png", picture.Data, 0o644)
				}
				fmt.Print(part.GetText())
			}
		}
	}
	fmt.Println()
}
`;
}

/** The languages, in the order of the tabs. */
export const LANGUAGES = [
  { id: 'curl', name: 'curl', write: curl, note: 'REST, as server-sent events.' },
  { id: 'grpcurl', name: 'grpcurl', write: grpcurl, note: 'gRPC, by reflection.' },
  { id: 'python', name: 'Python', write: pythonSdk, note: 'REST, with Google’s SDK: pip install google-genai.' },
  { id: 'python-grpc', name: 'Python gRPC', write: pythonGrpc, note: 'gRPC, with a client that is generated from the contract.' },
  { id: 'go', name: 'Go', write: go, note: 'gRPC, with the package in clients/go.' },
];
