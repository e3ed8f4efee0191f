"""The load: a client outside of the pods, which calls the Service's address in the cluster."""

import contextlib
import time

import chart
import clients


@contextlib.contextmanager
def traffic(args, name, verdict, address=None, **load):
    """Calls and streams for as long as the block runs; after it all of them must have ended with OK.

    They go to the Service, or to this address.
    """
    with calls(args, name, verdict, [address or chart.service()], **load):
        restarts = chart.restarts()
        yield
    restarts += chart.restarts()
    verdict.check(f"{name}: no container starts twice", not restarts, f"{restarts} restarts")


@contextlib.contextmanager
def calls(args, name, verdict, addresses, connections=None, streams=None, words=None):
    """The same, divided among several addresses; containers may restart."""
    # What it configures are no retries, and what gRPC does of its own is switched off.
    flags = ["--connections", (connections or args.connections) // len(addresses), "--words", words or args.words]
    flags += ["--no-retries", "--seconds", 3600]
    first, *others = [f"http://{address}" for address in addresses]
    for other in others:
        flags += ["--endpoint", other]
    with clients.calling(first, *flags, rate=args.rate, streams=streams or args.streams, languages=("grpcio",)) as running:
        time.sleep(5)  # All connections are made, and all pods carry the load.
        yield
        time.sleep(5)  # What the block did has come to rest.
        results = clients.finish(running)
        clients.show(results)
        broken = kinds(results)
        seen = ", ".join(f"{bad} of {sent} {kind}" for kind, (bad, sent) in broken.items())
        verdict.check(f"{name}: no call fails, no stream breaks", not any(bad for bad, _ in broken.values()), seen)


def kinds(results):
    """How many calls and streams did not end well, of how many."""
    (result,) = results
    return {
        kind: (result[kind]["sent"] - result[kind]["outcomes"].get("OK", 0), result[kind]["sent"])
        for kind in ("calls", "streams")
    }
