"""Every part of the API once: `python tour.py ENDPOINT KEY [CA_FILE]`.

It saves pictures in the current directory. clients/python/README.md says how to install it.
"""

import pathlib
import sys

import grpc
from google.protobuf.struct_pb2 import Struct
from mountsea import gemini
from mountsea.gemini.v1.content_pb2 import Blob, Content, FunctionResponse, Part
from mountsea.gemini.v1.generation_config_pb2 import GenerationConfig, ImageConfig
from mountsea.gemini.v1.generative_service_pb2 import (
    GenerateContentRequest,
    GenerateContentResponse,
)
from mountsea.gemini.v1.generative_service_pb2_grpc import GenerativeServiceStub
from mountsea.gemini.v1.schema_pb2 import Schema, Type
from mountsea.gemini.v1.tool_pb2 import FunctionDeclaration, Tool

MODEL = "gemini-2.5-flash"
IMAGE_MODEL = "gemini-3-pro-image-preview"
QUESTION = "Why is the sky blue?"


def ask(
    *parts: Part, model: str = MODEL, config: GenerationConfig | None = None
) -> GenerateContentRequest:
    contents = [Content(role="user", parts=parts)]
    return GenerateContentRequest(model=model, contents=contents, generation_config=config)


def parts_of(answer: GenerateContentResponse) -> list[Part]:
    """The parts of an answer without its thoughts. A blocked prompt has none."""
    parts = [part for candidate in answer.candidates for part in candidate.content.parts]
    return [part for part in parts if not part.thought]


def text_of(answer: GenerateContentResponse) -> str:
    return "".join(part.text for part in parts_of(answer))


def text(stub: GenerativeServiceStub) -> None:
    print("text:", text_of(stub.GenerateContent(ask(Part(text=QUESTION)), timeout=60)))


def stream(stub: GenerativeServiceStub) -> None:
    print("stream: ", end="")
    for answer in stub.StreamGenerateContent(ask(Part(text=QUESTION)), timeout=60):
        print(text_of(answer), end="", flush=True)
    print()


def save_picture(name: str, path: str, answer: GenerateContentResponse) -> Blob:
    for part in parts_of(answer):
        if part.HasField("inline_data"):
            blob = part.inline_data
            pathlib.Path(path).write_bytes(blob.data)
            print(f"{name}: {path}, {blob.mime_type}, {len(blob.data)} bytes")
            return blob
    sys.exit(f"no picture: {answer}")  # with its block reason or finish reason


def picture(stub: GenerativeServiceStub) -> Blob:
    config = GenerationConfig(image_config=ImageConfig(image_size="4K"))
    request = ask(Part(text="a lighthouse at dawn"), model=IMAGE_MODEL, config=config)
    return save_picture("picture", "lighthouse.png", stub.GenerateContent(request, timeout=120))


def edited(stub: GenerativeServiceStub, lighthouse: Blob) -> None:
    request = ask(Part(text="at night"), Part(inline_data=lighthouse), model=IMAGE_MODEL)
    save_picture("edited", "lighthouse-night.png", stub.GenerateContent(request, timeout=120))


def tool(stub: GenerativeServiceStub) -> None:
    properties = {"city": Schema(type=Type.STRING)}
    city = Schema(type=Type.OBJECT, properties=properties, required=["city"])
    weather = FunctionDeclaration(name="get_weather", description="The weather", parameters=city)
    request = ask(Part(text="What is the weather in Oslo?"))
    request.tools.append(Tool(function_declarations=[weather]))
    answer = stub.GenerateContent(request, timeout=60)
    call = next(part.function_call for part in parts_of(answer) if part.HasField("function_call"))
    print("tool:", call.name)
    result = Struct()
    result.update({"celsius": 7})
    response = FunctionResponse(id=call.id, name=call.name, response=result)
    # The model's turn as it came: it may have signatures, which the model expects back.
    request.contents.append(answer.candidates[0].content)
    request.contents.add(role="user").parts.add(function_response=response)
    print("tool answer:", text_of(stub.GenerateContent(request, timeout=60)))


def failure_of(
    stub: GenerativeServiceStub, request: GenerateContentRequest, timeout: float = 60
) -> gemini.Failure:
    try:
        answer = stub.GenerateContent(request, timeout=timeout)
    except grpc.RpcError as error:
        return gemini.explain(error)
    sys.exit(f"expected an error, got {answer}")


def deadline(stub: GenerativeServiceStub) -> None:
    failure = failure_of(stub, ask(Part(text=QUESTION), model="sandbox-hang"), timeout=0.5)
    print("deadline:", failure.code.name)


def cancel(stub: GenerativeServiceStub) -> None:
    call = stub.StreamGenerateContent(ask(Part(text=QUESTION), model="sandbox-hang-stream"))
    next(call)
    call.cancel()
    try:
        for _ in call:
            pass
        sys.exit("the call was not cancelled")
    except grpc.RpcError as error:
        print("cancel:", gemini.explain(error).code.name)


def refused(stub: GenerativeServiceStub) -> None:
    config = GenerationConfig(temperature=3, top_p=2)
    failure = failure_of(stub, ask(Part(text=QUESTION), config=config))
    print(f"refused: {failure.code.name}, {failure.reason}")
    for violation in failure.violations:
        print(f"  {violation.field}: {violation.description}")
    print(f"  request id: {failure.request_id}")


def busy(stub: GenerativeServiceStub) -> None:
    failure = failure_of(stub, ask(Part(text=QUESTION), model="sandbox-429"))
    print(f"busy: {failure.code.name}, {failure.reason}, retry in {failure.retry_delay:g} s")


def blocked(stub: GenerativeServiceStub) -> None:
    answer = stub.GenerateContent(ask(Part(text=QUESTION), model="sandbox-blocked"), timeout=60)
    reason = answer.prompt_feedback.block_reason
    print("blocked:", GenerateContentResponse.PromptFeedback.BlockReason.Name(reason))


def usage(stub: GenerativeServiceStub) -> None:
    used = stub.GenerateContent(ask(Part(text=QUESTION)), timeout=60).usage_metadata
    print(f"usage: {used.prompt_token_count} tokens in, {used.candidates_token_count} tokens out")


def main(endpoint: str, key: str, ca: str | None = None) -> None:
    with gemini.connect(endpoint, key, ca) as channel:
        stub = GenerativeServiceStub(channel)
        text(stub)
        stream(stub)
        edited(stub, picture(stub))
        tool(stub)
        for part in (deadline, cancel, refused, busy, blocked, usage):
            part(stub)


if __name__ == "__main__":
    main(*sys.argv[1:])
