"""Google's own gRPC client; only the endpoint is another one: `python google_client.py ENDPOINT KEY [CA_FILE]`.

    pip install google-ai-generativelanguage==0.12.1

The endpoint is HOST:PORT over TLS, or http://HOST:PORT in plaintext.
"""

import os
import sys

import grpc
from google.ai.generativelanguage_v1beta import GenerativeServiceClient
from google.ai.generativelanguage_v1beta.services.generative_service.transports import GenerativeServiceGrpcTransport

endpoint, key, *ca = sys.argv[1:]
if ca:
    # Without it, gRPC trusts the authorities that it brings.
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = ca[0]
if endpoint.startswith("http://"):
    channel = grpc.insecure_channel(endpoint.removeprefix("http://"), [("grpc.max_receive_message_length", 64 << 20)])
    client = GenerativeServiceClient(transport=GenerativeServiceGrpcTransport(channel=channel))
    metadata = [("x-goog-api-key", key)]
else:
    client = GenerativeServiceClient(client_options={"api_endpoint": endpoint, "api_key": key})
    metadata = []
question = {"role": "user", "parts": [{"text": "Why is the sky blue?"}]}
request = {"model": "models/gemini-2.5-flash", "contents": [question]}
for answer in client.stream_generate_content(request, timeout=60, metadata=metadata):
    print(*(part.text for candidate in answer.candidates for part in candidate.content.parts), sep="", end="", flush=True)
print()
