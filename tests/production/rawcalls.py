"""A small blocking gRPC client that sends messages as bytes, for requests that no library would send.

It sends as fast as the gateway's windows allow, grants the gateway the largest windows, and reads only the status of a
response.
"""

import collections
import socket
import struct

import frames

# The largest window (RFC 9113, 6.9.1), and the largest frame that this client accepts.
MAX_WINDOW, MAX_FRAME = (1 << 31) - 1, 1 << 20
HEADER_TABLE_SIZE = 1
STATUS_NAMES = dict(
    enumerate(
        "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
        "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
        "UNAUTHENTICATED".split()
    )
)
# The part of HPACK's Huffman code (RFC 7541, appendix B) that fields such as `grpc-status: 16` need.
HUFFMAN = {
    "g": "100110", "r": "101100", "p": "101011", "c": "00100", "-": "010110", "s": "01000", "t": "01001",
    "a": "00011", "u": "101101", "0": "00000", "1": "00001", "2": "00010", "3": "011001", "4": "011010",
    "5": "011011", "6": "011100", "7": "011101", "8": "011110", "9": "011111",
}  # fmt: skip


def huffman_coded(text):
    """A text in Huffman code, after its length."""
    bits = "".join(HUFFMAN[letter] for letter in text)
    bits += "1" * (-len(bits) % 8)
    code = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return bytes([0x80 | len(code)]) + code


def plain(text):
    return bytes([len(text)]) + text.encode()


# The encodings of each status in a block of headers, with either form of its name and value.
ENCODED_STATUSES = {
    name + value(str(number)): number
    for number in STATUS_NAMES
    for name in (huffman_coded("grpc-status"), plain("grpc-status"))
    for value in (huffman_coded, plain)
}


def status_in(block):
    """The name of the status in a block of headers, or None."""
    return next((STATUS_NAMES[number] for field, number in ENCODED_STATUSES.items() if field in block), None)


def framed(message, compressed=False):
    """The message after the five bytes of gRPC's message prefix."""
    return struct.pack(">BI", compressed, len(message)) + message


class Client:
    """One connection, with one call at a time."""

    def __init__(self, address, metadata=(), timeout=120):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fields = b"".join(frames.field(*pair) for pair in metadata)
        self.buffer, self.stream = bytearray(), -1
        # The windows that the gateway grants: for a new stream, and for each open one; stream 0 is the connection.
        self.initial, self.windows = 65535, collections.Counter({0: 65535})
        # The largest frame that the gateway accepts; until its settings arrive, the default (RFC 9113, 6.5.2).
        self.max_frame = 16384
        # The bytes of responses that were received, and those of them that were not yet added to the connection's window.
        self.received = self.owed = 0
        settings = [(HEADER_TABLE_SIZE, 0), (frames.INITIAL_WINDOW_SIZE, MAX_WINDOW), (frames.MAX_FRAME_SIZE, MAX_FRAME)]
        self.socket.sendall(frames.PREFACE + frames.settings(*settings) + frames.window_update(0, MAX_WINDOW - 65535))

    def close(self):
        self.socket.close()

    def call(self, data, method="GenerateContent", compressed=False, on_data=None):
        """Makes a call with a message from `framed`, and returns the name of its status."""
        self.stream += 2
        stream, self.windows[self.stream] = self.stream, self.initial
        block = frames.head(frames.SERVICE + method) + self.fields
        block += frames.field("grpc-encoding", "gzip") if compressed else b""
        self.socket.sendall(frames.frame(frames.HEADERS, frames.END_HEADERS, stream, block))
        rest, status, sent_all = memoryview(data), None, False
        while True:
            while not sent_all and (size := min(len(rest), self.max_frame, self.windows[0], self.windows[stream])) > 0:
                sent_all = size == len(rest)
                self._send(frames.frame(frames.DATA, sent_all, stream, rest[:size].tobytes()))
                self.windows[0] -= size
                self.windows[stream] -= size
                rest = rest[size:]
            kind, flags, of, payload = self.next_frame()
            if of not in (0, stream):
                continue
            if kind == frames.WINDOW_UPDATE:
                self.windows[of] += int.from_bytes(payload, "big")
            elif kind == frames.SETTINGS and not flags & frames.ACK:
                self._settings(payload, stream)
            elif kind == frames.PING and not flags & frames.ACK:
                self._send(frames.frame(frames.PING, frames.ACK, 0, payload))
            elif kind == frames.HEADERS:
                status = status_in(payload) or status
            elif kind == frames.DATA:
                self.received += len(payload)
                self._give_back(len(payload))
                if on_data:
                    on_data(payload)
            elif kind == frames.RST_STREAM:
                return status or f"RESET_{int.from_bytes(payload, 'big')}"
            if kind in (frames.HEADERS, frames.DATA) and flags & frames.END_STREAM:
                if not sent_all:
                    self._send(frames.reset(stream))
                self.windows.pop(stream)
                return status or "NO_STATUS"

    def _give_back(self, size):
        """Adds received bytes to the connection's window again, in steps of MAX_FRAME."""
        self.owed += size
        if self.owed >= MAX_FRAME:
            self._send(frames.window_update(0, self.owed))
            self.owed = 0

    def _settings(self, payload, stream):
        for place in range(0, len(payload), 6):
            name, value = struct.unpack_from(">HI", payload, place)
            if name == frames.INITIAL_WINDOW_SIZE:
                self.windows[stream] += value - self.initial
                self.initial = value
            elif name == frames.MAX_FRAME_SIZE:
                self.max_frame = value
        self._send(frames.frame(frames.SETTINGS, frames.ACK))

    def _send(self, data):
        self.socket.sendall(data)

    def next_frame(self):
        """The next incoming frame: kind, flags, stream, payload."""
        head = self._take(9)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        return kind, flags, stream, self._take(int.from_bytes(head[:3], "big"))

    def _take(self, size):
        while len(self.buffer) < size:
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionResetError("the gateway closed the connection")
            self.buffer += data
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken
