"""A load client with grpcio's asyncio client, with the same flags and figures as the Rust client tests/production/load.

It retries nothing, so its figures are what an application sees.
"""

import argparse
import asyncio
import collections
import json
import pathlib
import signal
import sys
import time

import tools

MODEL = "gemini-2.5-flash"
# The faults of the sandbox, and whether to call for a stream. Those that hang end by the caller's deadline.
FAULTS = [
    ("sandbox-429", False),
    ("sandbox-cut", True),
    ("sandbox-html-502", False),
    ("sandbox-hang", False),
    ("sandbox-error-event", True),
    ("sandbox-503", False),
    ("sandbox-hang-stream", True),
    ("sandbox-empty-500", False),
    ("sandbox-cut-clean", True),
    ("sandbox-html-200", False),
    ("sandbox-429-retry-after", True),
    ("sandbox-big-error", False),
]
HANG_TIMEOUT = 2.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--endpoint", action="append", required=True, help="a gateway's URL; may be given more than once")
    add("--rate", type=float, default=100, help="calls a second; a call does not wait for the calls before it")
    add("--streams", type=int, default=0, help="streams kept open; a stream that ends is replaced by a new one")
    add("--words", type=int, default=100, help="words in the response of such a stream, on average")
    add("--seconds", type=float, default=10, help="how long to call")
    add("--connections", type=int, default=4, help="connections to each endpoint")
    add("--reconnect", type=float, default=0, help="replace a connection after each interval, in seconds; 0 for never")
    add("--no-retries", action="store_true", help="disable gRPC's own retries of calls that no server has received")
    add("--fault-share", type=float, default=0, help="the share of calls that ask for a fault, from 0 to 1")
    add("--timeout", type=float, default=30, help="seconds that a call may take; a stream may take ten times as many")
    add("--ca", type=pathlib.Path, help="the certificate of the gateway's authority")
    add("--token-file", type=pathlib.Path, help="a file with the caller's token, read again for each call")
    return parser.parse_args()


