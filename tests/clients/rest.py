"""Requests of Gemini's REST API as bytes, over HTTP/1.1 and HTTP/2, and a small client."""

import contextlib
import http.client
import json

import frames

UNARY, EVENTS, ARRAY = "generateContent", "streamGenerateContent?alt=sse", "streamGenerateContent"


def path(method=EVENTS, model="gemini-2.5-flash"):
    return f"/v1beta/models/{model}:{method}"


def body(text="Why is the sky blue?"):
    return json.dumps({"contents": [{"role": "user", "parts": [{"text": text}]}]}).encode()


def head(target, length, headers=()):
    """The head of a request over HTTP/1.1."""
    lines = [f"POST {target} HTTP/1.1", "host: localhost", "content-type: application/json", f"content-length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode()


def post(target=None, data=None, headers=()):
    """A request over HTTP/1.1."""
    data = body() if data is None else data
    return head(target or path(), len(data), headers) + data


def call(stream, target=None, data=None, headers=()):
    """A request over HTTP/2: headers and body."""
    block = frames.head(target or path(), "application/json") + b"".join(frames.field(*pair) for pair in headers)
    head = frames.frame(frames.HEADERS, frames.END_HEADERS, stream, block)
    return head + frames.frame(frames.DATA, frames.END_STREAM, stream, body() if data is None else data)


def generate(address, text="hello", timeout=30):
    """The text of an answer, over a new connection of HTTP/1.1."""
    with contextlib.closing(http.client.HTTPConnection(address, timeout=timeout)) as connection:
        connection.request("POST", path(UNARY), body(text), {"content-type": "application/json"})
        response = connection.getresponse()
        answer = json.load(response)
        assert response.status == 200, answer
        return "".join(part["text"] for part in answer["candidates"][0]["content"]["parts"])
