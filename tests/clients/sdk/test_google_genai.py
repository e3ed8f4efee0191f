"""Google's unmodified REST SDK for Python, against the gateway and against the sandbox.

Against the sandbox, it shows that the sandbox behaves like Gemini. What only a gateway does is tested with `service`,
which passes everything on to the sandbox, and with `relay`, whose upstream is the double.
"""

import io
import itertools
import json

import httpx2
import pydantic
import pytest
from google.genai import errors, types

import streams
from callers import CALLERS, Async, client_of
from commands import HERE

TEXT_MODEL = "gemini-2.5-flash"
IMAGE_MODEL = "gemini-2.5-flash-image"
ERRORS = json.loads((HERE / "errors.json").read_text())
PROMPT = [{"role": "user", "parts": [{"text": "hello"}]}]
# Calls that the gateway does not serve, with the code of the error, and a word of what it says to use instead.
UNSERVED = {
    "files.upload": ({"file": io.BytesIO(b"a file"), "config": {"mime_type": "text/plain"}}, 404, "inlineData"),
    "files.get": ({"name": "files/a"}, 404, "inlineData"),
    "caches.create": ({"model": TEXT_MODEL, "config": {"contents": PROMPT}}, 404, "with each request"),
    "batches.create": ({"model": TEXT_MODEL, "src": [{"contents": PROMPT}]}, 501, "one by one"),
    "batches.get": ({"name": "batches/a"}, 404, "one by one"),
    "file_search_stores.create": ({}, 404, "in the request"),
    "tunings.get": ({"name": "tunedModels/a"}, 404, "base model"),
}
# What the sandbox sends with another status, as a proxy in front of Gemini would.
TRANSLATED = [error for error in ERRORS if error.get("translated")]
EARLY = [error for error in ERRORS if not error.get("after_chunks") and error not in TRANSLATED]
LATE = [error for error in ERRORS if error.get("after_chunks")]


@pytest.fixture(params=CALLERS.values(), ids=CALLERS)
def caller_of(request):
    """Makes callers of base URLs."""
    callers = []

    def make(base_url, **options):
        callers.append(request.param(base_url, **options))
        return callers[-1]

    yield make
    for caller in callers:
        caller.close()


@pytest.fixture(params=["sandbox", "service"])
def caller(request, caller_of):
    """A caller of the sandbox, and one of the gateway."""
    return caller_of(request.getfixturevalue(request.param))


def kind_of(code):
    return errors.ClientError if code < 500 else errors.ServerError


def picture_of(answer):
    parts = answer.candidates[0].content.parts
    return next(part.inline_data for part in parts if part.inline_data and not part.thought)


def size_of(png):
    """The bytes of the header that contain width and height."""
    assert png.startswith(b"\x89PNG")
    return png[16:24]


def details_of(error):
    return {detail["@type"].rpartition(".")[2]: detail for detail in error.details["error"]["details"]}


def test_a_text_is_generated(caller):
    answer = caller.generate(model=TEXT_MODEL, contents="hello there")
    assert answer.text.startswith("[sandbox]") and "hello there" in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.prompt_token_count == 2
    assert answer.model_version == "sandbox/gemini-2.5-flash"


def test_the_chunks_of_a_stream_add_up_to_the_whole_text(caller):
    chunks = list(caller.stream(model=TEXT_MODEL, contents="hello there"))
    assert len(chunks) > 5
    assert "".join(chunk.text for chunk in chunks) == caller.generate(model=TEXT_MODEL, contents="hello there").text
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


def test_a_chat_remembers_its_earlier_messages(caller):
    chat = caller.chat(model=TEXT_MODEL)
    assert "hello" in chat.send_message("hello").text
    assert "again" in "".join(chunk.text for chunk in chat.send_message_stream("again"))
    assert "third" in chat.send_message("third").text
    # This SDK keeps every chunk of a stream as a content of its own.
    roles = [role for role, _ in itertools.groupby(content.role for content in chat.get_history())]
    assert roles == ["user", "model"] * 3


def test_the_sdk_calls_a_function_and_sends_its_result_back(caller):
    calls = []

    def weather(city: str, days: int) -> str:
        """The weather in a city."""
        calls.append((city, days))
        return f"{city}: sun for {days} days"

    config = types.GenerateContentConfig(tools=[weather])
    answer = caller.generate(model=TEXT_MODEL, contents="Paris please", config=config)
    assert "weather" in answer.text
    assert len(calls) == 1 and "Paris" in calls[0][0]
    assert len(answer.automatic_function_calling_history) == 3

    chunks = list(caller.stream(model=TEXT_MODEL, contents="Paris please", config=config))
    assert "weather" in "".join(chunk.text or "" for chunk in chunks)
    assert len(calls) == 2


