"""The same as `mountsea.gemini.connect`, for asyncio. `mountsea.gemini.explain` takes the errors of both."""

from __future__ import annotations

from typing import Any

import grpc.aio

from mountsea.gemini import _settings

__all__ = ["connect"]


def connect(endpoint: str, key: str | None = None, ca: str | None = None) -> grpc.aio.Channel:
    """A channel as `mountsea.gemini.connect` makes it. Call this in the event loop that uses the channel."""
    target, credentials = _settings.target(endpoint, ca)
    # grpc.aio takes each interceptor for one kind of call.
    interceptors = [_UnaryUnary(key), _UnaryStream(key)] if key else []
    if credentials:
        return grpc.aio.secure_channel(target, credentials, _settings.OPTIONS, interceptors=interceptors)
    return grpc.aio.insecure_channel(target, _settings.OPTIONS, interceptors=interceptors)


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, key: str) -> None:
        self._key = key

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_settings.WithKey(client_call_details, self._key), request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, key: str) -> None:
        self._key = key

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_settings.WithKey(client_call_details, self._key), request)
