// Google's own gRPC client over TLS; only the endpoint and the key are changed. In this folder:
//
//   npm install --no-save && node google_client.js HOST:PORT KEY [CA_FILE]

const [endpoint, apiKey, ca] = process.argv.slice(2);
// The file of a private CA. grpc-js reads this when it is loaded.
if (ca) process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH = ca;
const { v1beta } = await import('@google-ai/generativelanguage');

const [apiEndpoint, port = 443] = endpoint.split(':');
const client = new v1beta.GenerativeServiceClient({ apiEndpoint, port: Number(port), apiKey });
const contents = [{ role: 'user', parts: [{ text: 'Why is the sky blue?' }] }];
const stream = client.streamGenerateContent({ model: 'models/gemini-2.5-flash', contents });
for await (const { candidates } of stream) {
  for (const { content } of candidates) {
    process.stdout.write((content?.parts ?? []).map((part) => part.text).join(''));
  }
}
console.log();
await client.close();