def test_structured_output_is_parsed(caller):
    class City(pydantic.BaseModel):
        name: str
        people: int

    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=list[City])
    answer = caller.generate(model=TEXT_MODEL, contents="cities", config=config)
    assert isinstance(answer.parsed[0], City)

    schema = {"type": "object", "properties": {"zebra": {"type": "integer"}, "ant": {"type": "string"}}}
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema)
    answer = caller.generate(model=TEXT_MODEL, contents="animals", config=config)
    assert list(json.loads(answer.text)) == ["zebra", "ant"]


def test_thoughts_are_returned(caller):
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    answer = caller.generate(model="gemini-3-pro-preview", contents="hello", config=config)
    parts = answer.candidates[0].content.parts
    assert parts[0].thought and parts[-1].thought_signature
    assert answer.usage_metadata.thoughts_token_count > 0


def test_an_image_is_generated_and_edited(caller):
    image_config = types.ImageConfig(aspect_ratio="4:3")
    config = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"], image_config=image_config)
    made = picture_of(caller.generate(model=IMAGE_MODEL, contents="a lighthouse", config=config))
    assert made.mime_type == "image/png"

    parts = [types.Part.from_bytes(data=made.data, mime_type="image/png"), "at night"]
    edited = picture_of(caller.generate(model=IMAGE_MODEL, contents=parts, config=config))
    assert size_of(edited.data) == size_of(made.data) and edited.data != made.data


def test_the_sandbox_asks_for_the_response_modalities_of_an_image_model(caller_of, sandbox):
    with pytest.raises(errors.ClientError, match="responseModalities"):
        caller_of(sandbox).generate(model=IMAGE_MODEL, contents="a lighthouse")


def test_the_gateway_adds_the_response_modalities_of_an_image_model(caller_of, service):
    assert picture_of(caller_of(service).generate(model=IMAGE_MODEL, contents="a lighthouse")).data


def test_models_are_listed_and_described(caller):
    names = [model.name for model in caller.list()]
    assert f"models/{IMAGE_MODEL}" in names
    assert [model.name for model in caller.list(page_size=2)] == names
    model = caller.model(model=IMAGE_MODEL)
    assert model.name == f"models/{IMAGE_MODEL}" and "generateContent" in model.supported_actions


def test_the_image_models_are_listed_without_upstream(caller_of, relay):
    caller = caller_of(relay)
    names = [model.name for model in caller.list()]
    assert f"models/{IMAGE_MODEL}" in names
    assert [model.name for model in caller.list(page_size=2)] == names
    assert caller.model(model=IMAGE_MODEL).name == f"models/{IMAGE_MODEL}"


def test_tokens_are_counted(caller):
    assert caller.count(model=TEXT_MODEL, contents="hello there").total_tokens == 2


def test_texts_are_embedded(caller):
    answer = caller.embed(model="gemini-embedding-001", contents=["hello", "there"])
    assert len(answer.embeddings) == 2 and all(embedding.values for embedding in answer.embeddings)


def test_what_upstream_does_not_offer_is_refused_with_a_sentence(caller_of, relay):
    caller = caller_of(relay)
    for call in (caller.count, caller.embed):
        with pytest.raises(errors.ServerError) as caught:
            call(model=TEXT_MODEL, contents="hello")
        assert (caught.value.code, caught.value.status) == (501, "UNIMPLEMENTED")
        assert " " in caught.value.message


@pytest.mark.parametrize("name", UNSERVED)
def test_what_is_not_served_is_refused_with_what_to_use_instead(caller_of, relay, name):
    arguments, code, advice = UNSERVED[name]
    with pytest.raises(kind_of(code), match=advice) as caught:
        caller_of(relay).call(name, **arguments)
    assert (caught.value.code, caught.value.status) == (code, "NOT_FOUND" if code == 404 else "UNIMPLEMENTED")


def test_interactions_are_refused_with_what_to_use_instead(caller_of, relay):
    # The exceptions of this part of the SDK are not public.
    with pytest.raises(Exception, match="client.models") as caught:
        caller_of(relay).call("interactions.create", model=TEXT_MODEL, input="hello")
    assert (type(caught.value).__name__, caught.value.status_code) == ("NotFoundError", 404)


def assert_raises(caller, error):
    """Whether both RPCs raise that error before the first chunk."""
    for call in (caller.generate, lambda **request: list(caller.stream(**request))):
        with pytest.raises(kind_of(error["code"])) as caught:
            call(model=error["model"], contents="hi")
        assert (caught.value.code, caught.value.status) == (error["code"], error["status"])
        assert "[sandbox]" in caught.value.message


