"""HTTP/2 by hand: frames as bytes, on a socket that promises nothing. For callers that no library would be."""

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
    """Whoever waits for this connection has been told to stop."""


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream, size):
    return frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", size))


def reset(stream, code=8):
    return frame(RST_STREAM, stream=stream, payload=struct.pack(">I", code))


def field(name, value):
    """A header field that goes into no table (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(_length(len(text)) + text.encode() for text in (name, value))


def _length(number):
    """A number with a prefix of seven bits (RFC 7541, 5.1)."""
    if number < 127:
        return bytes([number])
    out, number = bytearray([127]), number - 127
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out + bytes([number]))


def head(path):
    """The header block of a gRPC call."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "127.0.0.1"}
    fields |= {"te": "trailers", "content-type": "application/grpc"}
    return b"".join(itertools.starmap(field, fields.items()))


def headers(stream, path=SERVICE + "StreamGenerateContent", flags=END_HEADERS):
    return frame(HEADERS, flags, stream, head(path))


def message(model="gemini-2.5-flash", text="Why is the sky blue?"):
    """A GenerateContentRequest with gRPC's five bytes before it."""
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
    """A whole call."""
    return headers(stream, SERVICE + method) + frame(DATA, END_STREAM, stream, message(**request))


class Connection:
    """A connection to a gateway. `stop` is an event that ends every wait."""

    def __init__(self, address, stop):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 10)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address, self.stop = address, stop
        self.buffer = bytearray()
        # Set once the gateway reads no more of what is sent.
        self.stuck = False
        self.others = []

    def again(self):
        """Another connection to the same place, which is closed with this one."""
        self.others.append(Connection(self.address, self.stop))
        return self.others[-1]

    def close(self):
        for connection in [self, *self.others]:
            connection.socket.close()

    def greet(self, *pairs):
        """What every client sends first."""
        self.push(PREFACE + settings(*pairs))

    def _wait(self, to_read, to_write):
        """Waits until the socket can do it; ends when told to stop."""
        while not self.stop.is_set():
            ready = select.select([self.socket] * to_read, [self.socket] * to_write, [], 0.1)
            if ready[0] or ready[1]:
                return bool(ready[0]), bool(ready[1])
            self.stuck |= to_write
        raise Stopped

    def receive(self, most=1 << 20):
        """Some bytes, once there are any."""
        self._wait(True, False)
        data = self.socket.recv(most)
        if not data:
            raise ConnectionResetError("the gateway closed the connection")
        return data

    def push(self, data, reads=True):
        """Sends it all; what comes meanwhile is thrown away, or left in the socket."""
        rest = memoryview(data)
        while rest:
            readable, writable = self._wait(reads, True)
            if readable and not self.socket.recv(1 << 20):
                raise ConnectionResetError("the gateway closed the connection")
            if writable:
                rest = rest[self.socket.send(rest) :]

    def next_frame(self):
        """The next frame that comes: kind, flags, stream, payload."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + (size := int.from_bytes(self.buffer[:3], "big")):
            self.buffer += self.receive()
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        payload = bytes(self.buffer[9 : 9 + size])
        del self.buffer[: 9 + size]
        return kind, flags, stream, payload

    def ping(self):
        """Waits until everything sent so far has been read."""
        self.push(frame(PING, payload=b"are you?"), reads=False)
        while self.next_frame()[:2] != (PING, ACK):
            pass
