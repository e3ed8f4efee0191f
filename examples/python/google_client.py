"""Google's own gRPC client; only the endpoint is changed.

    pip install google-ai-generativelanguage==0.12.1
    python examples/python/google_client.py
"""

import grpc
from google.ai.generativelanguage_v1beta import GenerativeServiceClient
from google.ai.generativelanguage_v1beta.services.generative_service.transports import GenerativeServiceGrpcTransport

channel = grpc.insecure_channel("127.0.0.1:50051")
client = GenerativeServiceClient(transport=GenerativeServiceGrpcTransport(channel=channel))
question = {"role": "user", "parts": [{"text": "Why is the sky blue?"}]}
for answer in client.stream_generate_content(model="models/gemini-2.5-flash", contents=[question]):
    print(*(part.text for candidate in answer.candidates for part in candidate.content.parts), sep="", end="", flush=True)
print()
