"""A client from this project's contract, which has what REST has and Google's gRPC schema lacks.

    pip install grpcio-tools
    mkdir -p gen/python
    python -m grpc_tools.protoc -Iproto --python_out=gen/python --grpc_python_out=gen/python \\
        proto/mountsea/gemini/v1/*.proto proto/buf/validate/validate.proto
    PYTHONPATH=gen/python python examples/python/contract_client.py

It saves a picture as lighthouse.png.
"""

import grpc
from mountsea.gemini.v1 import generative_service_pb2 as gemini
from mountsea.gemini.v1.generative_service_pb2_grpc import GenerativeServiceStub

stub = GenerativeServiceStub(grpc.insecure_channel("127.0.0.1:50051", [("grpc.max_receive_message_length", 64 << 20)]))
request = gemini.GenerateContentRequest(model="gemini-3-pro-image-preview")
request.contents.add(role="user").parts.add(text="a lighthouse at dawn")
request.generation_config.image_config.image_size = "2K"
answer = stub.GenerateContent(request, timeout=120)
# A blocked prompt has no candidates, and an answer may contain no picture.
parts = [part for candidate in answer.candidates for part in candidate.content.parts]
# Some models send drafts first, as thoughts.
pictures = [part.inline_data.data for part in parts if part.inline_data.data and not part.thought]
if pictures:
    open("lighthouse.png", "wb").write(pictures[-1])
else:
    print("no picture:", answer)  # with its block reason or finish reason
