"""Counts the instructions that the gateway executes for a call, a chunk of a stream, and a picture, over gRPC and REST.

The whole process serves real calls under valgrind, on one worker, one call at a time. Each load runs once with a number of
units and once with twice as many, and the difference is the cost of the units. So the result does not depend on how busy
the machine is. Only instructions in user space are counted, and not the time that they take: docs/performance.md has times.

With --against, another binary is counted as well, and no load may need 2 % more instructions than with that one.

With --store, calls and chunks over gRPC of a caller with limits are counted, with the limits in memory and in Redis. A chunk
must not need more for it, and no more allocations. Only the worker's thread is counted then: another one settles what calls
have used, and counts the gateways once a second.
"""

import argparse
import base64
import contextlib
import http.client
import json
import pathlib
import random
import re
import shutil
import socket
import threading

import tools

# The maximum ratio to the instructions of the other binary.
MAX_RATIO = 1.02
# The maximum ratio of a chunk with the limits in Redis to one with them in memory.
MAX_STORE_RATIO = 1.02
LIMITS = {"calls_in_flight": 1000, "calls_per_minute": 10_000_000, "tokens_per_minute": 10**9, "tokens_per_day": 10**12}
PICTURE_BYTES = 4 << 20
# How the gateway allocates.
ALLOCATE = {"mi_malloc_aligned", "mi_zalloc_aligned", "mi_realloc_aligned"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--against", help="another binary, such as that of the commit before")
    add("--store", action="store_true", help="compare limits in Redis with limits in memory")
    add("--only", action="append", choices=sorted(LOADS), help="one of the loads; all of them by default")
    add("--keep", action="store_true", help="keep the files for callgrind_annotate, in target/production/instructions")
    return parser.parse_args()


def response_json(part, finished=True):
    """The JSON of a response that contains `part`, as Gemini writes it."""
    candidate = {"content": {"parts": [part], "role": "model"}, "index": 0}
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 210, "totalTokenCount": 222}
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": 12}]
    ending = {"finishReason": "STOP"} if finished else {}
    about = {"usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "mRXpaKe1E8yYnvgPqLWcqAU"}
    return json.dumps({"candidates": [candidate | ending], **about}, indent=2).encode()


def picture():
    data = random.Random(7).randbytes(PICTURE_BYTES)
    return {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(data).decode()}}


