"""Strangers who hold connections, handshakes and requests open: all others are answered meanwhile."""

import contextlib
import datetime
import ipaddress
import pathlib
import socket
import threading
import urllib.request

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc

import frames
from google_client import SyncClient, request, text_of
from processes import address_in, admin_in, start

# How long another caller waits for an answer. With a stranger in the way it waited longer, or forever.
DEADLINE = 5
CALLS = 5


@contextlib.contextmanager
def gateway(sandbox, *flags):
    """The process and the address of a gateway with one worker, so that all meet."""
    more = ["--workers", "1", "--upstream-url", sandbox, "--drain-delay", "0", *map(str, flags)]
    process, address = start(address_in, "serve", "--listen", "127.0.0.1:0", *more, env={"MOUNTSEA_API_KEY": "a-key"})
    try:
        yield process, address
    finally:
        assert process.stop() == 0


@contextlib.contextmanager
def strangers(address, count, first_bytes):
    """So many connections that say this and nothing more. The gateway may close them."""
    host, _, port = address.rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stranger = stack.enter_context(socket.create_connection((host, int(port)), 60))
            with contextlib.suppress(ConnectionError):
                stranger.sendall(first_bytes)
        yield


def certificate(folder):
    """A certificate for this machine that signs itself, its key, and its bytes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "tls.pem").write_bytes(signed.public_bytes(pem))
    (folder / "tls.key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return folder / "tls.pem", folder / "tls.key"


def ask_for_health(channel):
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("first_bytes", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silent", "half a ClientHello"])
def test_handshakes_go_on_while_others_never_finish_theirs(sandbox, tmp_path, first_bytes):
    chain, key = certificate(tmp_path)
    credentials = grpc.ssl_channel_credentials(chain.read_bytes())
    with gateway(sandbox, "--tls-cert", chain, "--tls-key", key) as (_, address), strangers(address, 600, first_bytes):
        for _ in range(CALLS):
            with grpc.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                ask_for_health(channel)


def test_idle_connections_give_way_when_there_are_as_many_as_may_be(sandbox):
    stop = threading.Event()
    with gateway(sandbox, "--max-connections", 20) as (_, address), contextlib.ExitStack() as stack:
        for _ in range(20):
            idle = frames.Connection(address, stop)
            stack.callback(idle.close)
            idle.greet()
            idle.ping()
        for _ in range(CALLS):
            client = SyncClient(address)
            stack.callback(client.close)
            assert "[sandbox]" in text_of(client.generate(request("hello"), timeout=DEADLINE))


def test_probes_are_answered_while_the_admin_port_has_many_halves_of_a_head(sandbox):
    with gateway(sandbox, "--admin-listen", "127.0.0.1:0") as (process, _):
        admin = process.wait_for(admin_in)
        with strangers(admin, 200, b"GET /livez HTTP/1.1\r\nhost: localh"):
            for path in ["/livez", "/readyz", "/metrics"] * CALLS:
                with urllib.request.urlopen(f"http://{admin}{path}", timeout=DEADLINE) as answer:
                    assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/nobody.knows/It",
    ],
)
def test_a_hundred_requests_of_a_stranger_that_never_end_take_next_to_no_memory(sandbox, path):
    stop = threading.Event()
    with gateway(sandbox) as (process, address), grpc.insecure_channel(address) as channel:
        ask_for_health(channel)
        before = peak(process)
        with contextlib.closing(frames.Connection(address, stop)) as stranger:
            stranger.greet()
            # With this the gateway's windows hold, which are larger than those of HTTP/2.
            stranger.ping()
            stranger.push(frames.frame(frames.SETTINGS, frames.ACK))
            streams = range(1, 200, 2)
            # Closing the connection is the gateway's right.
            with contextlib.suppress(ConnectionError):
                stranger.push(b"".join(frames.headers(stream, path) for stream in streams))
                # The beginning of a message of 4 MiB, then 256 KiB of it at a time.
                piece = b"\0" + (4 << 20).to_bytes(4, "big")
                for _ in range(4):
                    for stream in streams:
                        stranger.push(frames.frame(frames.DATA, 0, stream, piece) + frame_of_zeros(stream) * 16)
                    piece = b""
                    stranger.ping()
            ask_for_health(channel)
            assert peak(process) - before < 64 << 20


def frame_of_zeros(stream):
    return frames.frame(frames.DATA, 0, stream, bytes(16384))


def peak(process):
    """The most memory that the process has had, in bytes."""
    status = pathlib.Path(f"/proc/{process.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10