class Counts:
    """The outcomes of the calls of one kind."""

    def __init__(self):
        self.sent, self.outcomes, self.times = 0, collections.Counter(), []

    def report(self):
        times = sorted(self.times)
        figures = {"sent": self.sent, "outcomes": dict(self.outcomes)}
        for name, part in [("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1)]:
            figures[name] = round(times[min(int(len(times) * part), len(times) - 1)] * 1000, 1) if times else None
        return figures


class Load:
    def __init__(self, args, grpc, messages, services):
        self.args, self.grpc, self.messages, self.services = args, grpc, messages, services
        self.calls, self.streams = Counts(), Counts()
        self.faults, self.examples = collections.defaultdict(Counts), collections.Counter()
        self.count = len(args.endpoint) * args.connections
        self.channels = [self.connect(number) for number in range(self.count)]
        self.turn = self.renewed = 0
        self.stop = asyncio.Event()

    def connect(self, number):
        """A new connection: without the option, channels with the same settings would share one."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 64 << 20)]
        if self.args.no_retries:
            options.append(("grpc.enable_retries", 0))
        target = self.args.endpoint[number % len(self.args.endpoint)].split("://")[1]
        if not self.args.ca:
            return self.grpc.aio.insecure_channel(target, options)
        credentials = self.grpc.ssl_channel_credentials(self.args.ca.read_bytes())
        return self.grpc.aio.secure_channel(target, credentials, options)

    async def reconnect(self):
        while True:
            await asyncio.sleep(self.args.reconnect)
            place = self.renewed % self.count
            self.renewed += 1
            old, self.channels[place] = self.channels[place], self.connect(place)
            # Open calls may end on the old connection; new calls use the new one.
            asyncio.create_task(old.close(grace=self.args.timeout * 10))

    def request(self, model, words=None):
        request = self.messages.GenerateContentRequest(model=model)
        request.contents.add(role="user").parts.add(text="Why is the sky blue?")
        if words:
            request.generation_config.response_mime_type = "application/json"
            schema = request.generation_config.response_schema
            schema.type = schema.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_name["STRING"].number
            schema.enum.append(" ".join(["word"] * words))
        return request

    async def call(self, counts, request, streams, deadline, keep_messages):
        """Makes a call and records its outcome."""
        counts.sent += 1
        begun = time.monotonic()
        self.turn += 1
        stub = self.services.GenerativeServiceStub(self.channels[self.turn % self.count])
        token = self.args.token_file and self.args.token_file.read_text().strip()
        metadata = [("authorization", f"Bearer {token}")] if token else []
        finished = False
        try:
            if streams:
                async for answer in stub.StreamGenerateContent(request, timeout=deadline, metadata=metadata):
                    finished |= any(candidate.finish_reason for candidate in answer.candidates)
            else:
                answer = await stub.GenerateContent(request, timeout=deadline, metadata=metadata)
                finished = any(candidate.finish_reason for candidate in answer.candidates)
            outcome = "OK" if finished else "OK_UNFINISHED"
            counts.times.append(time.monotonic() - begun)
        except self.grpc.aio.AioRpcError as error:
            outcome = error.code().name
            if keep_messages:
                self.examples[f"{outcome}: {error.details()}"[:200]] += 1
        counts.outcomes[outcome] += 1
        return outcome == "OK"

    async def stream_after_stream(self, number):
        # The streams have different lengths, so that they do not all end at once.
        words = self.args.words // 2 + number * self.args.words // self.args.streams
        request = self.request(MODEL, max(1, words))
        while not self.stop.is_set():
            if not await self.call(self.streams, request, True, self.args.timeout * 10, True):
                # Waits a little, so that a gateway that refuses is not called a thousand times a second.
                await asyncio.sleep(0.1)

    async def call_at_a_rate(self, tasks):
        due, faults, number, begun = 0.0, 0, 0, time.monotonic()
        request = self.request(MODEL)
        while self.args.rate and not self.stop.is_set():
            await asyncio.sleep(max(0, begun + number / self.args.rate - time.monotonic()))
            number += 1
            due += self.args.fault_share
            if due >= 1:
                due -= 1
                faults += 1
                model, streams = FAULTS[faults % len(FAULTS)]
                deadline = HANG_TIMEOUT if "hang" in model else self.args.timeout
                call = self.call(self.faults[model], self.request(model), streams, deadline, False)
            else:
                call = self.call(self.calls, request, False, self.args.timeout, True)
            task = asyncio.create_task(call)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def run(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.call_later(self.args.seconds, self.stop.set)
        begun, tasks = time.monotonic(), set()
        streams = [asyncio.create_task(self.stream_after_stream(number)) for number in range(self.args.streams)]
        renewing = asyncio.create_task(self.reconnect()) if self.args.reconnect else None
        await self.call_at_a_rate(tasks)
        await self.stop.wait()
        seconds = round(time.monotonic() - begun, 1)
        open_calls = [*streams, *tasks]
        if open_calls:
            # Calls that are still open after this time show in the figures: more calls were sent than ended.
            ended, _ = await asyncio.wait(open_calls, timeout=self.args.timeout * 10 + 5)
            for task in ended:
                # Raises an exception of this client itself, which is not an outcome of a call.
                task.result()
        if renewing:
            renewing.cancel()
        faults = {model: counts.report() for model, counts in self.faults.items()}
        figures = {"calls": self.calls.report(), "streams": self.streams.report(), "faults": faults}
        print(json.dumps({"client": "grpcio", "seconds": seconds, **figures, "examples": self.examples}), flush=True)
        for task in [*open_calls, *asyncio.all_tasks() - {asyncio.current_task()}]:
            task.cancel()


async def main(args):
    sys.path.insert(0, str(tools.CACHE / "contract"))
    import grpc
    from mountsea.gemini.v1 import generative_service_pb2 as messages
    from mountsea.gemini.v1 import generative_service_pb2_grpc as services

    await Load(args, grpc, messages, services).run()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    if not (tools.CACHE / "contract").exists():
        tools.contract()
    asyncio.run(main(parsed))
