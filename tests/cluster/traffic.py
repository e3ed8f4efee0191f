"""The load: a client outside of the cluster that calls the Service's ClusterIP."""

import contextlib
import time

import chart
import clients


@contextlib.contextmanager
def traffic(args, name, verdict, address=None, **load):
    """Makes calls and streams until the `with` block ends. All of them must end with OK, and no container may restart.

    They go to the Service, or to this address.
    """
    with calls(args, name, verdict, [address or chart.service()], **load):
        restarts = chart.restarts()
        yield
    restarts += chart.restarts()
    verdict.check(f"{name}: no container starts twice", not restarts, f"{restarts} restarts")


@contextlib.contextmanager
def calls(args, name, verdict, addresses, connections=None, streams=None, words=None, token_file=None):
    """Like `traffic`, but on several addresses, and containers may restart."""
    # --no-retries also switches off gRPC's own retries of calls that were not sent.
    flags = ["--connections", (connections or args.connections) // len(addresses), "--words", words or args.words]
    flags += ["--no-retries", "--seconds", 3600]
    if token_file:
        flags += ["--token-file", token_file]
    first, *others = [f"http://{address}" for address in addresses]
    for other in others:
        flags += ["--endpoint", other]
    with clients.calling(first, *flags, rate=args.rate, streams=streams or args.streams, kinds=("grpcio",)) as running:
        time.sleep(5)  # Until all connections are open, and all pods have calls.
        yield
        time.sleep(5)  # To see late effects of the change.
        results = clients.finish(running)
        clients.show(results)
        counts = failures(results)
        seen = ", ".join(f"{failed} of {sent} {kind}" for kind, (failed, sent) in counts.items())
        no_failures = not any(failed for failed, _ in counts.values())
        verdict.check(f"{name}: no call fails, no stream breaks", no_failures, seen)


def failures(results):
    """For calls and for streams: how many failed, and how many were sent."""
    (result,) = results
    return {
        kind: (result[kind]["sent"] - result[kind]["outcomes"].get("OK", 0), result[kind]["sent"])
        for kind in ("calls", "streams")
    }