@pytest.mark.parametrize("error", EARLY, ids=lambda error: error["model"])
def test_an_error_is_raised_with_code_and_status(caller, error):
    assert_raises(caller, error)


@pytest.mark.parametrize("error", TRANSLATED, ids=lambda error: error["model"])
def test_an_error_that_gemini_does_not_send_is_raised_as_one_that_it_sends(caller_of, service, error):
    assert_raises(caller_of(service), error)


@pytest.mark.parametrize("error", LATE, ids=lambda error: error["model"])
def test_an_error_in_the_middle_of_a_stream_is_raised_after_its_chunks(caller_of, service, error):
    chunks = []
    with pytest.raises(kind_of(error["code"])) as caught:
        for chunk in caller_of(service).stream(model=error["model"], contents="hi"):
            chunks.append(chunk)
    assert len(chunks) > 2
    assert (caught.value.code, caught.value.status) == (error["code"], error["status"])


def test_a_quota_error_has_the_retry_delay(caller):
    with pytest.raises(errors.ClientError) as caught:
        caller.generate(model="sandbox-429", contents="hi")
    assert float(details_of(caught.value)["RetryInfo"]["retryDelay"].removesuffix("s")) == 3.5
    assert details_of(caught.value)["ErrorInfo"]["reason"] == "RATE_LIMIT_EXCEEDED"


def test_all_violations_are_reported_together(caller_of, service):
    config = types.GenerateContentConfig(temperature=3, image_config=types.ImageConfig(aspect_ratio="7:3"))
    with pytest.raises(errors.ClientError) as caught:
        caller_of(service).generate(model=IMAGE_MODEL, contents="hi", config=config)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert details_of(caught.value)["ErrorInfo"]["reason"] == "REQUEST_INVALID"
    fields = [violation["field"] for violation in details_of(caught.value)["BadRequest"]["fieldViolations"]]
    assert fields == ["generation_config.temperature", "generation_config.image_config.aspect_ratio"]


def test_a_bad_key_is_refused(caller_of, sandbox, service):
    for base_url, code in ((sandbox, 400), (service, 401)):
        with pytest.raises(errors.ClientError, match="API key not valid") as caught:
            caller_of(base_url, key="bad-key").generate(model=TEXT_MODEL, contents="hi")
        assert caught.value.code == code


def test_the_gateway_ends_a_call_at_the_deadline_in_its_header(caller_of, relay):
    caller = caller_of(relay, headers={"X-Server-Timeout": "1"})
    with pytest.raises(errors.ServerError) as caught:
        caller.generate(model="hang-deadline", contents="hi")
    assert (caught.value.code, caught.value.status) == (504, "DEADLINE_EXCEEDED")


def test_a_client_that_does_not_wait_any_longer_ends_the_call_upstream(request, caller_of, relay, upstream):
    model = f"hang-timeout-{request.node.callspec.id}"
    caller = caller_of(relay, timeout=300)
    with pytest.raises((httpx2.ReadTimeout, TimeoutError)):
        caller.generate(model=model, contents="hi")
    assert caller.wait_for(lambda: upstream.was_cancelled(model))


def test_a_call_whose_task_is_cancelled_ends_upstream(relay, upstream):
    model = "hang-unary"
    caller = Async(relay)
    assert caller.cancel_once(lambda: upstream.has_arrived(model), model=model, contents="hi")
    assert caller.wait_for(lambda: upstream.was_cancelled(model))
    caller.close()


def test_a_stream_that_is_cancelled_ends_the_call_upstream(request, caller_of, relay, upstream):
    model = f"hang-{request.node.callspec.id}"
    caller = caller_of(relay)
    assert caller.cancel_after_first(model=model, contents="hi").text == "first"
    assert caller.wait_for(lambda: upstream.was_cancelled(model))


def test_a_stream_that_breaks_is_continued_with_its_token(caller_of, relay):
    chunks = list(caller_of(relay).stream(model="continued", contents="hi"))
    assert [chunk.text for chunk in chunks] == streams.TEXTS


def test_upstream_gets_the_key_the_path_and_the_name_of_the_sdk(relay, upstream):
    client = client_of(relay)
    client.models.generate_content(model="plain", contents="hi")
    request = upstream.requests["plain"][-1]
    assert request["path"] == "/v1beta/models/plain:generateContent"
    assert request["headers"]["authorization"] == "Bearer a-key"
    assert request["headers"]["x-goog-api-client"].startswith("google-genai-sdk/")
    assert "x-goog-api-key" not in request["headers"]
