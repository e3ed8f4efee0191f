"""Clients that attack the gateway over HTTP/1.1: each floods a connection, and yields after every step."""

import contextlib
import inspect
import itertools

import rest
from frames import Connection

HEAD = f"POST {rest.path(rest.UNARY)} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n".encode()
# A request of its own behind another one. Nothing may carry it out.
SMUGGLED = rest.post(rest.path(rest.UNARY, "smuggled"))
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest.body()), rest.body())


def ambiguous():
    """Requests that end in different places for different readers, each followed by another request."""
    chunked, length = b"transfer-encoding: chunked\r\n", b"content-length: %d\r\n" % len(CHUNKED)
    for lines in [
        length + chunked,
        chunked + length,
        b"content-length: 0\r\n" + chunked,
        b"content-length: 5\r\n" + length,
        length.replace(b":", b" :"),
        b"transfer-encoding: gzip, chunked\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding:\x0bchunked\r\n",
        b"x: y\r\n " + length,
        b"x: y\n" + length,
        b"x: y\r" + length,
        b"host: other\r\n" + length,
    ]:
        yield HEAD + lines + b"\r\n" + CHUNKED + SMUGGLED
    yield HEAD + length + b"\n" + CHUNKED + SMUGGLED
    # The chunks themselves: a bare LF, a wrong length, and text behind a length.
    for chunks in [CHUNKED.replace(b"\r\n", b"\n", 1), b"0" + CHUNKED[1:], b"5\r\nabc\r\n0\r\n\r\n", b"5 x\r\nabcde\r\n0\r\n\r\n"]:
        yield HEAD + chunked + b"\r\n" + chunks + SMUGGLED


def opened(connection, count):
    """This connection and others, `count` in total."""
    return [connection, *(connection.another() for _ in range(count - 1))]


def byte_by_byte(connections, data):
    for byte in data:
        for one in connections:
            one.push(bytes([byte]))
        yield


def http1_slow_heads(connection):
    """A hundred connections, whose heads arrive byte by byte and never end."""
    yield from byte_by_byte(opened(connection, 100), HEAD)


def http1_slow_bodies(connection):
    """A hundred calls, whose bodies arrive byte by byte and never end."""
    connections = opened(connection, 100)
    for one in connections:
        one.push(rest.head(rest.path(), 1000))
    yield from byte_by_byte(connections, rest.body())


def http1_idle(connection):
    """Two hundred connections that are left open, half of them after a request."""
    for number, one in enumerate(opened(connection, 200)):
        if number % 2:
            one.push(rest.post("/nothing"))
        yield


def http1_pipelining(connection):
    """Requests that do not wait for responses, a hundred in one write."""
    while True:
        connection.push((rest.post(rest.path(rest.UNARY)) + rest.post("/nothing")) * 50)
        yield


def http1_pipelining_unread(connection):
    """The same requests from a client that reads none of the responses."""
    while True:
        connection.push((rest.post(rest.path(rest.UNARY)) + rest.post("/nothing")) * 50, reads=False)
        yield


def http1_unread_streams(connection):
    """Streams of clients that read nothing of them, a hundred connections."""
    for one in opened(connection, 100):
        one.push(rest.post(), reads=False)
        yield


def http1_smuggling(connection):
    """Requests that proxies read differently, with another request behind each. No request of them may be carried out."""
    for request in itertools.cycle(ambiguous()):
        with contextlib.closing(Connection(connection.address, connection.stop)) as one:
            answer = everything_after(request, one)
        assert b" 200 " not in answer, (request, answer)
        yield


def http1_huge_heads(connection):
    """Heads of a megabyte: one header, many headers, a long path."""
    for head in itertools.cycle(
        [HEAD + b"x: " + b"y" * (1 << 20), HEAD + b"x: y\r\n" * 170_000, b"POST /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n"]
    ):
        with contextlib.closing(Connection(connection.address, connection.stop)) as one:
            answer = everything_after(head + b"\r\n\r\n", one)
        assert b" 200 " not in answer, answer
        yield


def http1_endless_chunks(connection):
    """A body without end, in chunks of one byte."""
    connection.push(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        connection.push(b"1\r\n \r\n" * 1000)
        yield


def everything_after(request, connection):
    """What the gateway sends after a request, until it closes the connection."""
    answer = b""
    # It may close the connection before it has read all of the request.
    with contextlib.suppress(ConnectionError):
        connection.push(request, reads=False)
    with contextlib.suppress(ConnectionError):
        while True:
            answer += connection.receive()
    return answer


FLOODS = [kind for name, kind in list(globals().items()) if name.startswith("http1_") and inspect.isgeneratorfunction(kind)]
