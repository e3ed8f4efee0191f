"""Rolling restarts behind Envoy: no call may fail.

Two gateways run behind one Envoy that checks the health of each of them every second. Clients over gRPC (in Rust and
Python) and over REST (HTTP/1.1 and HTTP/2) make 200 calls a second and keep 200 streams open, while one gateway after the
other gets SIGTERM, must end with 0, and is started again. With an Envoy that only forwards TCP, as a Kubernetes Service
does, the clients over REST have their connections to the gateways themselves. A second part restarts nothing, but each
gateway asks its clients to reconnect every five seconds; a third part does the same without Envoy.

A call has failed if the application sees any status other than OK; the clients retry nothing. Without Envoy, calls that
tonic cancels at GOAWAY before it sends them are counted separately (README.md).
"""

import argparse
import signal
import subprocess
import time

import tools


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--part", choices=["restart", "age", "direct", "all"], default="all", help="which part to run")
    add(
        "--envoy",
        choices=["bare", "sane", "tcp", "all"],
        default="all",
        help="bare: without retries; sane: with the settings for production; tcp: a balancer of connections, for REST",
    )
    add("--restarts", type=int, default=5, help="the number of restarts, one after the other")
    add("--seconds", type=float, default=60, help="how long the parts without restarts take")
    add("--age", type=float, default=5, help="the maximum age of a connection in those parts, in seconds")
    add("--rate", type=float, default=200, help="calls a second, of all clients together")
    add("--streams", type=int, default=200, help="open streams, of all clients together")
    add("--words", type=int, default=100, help="words in a stream, which sends ten a second")
    add("--client", action="append", choices=["tonic", "grpcio", "http1", "http2"], help="all of them by default")
    return parser.parse_args()


def main(args):
    import clients
    import envoy
    from running import end, end_well, gateway, if_known, sandbox, start_gateway
    from verdict import Verdict

    end_well()
    verdict = Verdict()
    callers = args.client or clients.KINDS
    kinds = ["bare", "sane", "tcp"] if args.envoy == "all" else [args.envoy]
    key = {"MOUNTSEA_API_KEY": "a-key"}

    def calling(endpoint, kinds=callers):
        flags = ["--words", args.words, "--seconds", 3600]
        return clients.calling(endpoint, *flags, rate=args.rate, streams=args.streams, kinds=kinds)

    def report(part, running):
        results = clients.finish(running)
        tools.say("")
        clients.show(results)
        failed, lost = clients.failed(results), clients.lost_in_tonic(results)
        seen = f"{failed} of {clients.sent(results)}"
        if "no Envoy" in part:
            failed -= lost
            seen += f", {lost} of them cancelled by tonic before they were sent"
        verdict.check(f"{part}: no call fails", failed == 0, seen)

    def restart(upstream, kind):
        part = f"{args.restarts} restarts, {kind} Envoy"
        tools.say(f"\n=== {part}")
        gateways = []
        try:
            gateways += [start_gateway("--upstream-url", upstream, env=key) for _ in range(2)]
            ports = [gateway.port for gateway in gateways]
            # A connection that ends costs tonic a call (README.md).
            over_tcp = [caller for caller in callers if caller in clients.REST]
            with envoy.envoy(ports, kind) as front, calling(front.url, over_tcp if kind == "tcp" else callers) as running:
                codes = []
                for number in range(args.restarts):
                    time.sleep(3)  # Both gateways serve the load for a while.
                    place = number % 2
                    begun = time.monotonic()
                    gateways[place].signal(signal.SIGTERM)
                    try:
                        codes.append(gateways[place].wait(120))
                    except subprocess.TimeoutExpired:
                        codes.append("none in 120 s")
                        break
                    ended = time.monotonic()
                    gateways[place] = start_gateway("--upstream-url", upstream, port=ports[place], env=key)
                    front.wait_for_healthy(ports)
                    up = time.monotonic() - ended
                    tools.say(
                        f"  restart {number + 1}: ended after {ended - begun:.1f} s, healthy again {up:.1f} s later"
                    )
                report(part, running)
                tools.say(f"  Envoy counted: {front.figures()}")
                expected = [0] * args.restarts
                verdict.check(f"{part}: each gateway ends with 0", codes == expected, " ".join(map(str, codes)))
        finally:
            for started in gateways:
                end(started.process)

    def age(upstream, kind):
        part = f"connections of at most {args.age:g} s, {kind}"
        tools.say(f"\n=== {part}")
        flags = ["--upstream-url", upstream, *if_known("--connection-age", args.age)]
        with gateway(*flags, env=key) as one:
            if kind == "no Envoy":
                with calling(f"http://{one.address}") as running:
                    time.sleep(args.seconds)
                    report(part, running)
                return
            with gateway(*flags, env=key) as two, envoy.envoy([one.port, two.port], kind.split()[0]) as front:
                with calling(front.url) as running:
                    time.sleep(args.seconds)
                    report(part, running)
                    tools.say(f"  Envoy counted: {front.figures()}")

    with sandbox(pace=100) as upstream:
        for kind in kinds:
            if args.part in ("restart", "all"):
                restart(upstream, kind)
        for kind in kinds:
            # Without an Envoy that speaks HTTP, it is the same as with none.
            if args.part in ("age", "all") and kind != "tcp":
                age(upstream, f"{kind} Envoy")
        if args.part in ("direct", "all"):
            age(upstream, "no Envoy")
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
