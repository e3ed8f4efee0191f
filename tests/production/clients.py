"""Runs load clients as processes, and sums their figures: over gRPC one in Rust with tonic and one in Python with grpcio, and
over REST one in Rust for each version of HTTP."""

import contextlib
import json
import signal
import sys

import tools
from processes import Process
from running import end
from verdict import table

# The flags of the clients in Rust.
RUST = {"tonic": ["--protocol", "grpc"], "http1": ["--protocol", "http1"], "http2": ["--protocol", "http2"]}
REST = ("http1", "http2")
KINDS = ("tonic", "grpcio", *REST)


class Client:
    """A running load client."""

    def __init__(self, kind, *flags):
        command = [tools.load_client(), *RUST[kind]] if kind in RUST else [sys.executable, tools.HERE / "load.py"]
        self.process = Process(*map(str, [*command[1:], *flags]), program=str(command[0]))

    def figures(self, seconds):
        """Its figures, when it has ended."""
        return self.process.wait_for(self._json, seconds)

    @staticmethod
    def _json(line):
        return json.loads(line) if line.startswith("{") else None

    def finish(self):
        """Asks it to start no more calls, and to end when its open calls have ended."""
        self.process.process.send_signal(signal.SIGTERM)


@contextlib.contextmanager
def calling(endpoint, *flags, rate, streams, kinds=KINDS):
    """Clients of all kinds, which share the rate and the streams, until the `with` block ends."""
    if "grpcio" in kinds:
        tools.contract()
    clients = []
    try:
        for kind in kinds:
            share = ["--rate", rate / len(kinds), "--streams", streams // len(kinds)]
            clients.append(Client(kind, "--endpoint", endpoint, *share, *flags))
        yield clients
    finally:
        # Clients that were finished have ended by now; the open calls of the others are not waited for.
        for client in clients:
            client.process.process.kill()
            end(client.process)


def finish(clients, seconds=400):
    """Asks all clients to finish, and returns their figures."""
    for client in clients:
        client.finish()
    return [client.figures(seconds) for client in clients]


def show(results):
    """Prints the outcomes of calls and streams, and the messages of those that failed."""
    rows = [("client", "kind", "sent", "ok", "failed", "p50 ms", "p99 ms", "max ms", "other outcomes")]
    for result in results:
        for kind in ("calls", "streams"):
            counts = result[kind]
            others = {name: count for name, count in counts["outcomes"].items() if name != "OK"}
            ok = counts["outcomes"].get("OK", 0)
            times = [counts["p50_ms"], counts["p99_ms"], counts["max_ms"]]
            rest = " ".join(f"{name}={count}" for name, count in others.items())
            rows.append((result["client"], kind, counts["sent"], ok, counts["sent"] - ok, *times, rest))
    table(*rows)
    for result in results:
        for message, count in sorted(result["examples"].items(), key=lambda item: -item[1]):
            tools.say(f"  {result['client']}, {count} times: {message}")


# After GOAWAY, tonic's transport cancels the next call on a connection that still has open streams, before any of the call
# is sent. README.md explains it.
LOST_IN_TONIC = "CANCELLED: operation was canceled"


def sent(results):
    return sum(result[kind]["sent"] for result in results for kind in ("calls", "streams"))


def failed(results):
    """The number of calls and streams that ended with another status than OK, or did not end."""
    ok = sum(result[kind]["outcomes"].get("OK", 0) for result in results for kind in ("calls", "streams"))
    return sent(results) - ok


def lost_in_tonic(results):
    """The number of failed calls that tonic never sent."""
    return sum(result["examples"].get(LOST_IN_TONIC, 0) for result in results)
