"""Google's own gRPC client, with only the endpoint changed: the tests run with the synchronous and the asyncio client."""

import asyncio
import json

import grpc
import pytest
from google.ai import generativelanguage_v1 as v1
from google.ai import generativelanguage_v1beta as v1beta
from google.ai.generativelanguage_v1.services.generative_service.transports import (
    GenerativeServiceGrpcTransport as V1Transport,
)
from google.ai.generativelanguage_v1beta.services.generative_service.transports import (
    GenerativeServiceGrpcAsyncIOTransport,
)
from google.protobuf import json_format

from google_client import (
    CLIENTS,
    IMAGE_MODEL,
    OPTIONS,
    parts_of,
    picture,
    picture_of,
    request,
    size_of,
    text_of,
)

STOP = v1beta.Candidate.FinishReason.STOP


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def client(request, gateway):
    client = request.param(gateway)
    yield client
    client.close()


def test_a_text_is_generated(client):
    answer = client.generate(request("hello there"))
    assert "[sandbox]" in text_of(answer) and "hello there" in text_of(answer)
    assert answer.candidates[0].finish_reason == STOP
    assert answer.usage_metadata.prompt_token_count == 2
    assert answer.model_version == "sandbox/gemini-2.5-flash"


def test_a_model_may_be_named_without_the_prefix_models(client):
    message = request("hi")
    message.model = "gemini-2.5-flash"
    assert text_of(client.generate(message))


def test_the_chunks_of_a_stream_add_up_to_the_whole_text(client):
    chunks = list(client.stream(request("hello there")))
    assert len(chunks) > 5
    assert text_of(*chunks) == text_of(client.generate(request("hello there")))
    finishes = [chunk.candidates[0].finish_reason for chunk in chunks]
    assert finishes[-1] == STOP and not any(finishes[:-1])
    usage = [chunk.usage_metadata.candidates_token_count for chunk in chunks]
    assert usage == sorted(usage) and usage[-1] > 0


async def test_a_hundred_concurrent_streams_do_not_mix(gateway):
    async with grpc.aio.insecure_channel(gateway, options=OPTIONS) as channel:
        transport = GenerativeServiceGrpcAsyncIOTransport(channel=channel)
        client = v1beta.GenerativeServiceAsyncClient(transport=transport)

        async def call(number):
            return [chunk async for chunk in await client.stream_generate_content(request(f"number-{number}-"))]

        answers = await asyncio.gather(*(call(number) for number in range(100)))
    assert all(f"number-{number}-" in text_of(*chunks) for number, chunks in enumerate(answers))


def test_the_v1_client_works_as_well(gateway):
    client = v1.GenerativeServiceClient(transport=V1Transport(channel=grpc.insecure_channel(gateway)))
    contents = [v1.Content(parts=[v1.Part(text="hello")])]
    answer = client.generate_content(model="models/gemini-2.5-flash", contents=contents)
    assert "hello" in text_of(answer)
    chunks = list(client.stream_generate_content(model="models/gemini-2.5-flash", contents=contents))
    assert len(chunks) > 5 and text_of(*chunks) == text_of(answer)


def test_a_function_is_called_and_its_result_is_answered(client):
    schema = v1beta.Schema(
        type_="OBJECT",
        properties={
            "city": v1beta.Schema(type_="STRING"),
            "days": v1beta.Schema(type_="INTEGER", minimum=2, maximum=5),
            "unit": v1beta.Schema(type_="STRING", enum=["C", "F"]),
        },
    )
    declaration = v1beta.FunctionDeclaration(name="weather", description="The weather", parameters=schema)
    message = request("Paris please", tools=[v1beta.Tool(function_declarations=[declaration])])
    part = parts_of(client.generate(message))[0]
    args = dict(part.function_call.args)
    assert part.function_call.name == "weather"
    assert args["days"] == 2 and args["unit"] == "C" and "Paris" in args["city"]
    assert parts_of(*client.stream(message))[0] == part

    result = {"degrees": 21.5, "days": 2}
    response = v1beta.FunctionResponse(name="weather", id=part.function_call.id, response=result)
    message.contents.append(v1beta.Content(role="model", parts=[part]))
    message.contents.append(v1beta.Content(role="user", parts=[v1beta.Part(function_response=response)]))
    assert "weather" in text_of(client.generate(message))


def test_an_answer_matches_the_requested_schema(client):
    city = v1beta.Schema(type_="OBJECT", properties={"name": v1beta.Schema(type_="STRING")})
    config = v1beta.GenerationConfig(
        response_mime_type="application/json",
        response_schema=v1beta.Schema(type_="ARRAY", min_items=2, items=city),
    )
    message = request("cities", generation_config=config)
    answer = json.loads(text_of(client.generate(message)))
    assert len(answer) == 2 and answer[0]["name"].startswith("[sandbox]")
    assert json.loads(text_of(*client.stream(message))) == answer


def test_a_json_schema_may_be_used_instead_of_googles_schema(client):
    config = v1beta.GenerationConfig(response_mime_type="application/json")
    schema = {"type": "object", "properties": {"zeta": {"type": "integer"}, "alpha": {"type": "boolean"}}}
    json_format.ParseDict(schema, v1beta.GenerationConfig.pb(config).response_json_schema_ordered)
    # Python's protobuf maps have no order, so the test expects none.
    assert json.loads(text_of(client.generate(request("x", generation_config=config)))) == {"zeta": 1, "alpha": True}


def test_a_generated_picture_can_be_sent_back_and_edited(client):
    config = v1beta.GenerationConfig(image_config=v1beta.ImageConfig(aspect_ratio="16:9"))
    message = request("a lighthouse", model=IMAGE_MODEL, generation_config=config)
    made = picture_of(client.generate(message)).inline_data
    width, height = size_of(made.data)
    assert made.mime_type == "image/png" and width * 9 == height * 16

    edited = picture_of(*client.stream(request(picture(made.data), "at night", model=IMAGE_MODEL)))
    assert size_of(edited.inline_data.data) == (width, height) and edited.inline_data.data != made.data
    assert edited.thought_signature == b"sandbox thought signature"


def test_a_picture_of_20_mib_can_be_sent(client):
    data = bytes(range(256)) * (20 << 12)
    assert "a picture" in text_of(client.generate(request(picture(data), "what is this?")))


def test_a_compressed_request_is_accepted(client, gateway):
    packing = type(client)(gateway, compression=grpc.Compression.Gzip)
    assert "hello" in text_of(packing.generate(request("hello " * 1000)))
    packing.close()


ODD_STREAMS = [
    "201",
    "array",
    "bom",
    "comments",
    "cr",
    "done",
    "lf",
    "no-parts",
    "nulls",
    "object",
    "one-byte",
    "stop-every-chunk",
    "unknown-fields",
    "usage-only",
]


@pytest.mark.parametrize("fault", ODD_STREAMS)
def test_an_unusual_response_yields_the_whole_text(client, fault):
    message = request("hello there", model=f"sandbox-{fault}")
    assert text_of(*client.stream(message)).endswith("at no cost.")
    assert text_of(client.generate(message)).endswith("at no cost.")


def test_a_blocked_prompt_is_returned_as_a_response(client):
    blocked = v1beta.GenerateContentResponse.PromptFeedback.BlockReason.PROHIBITED_CONTENT
    message = request("hi", model="sandbox-blocked")
    assert client.generate(message).prompt_feedback.block_reason == blocked
    assert [chunk.prompt_feedback.block_reason for chunk in client.stream(message)] == [blocked]
