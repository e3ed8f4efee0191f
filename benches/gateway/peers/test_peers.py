"""Checks each peer in front of an upstream double: answer, stream, picture in both directions, error.

Run it with `peers.py check [NAME ...]`: it needs the packages and generated code of the gateway in Python.
"""

import base64
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import httpx
from google.ai.generativelanguage.v1beta import generative_service_v1beta_pb2_grpc as google_grpc
from mountsea.gemini.v1 import content_pb2
from mountsea.gemini.v1 import generative_service_pb2 as messages

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from peers.peers import PEERS, ROOT  # noqa: E402

TEXT = 'said "jumps",\nthen naïvely crossed'
PICTURE = b"\x89PNG\r\n\x1a\n" + os.urandom(1 << 20)
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def response(part, **more):
    candidate = {"content": {"parts": [part], "role": "model"}, "index": 0, **more}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "test-1"}


class Upstream(http.server.BaseHTTPRequestHandler):
    """Gemini's REST API. The model says what is answered; the last request of each model is kept."""

    protocol_version = "HTTP/1.1"
    requests = {}

    def do_POST(self):
        size = self.headers.get("content-length")
        body = self.rfile.read(int(size)) if size else self.read_chunks()
        model, verb = self.path.partition("?")[0].rsplit("/", 1)[1].split(":")
        self.requests[model] = json.loads(body)
        if model == "test-error":
            return self.answer(429, "application/json", {"error": {
                "code": 429, "message": "quota is used up", "status": "RESOURCE_EXHAUSTED"}})
        if verb == "streamGenerateContent":
            ends = [{}, {}, {"finishReason": "STOP"}]
            events = [response({"text": f"{TEXT} {i}"}, **end) for i, end in enumerate(ends)]
            return self.answer(
                200, "text/event-stream", "".join(f"data: {json.dumps(e)}\r\n\r\n" for e in events)
            )
        part = {"text": TEXT}
        if model == "test-picture":
            part = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PICTURE).decode()}}
        return self.answer(200, "application/json", response(part, finishReason="STOP"))

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, code, kind, body):
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Grpc:
    def __init__(self, peer, port):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)
        self.stub = google_grpc.GenerativeServiceStub(self.channel)

    def request(self, model, picture=None):
        parts = [content_pb2.Part(text="hello")]
        if picture:
            parts.append(content_pb2.Part(inline_data=content_pb2.Blob(mime_type="image/png", data=picture)))
        return messages.GenerateContentRequest(
            model=f"models/{model}", contents=[content_pb2.Content(parts=parts, role="user")])

    def ask(self, model, picture=None):
        part = (
            self.stub.GenerateContent(self.request(model, picture), timeout=60).candidates[0].content.parts[0]
        )
        return part.text, part.inline_data.data

    def stream(self, model):
        stream = self.stub.StreamGenerateContent(self.request(model), timeout=60)
        return [message.candidates[0].content.parts[0].text for message in stream]

    def error(self, model):
        try:
            self.ask(model)
        except grpc.RpcError as error:
            # Envoy maps HTTP 429 as gRPC's page of HTTP codes does.
            return error.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
        return False


class Rest:
    """Gemini's REST API or OpenAI's chat completions, as the peer takes them."""

    def __init__(self, peer, port):
        headers = dict(header.split(": ", 1) for header in peer.headers)
        self.peer = peer
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False
        )

    def post(self, model, picture=None, stream=False):
        url = f"data:image/png;base64,{base64.b64encode(picture).decode()}" if picture else ""
        if self.peer.proto == "openai":
            image = [{"type": "image_url", "image_url": {"url": url}}] if picture else []
            content = [{"type": "text", "text": "hello"}, *image]
            body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": content}]}
            return self.client.post(self.peer.path, json=body)
        data = [{"inlineData": {"mimeType": "image/png", "data": url.partition(",")[2]}}] if picture else []
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body = {"contents": [{"parts": [{"text": "hello"}, *data], "role": "user"}]}
        return self.client.post(self.peer.path.format(model=model, verb=verb), json=body)

    def ask(self, model, picture=None):
        answer = self.post(model, picture).raise_for_status().json()
        if self.peer.proto == "gemini":
            part = answer["candidates"][0]["content"]["parts"][0]
            return part.get("text"), base64.b64decode(part.get("inlineData", {}).get("data", ""))
        message = answer["choices"][0]["message"]
        blocks = message.get("content_blocks", [])
        urls = [block["image_url"]["url"] for block in blocks if block["type"] == "image_url"]
        return message.get("content"), base64.b64decode(urls[0].partition(",")[2]) if urls else b""

    def stream(self, model):
        answer = self.post(model, stream=True).raise_for_status()
        events = [json.loads(line[5:]) for line in answer.text.split("\n") if line.startswith("data: {")]
        if self.peer.proto == "gemini":
            return [event["candidates"][0]["content"]["parts"][0]["text"] for event in events]
        return [event["choices"][0]["delta"].get("content", "") for event in events if event["choices"]]

    def error(self, model):
        return self.post(model).status_code == 429


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def ready(client, process):
    """Returns when the peer has answered a call."""
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        try:
            if client.ask("test-text")[0] == TEXT:
                return True
        except (grpc.RpcError, httpx.HTTPError):
            time.sleep(0.2)
    return False


def picture_is_forwarded(client):
    client.ask("test-upload", PICTURE)
    parts = Upstream.requests["test-upload"]["contents"][0]["parts"]
    data = [
        part.get("inlineData") or part.get("inline_data")
        for part in parts
        if len(part) and "text" not in part
    ]
    return base64.b64decode(data[0]["data"]) == PICTURE


def check(peer, upstream):
    """Makes the calls of a peer, and returns those that were not answered as they should be."""
    peer.install(ROOT / "target/gateway-bench" / peer.name)
    port = free_port()
    argv, environment = peer.command(upstream, port)
    with open(peer.folder / "check.log", "w") as log:
        process = subprocess.Popen(
            argv,
            env={**os.environ, **environment},
            cwd=peer.folder,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        client = (Grpc if peer.proto == "grpc" else Rest)(peer, port)
        if not ready(client, process):
            return [f"no answer; see {peer.folder / 'check.log'}"]
        calls = {
            "stream": lambda: client.stream("test-text") == [f"{TEXT} {i}" for i in range(3)],
            "image-out": lambda: client.ask("test-picture")[1] == PICTURE,
            "image-in": lambda: picture_is_forwarded(client),
            "error": lambda: client.error("test-error"),
        }
        said = {name: outcome(call) for name, call in calls.items() if name not in peer.skips}
        return [f"{name}: {text}" for name, text in said.items() if text != "ok"]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def outcome(call):
    try:
        return "ok" if call() else "another answer"
    except Exception as error:  # noqa: BLE001: whatever a peer does wrong is what is to be reported.
        return f"{type(error).__name__}: {error}"


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    failed = 0
    for peer in PEERS:
        if peer.name in sys.argv[1:]:
            wrong = check(peer, f"127.0.0.1:{server.server_port}")
            failed += bool(wrong)
            print(
                f"{peer.name}: {'; '.join(wrong) or 'answers every call that it is measured with'}",
                flush=True,
            )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
