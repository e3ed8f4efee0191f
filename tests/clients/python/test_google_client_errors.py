"""Failed calls as Google's own client reports them: the class of the exception, and its details."""

import pytest
from google.ai import generativelanguage_v1beta as v1beta
from google.api_core import exceptions
from google.rpc import error_details_pb2 as rpc

from google_client import CLIENTS, IMAGE_MODEL, detail, picture, request, text_of


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def client(request, gateway):
    client = request.param(gateway)
    yield client
    client.close()


# The fault of the sandbox, the exception, its reason, its source, and upstream's HTTP status.
ERRORS = [
    ("400", exceptions.InvalidArgument, "UPSTREAM_REFUSED", "caller", "400"),
    # The key is the gateway's, so the source is not the caller.
    ("401", exceptions.InternalServerError, "UPSTREAM_KEY_REFUSED", "gateway", None),
    ("402", exceptions.ResourceExhausted, "UPSTREAM_REFUSED", "caller", "402"),
    ("403", exceptions.PermissionDenied, "UPSTREAM_REFUSED", "caller", "403"),
    ("404", exceptions.NotFound, "UPSTREAM_REFUSED", "caller", "404"),
    ("409", exceptions.Aborted, "UPSTREAM_REFUSED", "caller", "409"),
    ("412", exceptions.FailedPrecondition, "UPSTREAM_REFUSED", "caller", "412"),
    ("416", exceptions.OutOfRange, "UPSTREAM_REFUSED", "caller", "416"),
    ("429", exceptions.ResourceExhausted, "RATE_LIMIT_EXCEEDED", "caller", "429"),
    ("499", exceptions.Cancelled, "UPSTREAM_REFUSED", "caller", "499"),
    ("500", exceptions.InternalServerError, "UPSTREAM_REFUSED", "upstream", "500"),
    ("501", exceptions.MethodNotImplemented, "UPSTREAM_REFUSED", "upstream", "501"),
    ("502", exceptions.ServiceUnavailable, "UPSTREAM_REFUSED", "upstream", "502"),
    ("503", exceptions.ServiceUnavailable, "UPSTREAM_REFUSED", "upstream", "503"),
    ("504", exceptions.DeadlineExceeded, "UPSTREAM_REFUSED", "upstream", "504"),
    ("505", exceptions.Unknown, "UPSTREAM_REFUSED", "upstream", "505"),
    ("nest-400", exceptions.InvalidArgument, "UPSTREAM_REFUSED", "caller", "400"),
    ("array-error", exceptions.InvalidArgument, "UPSTREAM_REFUSED", "caller", "400"),
    ("html-502", exceptions.ServiceUnavailable, "UPSTREAM_REFUSED", "upstream", "502"),
    ("empty-500", exceptions.InternalServerError, "UPSTREAM_REFUSED", "upstream", "500"),
    ("big-error", exceptions.InternalServerError, "UPSTREAM_REFUSED", "upstream", "500"),
    ("redirect", exceptions.ServiceUnavailable, "UPSTREAM_REFUSED", "upstream", "307"),
    ("error-200", exceptions.ResourceExhausted, "UPSTREAM_REFUSED", "caller", "429"),
    ("html-200", exceptions.InternalServerError, "UPSTREAM_ANSWER_UNREADABLE", "upstream", None),
    ("utf16", exceptions.InternalServerError, "UPSTREAM_ANSWER_UNREADABLE", "upstream", None),
    ("trailing-garbage", exceptions.InternalServerError, "UPSTREAM_ANSWER_UNREADABLE", "upstream", None),
    ("empty-200", exceptions.InternalServerError, "UPSTREAM_ANSWER_EMPTY", "upstream", None),
    ("204", exceptions.InternalServerError, "UPSTREAM_ANSWER_EMPTY", "upstream", None),
    ("nothing", exceptions.ServiceUnavailable, "UPSTREAM_UNFINISHED", "upstream", None),
    ("one-cut", exceptions.ServiceUnavailable, "UPSTREAM_UNFINISHED", "upstream", None),
    ("nested-error", exceptions.ResourceExhausted, "UPSTREAM_REFUSED", "caller", "429"),
    ("wait-in-words", exceptions.ResourceExhausted, "UPSTREAM_REFUSED", "caller", "429"),
]


@pytest.mark.parametrize("method", ["generate", "stream"])
@pytest.mark.parametrize("fault, kind, reason, source, status", ERRORS, ids=[row[0] for row in ERRORS])
def test_every_error_has_its_class_reason_and_request_id(client, method, fault, kind, reason, source, status):
    message = request("hi", model=f"sandbox-{fault}")
    with pytest.raises(kind) as caught:
        list(getattr(client, method)(message, metadata=[("x-request-id", "ticket-7")]))
    error = caught.value
    assert type(error) is kind
    # Reason and domain are a pair: both from upstream, or both from the gateway.
    domain = "googleapis.com" if reason == "RATE_LIMIT_EXCEEDED" else "gemini-grpc"
    assert (error.reason, error.domain) == (reason, domain)
    assert (error.metadata["source"], error.metadata.get("upstreamStatus")) == (source, status)
    assert detail(error, rpc.ErrorInfo).reason == reason
    assert detail(error, rpc.RequestInfo).request_id == "ticket-7"
    assert error.message


