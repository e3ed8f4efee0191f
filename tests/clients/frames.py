"""HTTP/2 frames as bytes, on a plain socket, for clients that break the rules in ways that no library allows."""

import itertools
import select
import socket
import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 3, 4, 5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SERVICE = "/mountsea.gemini.v1.GenerativeService/"


class Stopped(Exception):
    """A wait for this connection was ended by its `stop` event."""


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream, size):
    return frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", size))


def reset(stream, code=8):
    return frame(RST_STREAM, stream=stream, payload=struct.pack(">I", code))


def field(name, value):
    """A header field that is not added to the header table (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(_length(len(text)) + text.encode() for text in (name, value))


def _length(number):
    """An integer with a prefix of seven bits (RFC 7541, 5.1)."""
    if number < 127:
        return bytes([number])
    out, number = bytearray([127]), number - 127
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out + bytes([number]))


def head(path, content_type="application/grpc"):
    """The header block of a call."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "127.0.0.1"}
    fields |= {"te": "trailers", "content-type": content_type}
    return b"".join(itertools.starmap(field, fields.items()))


def headers(stream, path=SERVICE + "StreamGenerateContent", flags=END_HEADERS):
    return frame(HEADERS, flags, stream, head(path))


def message(model="gemini-2.5-flash", text="Why is the sky blue?"):
    """A GenerateContentRequest after the five bytes of gRPC's message prefix."""
    part = _member(0x12, text.encode())
    request = _member(0x0A, model.encode()) + _member(0x12, _member(0x0A, part))
    return b"\0" + struct.pack(">I", len(request)) + request


def _member(tag, value):
    return bytes([tag]) + _varint(len(value)) + value


def _varint(number):
    out = bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out + bytes([number]))


def call(stream, method="StreamGenerateContent", **request):
    """A complete call: headers and message."""
    return headers(stream, SERVICE + method) + frame(DATA, END_STREAM, stream, message(**request))


class Connection:
    """A connection to a gateway. The event `stop` ends every wait."""

    def __init__(self, address, stop):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 10)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address, self.stop = address, stop
        self.buffer = bytearray()
        # Whether the gateway has stopped reading.
        self.stuck = False
        self.others = []

    def another(self):
        """Another connection to the same address, which is closed together with this one."""
        self.others.append(Connection(self.address, self.stop))
        return self.others[-1]

    def close(self):
        for connection in [self, *self.others]:
            connection.socket.close()

    def send_preface(self, *pairs):
        """Sends what every client sends first: the preface, and its settings."""
        self.push(PREFACE + settings(*pairs))

    def _wait(self, to_read, to_write):
        """Waits until the socket is ready; raises Stopped when `stop` is set."""
        while not self.stop.is_set():
            ready = select.select([self.socket] * to_read, [self.socket] * to_write, [], 0.1)
            if ready[0] or ready[1]:
                return bool(ready[0]), bool(ready[1])
            self.stuck |= to_write
        raise Stopped

    def receive(self, limit=1 << 20):
        """The next bytes, as soon as there are any."""
        self._wait(True, False)
        data = self.socket.recv(limit)
        if not data:
            raise ConnectionResetError("the gateway closed the connection")
        return data

    def push(self, data, reads=True):
        """Sends all of the data. With `reads`, incoming bytes are discarded meanwhile; otherwise they stay in the socket."""
        rest = memoryview(data)
        while rest:
            readable, writable = self._wait(reads, True)
            if readable and not self.socket.recv(1 << 20):
                raise ConnectionResetError("the gateway closed the connection")
            if writable:
                rest = rest[self.socket.send(rest) :]

    def next_frame(self):
        """The next incoming frame: kind, flags, stream, payload."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + (size := int.from_bytes(self.buffer[:3], "big")):
            self.buffer += self.receive()
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        payload = bytes(self.buffer[9 : 9 + size])
        del self.buffer[: 9 + size]
        return kind, flags, stream, payload

    def ping(self):
        """Waits until the gateway has read everything that was sent."""
        self.push(frame(PING, payload=b"are you?"), reads=False)
        while self.next_frame()[:2] != (PING, ACK):
            pass