class Upstream:
    """Answers each request immediately. A stream sends its next event when `turn` is released, after the last one arrived."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.turn, self.chunks = threading.Semaphore(1), 0
        text = "The sky is blue because air scatters short waves of light more than long ones. " * 12
        self.small, self.large = response_json({"text": text[:900]}), response_json(picture())
        event = json.dumps(json.loads(response_json({"text": "light more than long ones, which "}, finished=False))).encode()
        self.event, self.last = event, json.dumps(json.loads(response_json({"text": "."}))).encode()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as reader, contextlib.suppress(ConnectionError):
            while head := b"".join(iter(reader.readline, b"\r\n")).decode():
                reader.read(int(re.search(r"(?i)content-length: *(\d+)", head)[1]))
                if ":streamGenerateContent" in head:
                    self._stream(connection)
                    continue
                body = self.large if "/gemini-large:" in head else self.small
                about = f"content-type: application/json; charset=UTF-8\r\ncontent-length: {len(body)}"
                connection.sendall(f"HTTP/1.1 200 OK\r\n{about}\r\n\r\n".encode() + body)

    def _stream(self, connection):
        about = b"content-type: text/event-stream\r\ntransfer-encoding: chunked"
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + about + b"\r\n\r\n")
        for number in range(self.chunks):
            self.turn.acquire()
            event = self.last if number == self.chunks - 1 else self.event
            connection.sendall(b"%x\r\ndata: %s\r\n\r\n\r\n" % (len(event) + 10, event))
        connection.sendall(b"0\r\n\r\n")


# Each load makes `count` units on one connection.


def request(model, part):
    """The bytes of a GenerateContentRequest with one part."""
    import rawcalls
    from shapes import member

    content = member(1, part) + member(2, b"user")
    return rawcalls.framed(member(1, model.encode()) + member(2, content))


def unary(client, _, count):
    """A call with 1 KB in the request and in the response."""
    from shapes import member

    data = request("gemini-2.5-flash", member(2, b"Why is the sky blue, and not violet? " * 27))
    for _ in range(count):
        assert (status := client.call(data)) == "OK", status


def chunk(client, upstream, count):
    """A chunk of a stream that is sent after the one before has arrived."""
    from shapes import member

    upstream.chunks, upstream.turn = count, threading.Semaphore(1)
    data = request("gemini-2.5-flash", member(2, b"Why is the sky blue?"))
    status = client.call(data, "StreamGenerateContent", on_data=lambda _: upstream.turn.release())
    assert status == "OK", status


def picture_in(client, _, count):
    """A picture of 4 MiB in a request."""
    from shapes import member

    blob = member(1, b"image/png") + member(2, random.Random(8).randbytes(PICTURE_BYTES))
    data = request("gemini-2.5-flash", member(3, blob))
    for _ in range(count):
        assert (status := client.call(data)) == "OK", status


def picture_out(client, _, count):
    """A picture of 4 MiB in a response."""
    from shapes import member

    data = request("gemini-large", member(2, b"A picture of the sky"))
    for _ in range(count):
        assert (status := client.call(data)) == "OK", status


# The same over REST, on one connection of HTTP/1.1.


def rest_response(client, method, model, part):
    """The response to a call with one part."""
    import rest

    body = json.dumps({"contents": [{"role": "user", "parts": [part]}]})
    client.request("POST", rest.path(method, model), body, {"content-type": "application/json"})
    response = client.getresponse()
    assert response.status == 200, response.read()
    return response


def rest_unary(client, _, count):
    """A call with 1 KB in the request and in the response."""
    for _ in range(count):
        text = "Why is the sky blue, and not violet? " * 27
        rest_response(client, "generateContent", "gemini-2.5-flash", {"text": text}).read()


def rest_chunk(client, upstream, count):
    """A chunk of a stream that is sent after the one before has arrived."""
    upstream.chunks, upstream.turn = count, threading.Semaphore(1)
    method = "streamGenerateContent?alt=sse"
    response = rest_response(client, method, "gemini-2.5-flash", {"text": "Why is the sky blue?"})
    for line in response:
        if line.startswith(b"data: "):
            upstream.turn.release()


def rest_picture_out(client, _, count):
    """A picture of 4 MiB in a response."""
    for _ in range(count):
        rest_response(client, "generateContent", "gemini-large", {"text": "A picture of the sky"}).read()


LOADS = {
    "unary": (unary, 200),
    "chunk": (chunk, 400),
    "picture in": (picture_in, 8),
    "picture out": (picture_out, 8),
    "REST unary": (rest_unary, 200),
    "REST chunk": (rest_chunk, 400),
    "REST picture out": (rest_picture_out, 8),
}


def serve(binary, load, count, folder, more=(), variables=None, metadata=()):
    """Serves `count` units, with more flags, variables and metadata; returns what each thread needed for it."""
    import rawcalls
    import running

    running.BINARY, upstream = binary, Upstream()
    out = folder / f"{pathlib.Path(binary).resolve().as_posix().replace('/', '_')}-{load.__name__}-{count}.callgrind"
    for left in folder.glob(f"{out.name}*"):
        left.unlink()
    valgrind = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}"]
    flags = ["--workers", 1, "--upstream-url", upstream.url, "--drain-delay", 0, "--reload-interval", 0, *more]
    env = {"MOUNTSEA_API_KEY": "a-key", **(variables or {})}
    # With the default log level, which writes a line for each call.
    with running.gateway(*flags, env=env, before=valgrind, log=("--log", "info")) as server:
        is_rest = load.__name__.startswith("rest_")
        client = http.client.HTTPConnection(server.address) if is_rest else rawcalls.Client(server.address, metadata)
        # Work that is done only for the first calls is the same in both runs, so it is not in the difference.
        load(client, upstream, 2)
        load(client, upstream, count)
        client.close()
        server.signal(15)
        assert server.wait(120) == 0, server.last_output()
    upstream.listener.close()
    return {file.suffix: counted(file.read_text()) for file in folder.glob(f"{out.name}-*")}


def counted(profile):
    """The instructions and the allocations of one thread."""
    instructions = int(re.search(r"^(?:summary|totals): (\d+)", profile, re.MULTILINE)[1])
    # A function has its name where it is mentioned first, and its number everywhere.
    names, allocations = {}, 0
    for number, name, calls in re.findall(r"^c?fn=\((\d+)\)(?: (.*))?\n(?:calls=(\d+) )?", profile, re.MULTILINE):
        names[number] = name or names[number]
        if calls and names[number] in ALLOCATE:
            allocations += int(calls)
    return instructions, allocations


def each(binary, load, count, folder, **more):
    """The instructions of one unit, of the whole process and of the worker, and the allocations of the worker."""
    less, most = (serve(binary, load, number, folder, **more) for number in (count, 2 * count))
    # A thread that did not exist in both runs did nothing for the units.
    added = [[(b - a) / count for a, b in zip(less[thread], most[thread])] for thread in less.keys() & most.keys()]
    instructions, allocations = max(added)
    return round(sum(thread[0] for thread in added)), round(instructions), round(allocations, 1)


def compare_stores(binary, folder, verdict):
    """Compares limits in Redis with limits in memory; returns the rows of a table."""
    from engine import redis
    from gateways import callers_file
    from rest_calls import token

    flags = ["--auth", "tokens", "--callers", callers_file(folder, {"team": LIMITS})]
    more = {"more": flags, "metadata": [("x-goog-api-key", token("team"))]}
    rows = [("of the worker", "in memory", "in Redis", "ratio", "allocations", "in Redis")]
    with redis(folder / "redis") as server:
        for name in ("unary", "chunk"):
            load, count = LOADS[name]
            _, memory, allocated = each(binary, load, count, folder, **more)
            variables = {"GEMINI_GRPC_LIMITS_URL": server.url}
            _, store, allocated_more = each(binary, load, count, folder, **more, variables=variables)
            rows.append((name, memory, store, f"{store / memory:.3f}", allocated, allocated_more))
            scripts = re.search(r"cmdstat_evalsha:calls=(\d+)", server.cli("info", "commandstats"))
            verdict.check(f"{name}: Redis was asked", scripts and int(scripts[1]) > 0, scripts and scripts[1])
            if name == "chunk":
                what = f"a chunk: at most {MAX_STORE_RATIO} times as many with Redis"
                verdict.check(what, store <= MAX_STORE_RATIO * memory, f"{store / memory:.3f}")
                # A call's share of the buffers of its connection is within a tenth.
                same = abs(allocated_more - allocated) <= 0.1
                verdict.check("a chunk: no allocation for Redis", same, f"{allocated} and {allocated_more}")
    return rows


def compare_binaries(names, binaries, folder, verdict):
    """Counts each load with each binary; returns the rows of a table."""
    rows = [("load", "instructions", *(["against", "ratio"] if len(binaries) > 1 else []))]
    for name in names:
        counts = [each(binary, *LOADS[name], folder)[0] for binary in binaries]
        verdict.check(f"{name}: instructions were counted", min(counts) > 0, counts[0])
        if len(binaries) > 1:
            ratio = counts[0] / counts[1]
            counts.append(f"{ratio:.3f}")
            verdict.check(f"{name}: at most {MAX_RATIO} times those of the other binary", ratio <= MAX_RATIO, f"{ratio:.3f}")
        rows.append((name, *counts))
    return rows


def main(args):
    import processes
    from running import end_well
    from verdict import Verdict, table

    if not shutil.which("valgrind"):
        raise SystemExit("error: there is no valgrind; Debian's package of that name has it")
    end_well()
    verdict, folder = Verdict(), tools.scratch("instructions")
    binaries = [str(processes.BINARY), *([args.against] if args.against else [])]
    if args.store:
        rows = compare_stores(binaries[0], folder, verdict)
    else:
        rows = compare_binaries(args.only or LOADS, binaries, folder, verdict)
    if not args.keep:
        tools.scratch("instructions")
    tools.say("")
    table(*rows)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