def test_a_quota_error_names_the_quota_and_the_retry_delay(client):
    with pytest.raises(exceptions.ResourceExhausted) as caught:
        client.generate(request("hi", model="sandbox-429"))
    assert detail(caught.value, rpc.RetryInfo).retry_delay.ToMilliseconds() == 3500
    assert detail(caught.value, rpc.QuotaFailure).violations[0].subject == "sandbox"


def test_a_retry_after_header_becomes_retry_info(client):
    with pytest.raises(exceptions.ResourceExhausted) as caught:
        client.generate(request("hi", model="sandbox-429-retry-after"))
    assert detail(caught.value, rpc.RetryInfo).retry_delay.seconds == 7


def test_all_violations_are_reported_together(client):
    config = v1beta.GenerationConfig(temperature=3, image_config=v1beta.ImageConfig(aspect_ratio="7:3"))
    wrong = picture(b"data:image/png;base64,AAAA")
    with pytest.raises(exceptions.InvalidArgument) as caught:
        client.generate(request(wrong, model=IMAGE_MODEL, generation_config=config))
    assert caught.value.reason == "REQUEST_INVALID"
    violations = detail(caught.value, rpc.BadRequest).field_violations
    assert [violation.field for violation in violations] == [
        "contents[0].parts[0].inline_data.data",
        "generation_config.temperature",
        "generation_config.image_config.aspect_ratio",
    ]
    assert "21:9" in violations[2].description


def test_a_value_that_json_cannot_express_is_a_violation(client):
    config = v1beta.GenerationConfig(presence_penalty=float("nan"))
    with pytest.raises(exceptions.InvalidArgument) as caught:
        client.generate(request("hi", generation_config=config))
    assert caught.value.reason == "REQUEST_MALFORMED"
    assert "presence" in detail(caught.value, rpc.BadRequest).field_violations[0].field


@pytest.mark.parametrize(
    "fault, reason",
    [
        ("cut", "UPSTREAM_CUT_OFF"),
        ("cut-clean", "UPSTREAM_UNFINISHED"),
        ("cut-event", "UPSTREAM_UNFINISHED"),
        ("error-event", "UPSTREAM_REFUSED"),
        ("error-bare", "UPSTREAM_REFUSED"),
    ],
)
def test_a_broken_stream_yields_its_chunks_and_then_the_error(client, fault, reason):
    chunks = []
    with pytest.raises(exceptions.ServiceUnavailable) as caught:
        for chunk in client.stream(request("hi", model=f"sandbox-{fault}")):
            chunks.append(chunk)
    assert text_of(*chunks).startswith("[sandbox] You said")
    assert caught.value.reason == reason


def test_the_chunks_of_a_silent_stream_arrive_before_the_deadline(client):
    chunks = []
    with pytest.raises(exceptions.DeadlineExceeded):
        for chunk in client.stream(request("hi", model="sandbox-hang-stream"), timeout=1):
            chunks.append(chunk)
    assert text_of(*chunks).startswith("[sandbox] You said")


def test_a_deadline_ends_a_call_without_a_response(client):
    with pytest.raises(exceptions.DeadlineExceeded):
        client.generate(request("hi", model="sandbox-hang"), timeout=0.5)


@pytest.mark.parametrize("kind", CLIENTS.values(), ids=CLIENTS)
def test_the_callers_key_is_used_and_a_call_without_a_key_is_refused(keyless, kind):
    client = kind(keyless)
    with pytest.raises(exceptions.Unauthenticated) as caught:
        client.generate(request("hi"))
    assert caught.value.reason == "API_KEY_MISSING"
    for metadata in ([("x-goog-api-key", "mine")], [("authorization", "Bearer mine")]):
        assert text_of(client.generate(request("hi"), metadata=metadata))
    with pytest.raises(exceptions.Unauthenticated) as caught:
        client.generate(request("hi"), metadata=[("x-goog-api-key", "bad-key")])
    assert caught.value.reason == "API_KEY_INVALID"
    client.close()


def test_an_unsupported_method_is_refused_by_name(client):
    message = v1beta.CountTokensRequest(model="models/gemini-2.5-flash", contents=request("hi").contents)
    with pytest.raises(exceptions.MethodNotImplemented, match="CountTokens is not offered") as caught:
        client.count_tokens(message)
    assert caught.value.reason == "METHOD_NOT_OFFERED"


def test_a_message_over_the_limit_is_refused_and_the_error_names_the_limit(client):
    with pytest.raises(exceptions.ResourceExhausted, match=str(64 << 20)) as caught:
        client.generate(request(picture(bytes(65 << 20))))
    assert caught.value.reason == "REQUEST_TOO_LARGE"
