"""Channels to a gateway with the settings that it needs, and errors as plain values.

    stub = GenerativeServiceStub(gemini.connect("gateway.example.com:443", "KEY"))

Messages and stubs are in `mountsea.gemini.v1`; channels for asyncio come from `mountsea.gemini.aio`.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from mountsea.gemini import _settings

__all__ = ["Failure", "Violation", "connect", "explain"]
__version__ = importlib.metadata.version("mountsea-gemini")


def connect(endpoint: str, key: str | None = None, ca: str | None = None) -> grpc.Channel:
    """A channel to `HOST:PORT`, `http://HOST:PORT` (plaintext) or `https://HOST:PORT` (TLS).

    Without a scheme it uses TLS, unless the host is loopback and there is no `ca`. `ca` is the path of a PEM file with
    the authorities to trust, in place of those that gRPC brings. The key is sent with every call.
    """
    target, credentials = _settings.target(endpoint, ca)
    if credentials:
        channel = grpc.secure_channel(target, credentials, _settings.OPTIONS)
    else:
        channel = grpc.insecure_channel(target, _settings.OPTIONS)
    return grpc.intercept_channel(channel, _SendKey(key)) if key else channel


@dataclasses.dataclass(frozen=True)
class Violation:
    """A rule that a request breaks."""

    field: str  #: the path of the field, such as `generation_config.temperature`
    description: str


@dataclasses.dataclass(frozen=True)
class Failure:
    """The status of a call, and the details that the gateway sends with it."""

    code: grpc.StatusCode
    message: str
    reason: str = ""  #: of google.rpc.ErrorInfo; empty if the call did not reach a gateway
    violations: tuple[Violation, ...] = ()
    retry_delay: float | None = None  #: seconds
    request_id: str = ""


def explain(error: grpc.RpcError) -> Failure:
    """What an error of a call says. Takes those of asyncio too."""
    call: Any = error
    metadata = dict([*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())])
    status = status_pb2.Status.FromString(metadata.get("grpc-status-details-bin", b""))
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo()
    bad_request, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for packed in status.details:
        for detail in (info, request, bad_request, retry):
            packed.Unpack(detail)  # only if it is of this type
    return Failure(
        code=call.code(),
        message=call.details() or "",
        reason=info.reason,
        violations=tuple(Violation(each.field, each.description) for each in bad_request.field_violations),
        retry_delay=retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
        request_id=request.request_id or str(metadata.get("x-request-id", "")),
    )


class _SendKey(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds the key to every call. Call credentials would do so over TLS only."""

    def __init__(self, key: str) -> None:
        self._key = key

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_settings.WithKey(client_call_details, self._key), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_settings.WithKey(client_call_details, self._key), request)
