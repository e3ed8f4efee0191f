"""Requests that are far more expensive than they look: one for each feature of the wire format that costs work.

A shape is a function from a size in bytes to the bytes of a GenerateContentRequest of about that size. Shapes consist of
repeated bytes and need no protobuf library, so that 64 MiB of each are built quickly.
"""

import os
import struct
import zlib

from frames import _varint as varint

MODEL = b"gemini-2.5-flash"


def member(field, value):
    """A length-delimited field."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def fill(unit, size):
    return unit * max(1, size // len(unit))


def request(hostile, valid=True):
    """A request with a hostile part. With `valid` it also has valid content, so that only the hostile part can be wrong."""
    ordinary = member(2, member(1, member(2, b"hello")) + member(2, b"user")) if valid else b""
    return member(1, MODEL) + ordinary + hostile


def part(hostile):
    return request(member(2, member(1, hostile) + member(2, b"user")), valid=False)


def arguments(value):
    """A function call whose only argument is this google.protobuf.Value."""
    return part(member(4, member(1, b"f") + member(2, member(1, member(1, b"k") + member(2, value)))))


def numbered(entry, size):
    """Entries with different keys."""
    length = len(entry(b"00000000"))
    # Built in blocks of 4096 entries, whose keys have the same beginning.
    block = b"".join(entry(b"_____%03x" % number) for number in range(min(4096, size // length)))
    return b"".join(block.replace(b"_____", b"%05x" % number) for number in range(max(1, size // max(1, len(block)))))


def nested(open_with, inner, depth):
    for _ in range(depth):
        inner = open_with(inner)
    return inner


SHAPES = {
    # Oneofs that are set twice in each of many messages, or many times in one message.
    "parts set twice": lambda size: request(member(2, fill(member(1, b"\x12\x00\x22\x00"), size)), valid=False),
    "values set twice": lambda size: arguments(member(6, fill(member(1, b"\x08\x00\x20\x00"), size))),
    "oneof set twice": lambda size: part(fill(b"\x12\x00\x22\x00", size)),
    "oneof of three": lambda size: part(fill(b"\x12\x00\x1a\x00\x22\x00", size)),
    "value set twice": lambda size: arguments(fill(b"\x08\x00\x20\x00", size)),
    "oneof with text": lambda size: part(fill(b"\x22\x00\x12\x01a", size)),
    # Messages and lists of two bytes each.
    "empty parts": lambda size: request(member(2, fill(b"\x0a\x00", size)), valid=False),
    # Empty parts are refused by a rule; empty texts are translated.
    "empty texts": lambda size: request(member(2, fill(b"\x0a\x02\x12\x00", size)), valid=False),
    "empty contents": lambda size: request(fill(b"\x12\x00", size)),
    "empty tools": lambda size: request(fill(b"\x2a\x00", size)),
    "empty functions": lambda size: request(member(5, fill(b"\x0a\x00", size))),
    "empty safety settings": lambda size: request(fill(b"\x1a\x00", size)),
    "safety settings": lambda size: request(fill(b"\x1a\x04\x18\x07\x20\x03", size)),
    "stop sequences": lambda size: request(member(4, fill(b"\x12\x00", size))),
    "packed enums": lambda size: request(member(4, member(20, fill(b"\x02", size)))),
    "unpacked enums": lambda size: request(member(4, fill(b"\xa0\x01\x02", size))),
    "empty packed lists": lambda size: request(member(4, fill(b"\xa2\x01\x00", size))),
    # Messages in several places, and fields out of order.
    "empty config, repeated": lambda size: request(fill(b"\x22\x00", size)),
    "config, repeated": lambda size: request(fill(b"\x22\x02\x08\x01", size)),
    "schema in many places": lambda size: request(fill(member(4, member(14, member(6, member(6, b"\x08\x01")))), size)),
    "numbers, repeated": lambda size: request(member(4, fill(b"\x08\x01", size))),
    "unsorted fields": lambda size: request(member(2, fill(b"\x12\x01u\x0a\x02\x12\x00", size)), valid=False),
    "unsorted parts": lambda size: part(fill(b"\x58\x01\x12\x00", size)),
    # Maps.
    "labels": lambda size: request(numbered(lambda key: member(10003, member(1, key)), size)),
    "labels, one key": lambda size: request(fill(member(10003, member(1, b"k") + member(2, b"v")), size)),
    "empty labels": lambda size: request(fill(member(10003, b""), size)),
    "own members": lambda size: request(
        member(4, b"\x08\x01" + member(18999, numbered(lambda key: member(1, member(1, key)), size)))
    ),
    "properties": lambda size: request(
        member(4, member(14, numbered(lambda key: member(7, member(1, key) + member(2, b"")), size)))
    ),
    # Free JSON.
    "struct of nulls": lambda size: arguments(
        member(5, numbered(lambda key: member(1, member(1, key) + member(2, b"\x08\x00")), size))
    ),
    "list of nulls": lambda size: arguments(member(6, fill(member(1, b"\x08\x00"), size))),
    "list of nothing": lambda size: arguments(member(6, fill(b"\x0a\x00", size))),
    "list of digits": lambda size: arguments(
        member(6, fill(member(1, b"\x11" + struct.pack("<d", -5.1e-300 / 3)), size))
    ),
    "list of empty lists": lambda size: arguments(member(6, fill(member(1, member(6, b"")), size))),
    "deep lists": lambda size: arguments(
        member(6, fill(member(1, nested(lambda inner: member(6, member(1, inner)), b"\x08\x00", 40)), size))
    ),
    # Unknown fields.
    "unknown numbers": lambda size: request(fill(b"\x30\x01", size)),
    "unknown bytes": lambda size: request(member(6, bytes(size))),
    "groups": lambda size: request(fill(b"\x33\x34", size)),
    "nested groups": lambda size: request(fill(b"\x33" * 50 + b"\x34" * 50, size)),
    "groups that stay open": lambda size: request(fill(b"\x33", size)),
    # Texts and bytes.
    "control characters": lambda size: part(member(2, fill(b"\x01", size))),
    "texts, replaced": lambda size: part(fill(b"\x12\x01\x01", size)),
    "function name of control characters": lambda size: part(member(4, member(1, fill(b"\x1f", size)))),
    "picture": lambda size: part(member(3, member(1, b"image/png") + member(2, bytes(size)))),
    "not UTF-8": lambda size: part(member(2, fill(b"a", size) + b"\xff")),
}


def compressed(data):
    """The data as gzip."""
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(data) + packer.flush()


def decompressed(data):
    return zlib.decompress(data, wbits=31)


def prepare(folder, size):
    """Writes files with each shape of this size: as gzip, and as gzip with random bytes, which keep its ratio below 100.

    One more file is a bomb, which decompresses to more than the maximum size of any message.
    """
    files, random = {}, member(6, os.urandom(size // 160))
    for name, shape in SHAPES.items():
        # 200 bytes are for the prefix of the message and for the fields around the hostile part.
        message = shape(size - len(random) - 200)
        for form, data in (("gzip", message), ("padded gzip", message + random)):
            files[name, form] = folder / f"{name} {form} {size}.gz".replace(" ", "-")
            files[name, form].write_bytes(compressed(data))
    bomb = folder / "bomb.gz"
    bomb.write_bytes(compressed(part(member(2, bytes(1 << 30)))))
    return files, bomb
