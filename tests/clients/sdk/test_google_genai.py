"""Google's unmodified REST SDK for Python, against the sandbox: it shows that the sandbox behaves like Gemini."""

import pydantic
import pytest
from google import genai
from google.genai import errors, types

TEXT_MODEL = "gemini-2.5-flash"
IMAGE_MODEL = "gemini-2.5-flash-image"


def client_of(sandbox, key="any"):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=sandbox))


@pytest.fixture(scope="module")
def client(sandbox):
    return client_of(sandbox)


def picture_of(answer):
    parts = answer.candidates[0].content.parts
    return next(part.inline_data for part in parts if part.inline_data and not part.thought)


def size_of(png):
    """The bytes of the header that contain width and height."""
    assert png.startswith(b"\x89PNG")
    return png[16:24]


def test_a_text_is_generated(client):
    answer = client.models.generate_content(model=TEXT_MODEL, contents="hello there")
    assert answer.text.startswith("[sandbox]") and "hello there" in answer.text
    assert answer.usage_metadata.prompt_token_count == 2
    assert answer.model_version == "sandbox/gemini-2.5-flash"


def test_a_text_is_streamed(client):
    chunks = list(client.models.generate_content_stream(model=TEXT_MODEL, contents="hello there"))
    assert len(chunks) > 5 and "hello there" in "".join(chunk.text for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


async def test_texts_are_generated_and_streamed_with_asyncio(client):
    answer = await client.aio.models.generate_content(model=TEXT_MODEL, contents="hello there")
    stream = await client.aio.models.generate_content_stream(model=TEXT_MODEL, contents="hello there")
    assert "".join([chunk.text async for chunk in stream]) == answer.text


def test_a_chat_remembers_its_earlier_messages(client):
    chat = client.chats.create(model=TEXT_MODEL)
    assert "hello" in chat.send_message("hello").text
    assert "again" in chat.send_message("again").text
    assert [content.role for content in chat.get_history()] == ["user", "model", "user", "model"]


def test_an_image_is_generated_and_edited(client):
    image_config = types.ImageConfig(aspect_ratio="4:3")
    config = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"], image_config=image_config)
    made = picture_of(client.models.generate_content(model=IMAGE_MODEL, contents="a lighthouse", config=config))
    assert made.mime_type == "image/png"

    parts = [types.Part.from_bytes(data=made.data, mime_type="image/png"), "at night"]
    edited = picture_of(client.models.generate_content(model=IMAGE_MODEL, contents=parts, config=config))
    assert size_of(edited.data) == size_of(made.data) and edited.data != made.data


def test_an_image_model_requires_response_modalities(client):
    with pytest.raises(errors.ClientError, match="responseModalities"):
        client.models.generate_content(model=IMAGE_MODEL, contents="a lighthouse")


def test_the_sdk_calls_a_function_and_sends_its_result_back(client):
    calls = []

    def weather(city: str, days: int) -> str:
        """The weather in a city."""
        calls.append((city, days))
        return f"{city}: sun for {days} days"

    config = types.GenerateContentConfig(tools=[weather])
    answer = client.models.generate_content(model=TEXT_MODEL, contents="Paris please", config=config)
    assert "weather" in answer.text
    assert len(calls) == 1 and "Paris" in calls[0][0]


def test_structured_output_is_parsed(client):
    class City(pydantic.BaseModel):
        name: str
        people: int

    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=list[City])
    answer = client.models.generate_content(model=TEXT_MODEL, contents="cities", config=config)
    assert isinstance(answer.parsed[0], City)


def test_thoughts_are_returned(client):
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    answer = client.models.generate_content(model="gemini-3-pro-preview", contents="hello", config=config)
    parts = answer.candidates[0].content.parts
    assert parts[0].thought and parts[-1].thought_signature
    assert answer.usage_metadata.thoughts_token_count > 0


@pytest.mark.parametrize(
    "model, code, status, kind",
    [
        ("sandbox-429", 429, "RESOURCE_EXHAUSTED", errors.ClientError),
        ("no-such-model", 404, "NOT_FOUND", errors.ClientError),
        ("sandbox-500", 500, "INTERNAL", errors.ServerError),
    ],
)
def test_errors_are_raised_with_code_and_status(client, model, code, status, kind):
    with pytest.raises(kind) as caught:
        client.models.generate_content(model=model, contents="hi")
    assert (caught.value.code, caught.value.status) == (code, status)
    assert "[sandbox]" in caught.value.message


def test_models_are_listed_page_by_page(client):
    pager = client.models.list(config={"page_size": 5})
    assert len(pager.page) == 5
    models = {model.name: model for model in pager}
    assert "generateContent" in models[f"models/{TEXT_MODEL}"].supported_actions
    assert "embedContent" in models["models/gemini-embedding-001"].supported_actions
    model = client.models.get(model=IMAGE_MODEL)
    assert model == models[f"models/{IMAGE_MODEL}"] and model.input_token_limit > 0
    with pytest.raises(errors.ClientError) as caught:
        client.models.get(model="no-such-model")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


def test_tokens_are_counted(client):
    counted = client.models.count_tokens(model=TEXT_MODEL, contents="three short words")
    assert counted.total_tokens == 3


def test_contents_become_vectors(client):
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["the sky", "the sea"])
    assert [len(vector.values) for vector in answer.embeddings] == [3072, 3072]
    config = types.EmbedContentConfig(output_dimensionality=8, task_type="RETRIEVAL_QUERY")
    short = client.models.embed_content(model="gemini-embedding-001", contents="the sky", config=config)
    assert short.embeddings[0].values == answer.embeddings[0].values[:8]
    with pytest.raises(errors.ClientError, match="not supported for batchEmbedContents"):
        client.models.embed_content(model=TEXT_MODEL, contents="the sky")


def test_what_the_sandbox_does_not_have_is_not_found(client):
    for call in (
        lambda: client.files.list(),
        lambda: client.caches.create(model=TEXT_MODEL),
        lambda: client.batches.list(),
        lambda: client.models.delete(model=TEXT_MODEL),
    ):
        with pytest.raises(errors.ClientError) as caught:
            list(call() or [])
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


def test_a_bad_key_is_refused(sandbox):
    client = client_of(sandbox, key="bad-key")
    with pytest.raises(errors.ClientError, match="API key not valid") as caught:
        client.models.generate_content(model=TEXT_MODEL, contents="hi")
    assert caught.value.code == 400
