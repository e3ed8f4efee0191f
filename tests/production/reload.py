"""Replaces keys, tokens and certificates under load: no call may fail.

Clients in Rust and Python call over TLS, each with a token, and reconnect all the time. A hundred times, the gateway's
certificate, the callers' tokens and the key for upstream are replaced, each file by a rename. In every second round the
gateway gets SIGHUP twice: once too early, when the TLS key does not match the certificate yet, and once when all files are
replaced. In the other rounds it must notice the changes itself. The file of callers contains the previous token and the new
one; upstream accepts the previous key and the new one, and refuses all others.
"""

import argparse
import contextlib
import hashlib
import secrets
import signal
import time

import tools

RELOAD_TIMEOUT = 15


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--times", type=int, default=100, help="how often everything is replaced")
    add("--interval", type=float, default=1, help="how often the gateway checks its files, in seconds")
    add("--rate", type=float, default=200, help="calls a second, of all clients together")
    add("--streams", type=int, default=50, help="open streams, of all clients together")
    add("--without-tokens", action="store_true", help="for a binary that has no --auth yet")
    return parser.parse_args()


class Files:
    """The files that the gateway reads, the token file of the clients, and the keys that upstream accepts."""

    def __init__(self, folder, served):
        from certificates import Authority, replace

        self.replace, self.served, self.authority = replace, served, Authority()
        names = ["ca.pem", "tls.pem", "tls.key", "callers.toml", "key", "token"]
        self.ca, self.certificate, self.tls_key, self.callers, self.key, self.token = (folder / name for name in names)
        self.ca.write_bytes(self.authority.pem())
        self.tokens, self.keys = ["an-unknown-token", "another-unknown-token"], []
        # The token that is no longer valid, and the serial number of the current certificate.
        self.old_token = self.serial = None
        self.replace_all()
        self.give_token_to_clients()

    def replace_all(self, between=lambda: None):
        """Replaces all files that the gateway reads; `between` is called when only the TLS key is replaced."""
        self.old_token, previous = self.tokens
        self.tokens = [previous, secrets.token_hex(16)]
        self.keys = [*self.keys, f"key-{secrets.token_hex(8)}"][-2:]
        # A new key becomes valid at upstream before the gateway gets it.
        self.served.valid = set(self.keys)
        self.serial, certificate, key = self.authority.issue()
        self.replace(self.tls_key, key)
        between()
        self.replace(self.certificate, certificate)
        hashes = ", ".join(f'"{hashlib.sha256(token.encode()).hexdigest()}"' for token in self.tokens)
        self.replace(self.callers, f"[callers.load]\ntoken_sha256 = [{hashes}]\n".encode())
        self.replace(self.key, self.keys[-1].encode())

    def give_token_to_clients(self):
        """Gives the new token to the clients."""
        self.replace(self.token, self.tokens[-1].encode())


def wait_until(condition, what):
    """Polls until the condition is true."""
    until = time.monotonic() + RELOAD_TIMEOUT
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"after {RELOAD_TIMEOUT} s still not: {what}")
        time.sleep(0.02)


def status_of(port, files, token):
    """The status of a call with that token, on a new connection."""
    import grpc
    from calls import METHOD

    credentials = grpc.ssl_channel_credentials(files.authority.pem())
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        try:
            # The request is empty, so an admitted call ends with INVALID_ARGUMENT.
            channel.unary_unary(METHOD)(b"", timeout=RELOAD_TIMEOUT, metadata=[("authorization", f"Bearer {token}")])
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


def main(args):
    import clients
    from certificates import serial_at
    from running import end_well, gateway
    from upstream import upstream
    from verdict import Verdict, table

    end_well()
    verdict = Verdict()
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(upstream())
        files = Files(tools.scratch("reload"), served)
        flags = ["--upstream-url", served.url, "--reload-interval", args.interval]
        flags += ["--tls-cert", files.certificate, "--tls-key", files.tls_key]
        if not args.without_tokens:
            flags += ["--auth", "tokens", "--callers", files.callers]
        server = stack.enter_context(gateway(*flags, env={"MOUNTSEA_API_KEY_FILE": str(files.key)}))
        load = ["--ca", files.ca, "--reconnect", 0.5, "--words", 50, "--seconds", 3600]
        if not args.without_tokens:
            load += ["--token-file", files.token]
        url = f"https://localhost:{server.port}"
        running = stack.enter_context(clients.calling(url, *load, rate=args.rate, streams=args.streams))
        times = {"SIGHUP": [], "by itself": []}
        fault = "none"
        try:
            for number in range(args.times):
                how = "SIGHUP" if number % 2 else "by itself"
                notify = [lambda: None, lambda: server.signal(signal.SIGHUP)][number % 2]
                files.replace_all(between=notify)
                begun = time.monotonic()
                notify()
                # More than one connection, so that every worker is checked.
                for _ in range(4):
                    wait_until(lambda: serial_at(server.port, files.ca) == files.serial, "the new certificate is used")
                    if not args.without_tokens:
                        wait_until(
                            lambda: status_of(server.port, files, files.tokens[-1]) == "INVALID_ARGUMENT",
                            "the new token is accepted",
                        )
                        wait_until(
                            lambda: status_of(server.port, files, files.old_token) == "UNAUTHENTICATED",
                            "the old token is refused",
                        )
                wait_until(lambda: served.keys[files.keys[-1]] > 3, "upstream receives the new key")
                times[how].append(time.monotonic() - begun)
                files.give_token_to_clients()
                # The clients use the new token for a while before the previous one becomes invalid.
                served.wait_for_calls(20, RELOAD_TIMEOUT)
        except (TimeoutError, OSError) as error:
            fault = f"{type(error).__name__}: {error}"
        results = clients.finish(running)
        warnings = sum("WARN" in line or "ERROR" in line for line in server.process.output)
        server.process.process.terminate()
        code = server.wait(60)
    tools.say("")
    rows = [(how, len(took), round(min(took), 2), round(max(took), 2)) for how, took in times.items() if took]
    table(("notified by", "times", "min s", "max s"), *rows)
    tools.say(f"  keys that upstream received: {len(served.keys)}; warnings in the log: {warnings}")
    if fault != "none":
        tools.say(server.last_output())
    clients.show(results)
    done = sum(map(len, times.values()))
    verdict.check("all files are replaced and used", done == args.times, f"{done} of {args.times}, fault: {fault}")
    failed = clients.failed(results)
    verdict.check("no call fails", failed == 0, f"{failed} of {clients.sent(results)}")
    verdict.check("the gateway ends with 0", code == 0, code)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
