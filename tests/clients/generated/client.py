"""Calls the gateway at the given address, with the client that was generated for Python."""

import sys

import grpc
from mountsea.gemini.v1.generative_service_pb2 import GenerateContentRequest, GenerateContentResponse
from mountsea.gemini.v1.generative_service_pb2_grpc import GenerativeServiceStub


def new_request(text: str) -> GenerateContentRequest:
    request = GenerateContentRequest(model="gemini-2.5-flash")
    request.contents.add(role="user").parts.add(text=text)
    return request


def text(answer: GenerateContentResponse) -> str:
    return answer.candidates[0].content.parts[0].text


with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = GenerativeServiceStub(channel)
    print("answer:", text(stub.GenerateContent(new_request("Why is the sky blue?"))))
    print("stream:", "".join(text(answer) for answer in stub.StreamGenerateContent(new_request("Why is the sky blue?"))))
    try:
        stub.GenerateContent(GenerateContentRequest(model="gemini-2.5-flash"))
    except grpc.RpcError as error:
        print("refused:", error.code().value[0], error.details())
