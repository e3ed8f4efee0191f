"""While unknown clients keep connections, handshakes and requests open without finishing them, all others are answered."""

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

# How long another caller waits for an answer. If stalled clients blocked the gateway, it would wait longer, or forever.
CALL_TIMEOUT = 5
CALLS = 5


@contextlib.contextmanager
def gateway(sandbox, *flags):
    """The process and the address of a gateway with one worker, which all clients share."""
    more = ["--workers", "1", "--upstream-url", sandbox, "--drain-delay", "0", *map(str, flags)]
    process, address = start(address_in, "serve", "--listen", "127.0.0.1:0", *more, env={"MOUNTSEA_API_KEY": "a-key"})
    try:
        yield process, address
    finally:
        assert process.stop() == 0


@contextlib.contextmanager
def stalled_clients(address, count, first_bytes):
    """Opens `count` connections that send these bytes and nothing more. The gateway may close them."""
    host, _, port = address.rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection((host, int(port)), 60))
            with contextlib.suppress(ConnectionError):
                client.sendall(first_bytes)
        yield


def certificate(folder):
    """The paths of a self-signed certificate for this machine, and of its key."""
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


def check_health(channel):
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=CALL_TIMEOUT)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("first_bytes", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silent", "half a ClientHello"])
def test_handshakes_succeed_while_other_clients_never_finish_theirs(sandbox, tmp_path, first_bytes):
    chain, key = certificate(tmp_path)
    credentials = grpc.ssl_channel_credentials(chain.read_bytes())
    with gateway(sandbox, "--tls-cert", chain, "--tls-key", key) as (_, address), stalled_clients(address, 600, first_bytes):
        for _ in range(CALLS):
            with grpc.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                check_health(channel)


def test_idle_connections_are_closed_for_new_ones_at_the_limit(sandbox):
    stop = threading.Event()
    with gateway(sandbox, "--max-connections", 20) as (_, address), contextlib.ExitStack() as stack:
        for _ in range(20):
            idle = frames.Connection(address, stop)
            stack.callback(idle.close)
            idle.send_preface()
            idle.ping()
        for _ in range(CALLS):
            client = SyncClient(address)
            stack.callback(client.close)
            assert "[sandbox]" in text_of(client.generate(request("hello"), timeout=CALL_TIMEOUT))


def test_probes_are_answered_while_the_admin_port_has_many_incomplete_requests(sandbox):
    with gateway(sandbox, "--admin-listen", "127.0.0.1:0") as (process, _):
        admin = process.wait_for(admin_in)
        with stalled_clients(admin, 200, b"GET /livez HTTP/1.1\r\nhost: localh"):
            for path in ["/livez", "/readyz", "/metrics"] * CALLS:
                with urllib.request.urlopen(f"http://{admin}{path}", timeout=CALL_TIMEOUT) as answer:
                    assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/unknown.Service/Method",
    ],
)
def test_a_hundred_unfinished_requests_of_an_unknown_client_take_almost_no_memory(sandbox, path):
    stop = threading.Event()
    with gateway(sandbox) as (process, address), grpc.insecure_channel(address) as channel:
        check_health(channel)
        before = peak(process)
        with contextlib.closing(frames.Connection(address, stop)) as client:
            client.send_preface()
            # From then on the windows of the gateway apply, which are larger than the defaults of HTTP/2.
            client.ping()
            client.push(frames.frame(frames.SETTINGS, frames.ACK))
            streams = range(1, 200, 2)
            # The gateway may close the connection.
            with contextlib.suppress(ConnectionError):
                client.push(b"".join(frames.headers(stream, path) for stream in streams))
                # The prefix of a message of 4 MiB, and then the message in pieces of 256 KiB.
                piece = b"\0" + (4 << 20).to_bytes(4, "big")
                for _ in range(4):
                    for stream in streams:
                        client.push(frames.frame(frames.DATA, 0, stream, piece) + frame_of_zeros(stream) * 16)
                    piece = b""
                    client.ping()
            check_health(channel)
            assert peak(process) - before < 64 << 20


def frame_of_zeros(stream):
    return frames.frame(frames.DATA, 0, stream, bytes(16384))


def peak(process):
    """The peak memory of the process, in bytes."""
    status = pathlib.Path(f"/proc/{process.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10
