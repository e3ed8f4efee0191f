"""What channels of both kinds have in common."""

from __future__ import annotations

import ipaddress
import pathlib
import urllib.parse
from typing import Any

import grpc

OPTIONS: list[tuple[str, Any]] = [
    # A picture may be larger than 4 MiB, gRPC's default. One that is too large fails, and is billed all the same.
    ("grpc.max_receive_message_length", 64 << 20),
    # A connection that died is noticed while a call waits. Without a call there are no pings.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Retries of UNAVAILABLE alone.
    # Larger requests, such as those with a picture, would not be retried: the default is 256 KiB.
    ("grpc.per_rpc_retry_buffer_size", 64 << 20),
    ("grpc.service_config", pathlib.Path(__file__).with_name("service_config.json").read_text()),
]


def target(endpoint: str, ca: str | None) -> tuple[str, grpc.ChannelCredentials | None]:
    """The target for gRPC, and credentials if the endpoint is to be reached over TLS."""
    scheme, _, address = endpoint.rpartition("://")
    url = urllib.parse.urlsplit(f"//{address}")
    if scheme not in ("", "http", "https") or not url.hostname or url.path not in ("", "/"):
        raise ValueError(f"the endpoint {endpoint!r} is not HOST:PORT, http://HOST:PORT or https://HOST:PORT")
    tls = scheme == "https" or (not scheme and (ca is not None or not _is_loopback(url.hostname)))
    authority = url.netloc if url.port else f"{url.netloc}:{443 if tls else 80}"
    if not tls:
        return authority, None
    return authority, grpc.ssl_channel_credentials(pathlib.Path(ca).read_bytes() if ca else None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class WithKey(grpc.ClientCallDetails):
    """The details of a call with the key in its metadata, unless the call has one of its own."""

    def __init__(self, details: Any, key: str) -> None:
        for name in ("method", "timeout", "credentials", "wait_for_ready", "compression"):
            setattr(self, name, getattr(details, name, None))
        metadata = tuple(details.metadata or ())
        has_key = any(name.lower() == "x-goog-api-key" for name, _ in metadata)
        self.metadata = metadata if has_key else (*metadata, ("x-goog-api-key", key))
