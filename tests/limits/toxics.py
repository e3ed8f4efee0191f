"""Runs the real Toxiproxy in front of Redis, and makes the connection slow or breaks it."""

import contextlib
import json
import socket
import urllib.request

from processes import ROOT, Process, free_port
from telemetry import wait_until

PROGRAM = ROOT / "target/ci/bin/toxiproxy"


class Proxy:
    """A port that passes bytes on to another one."""

    def __init__(self, control, name, upstream):
        self.control, self.name = control, name
        self.address = f"127.0.0.1:{free_port()}"
        self._post("/proxies", name=name, listen=self.address, upstream=upstream, enabled=True)

    @property
    def url(self):
        return f"redis://{self.address}"

    @contextlib.contextmanager
    def toxic(self, kind, stream="downstream", **attributes):
        """With a toxic, until the `with` block ends: https://github.com/Shopify/toxiproxy#toxics."""
        self._post(f"/proxies/{self.name}/toxics", name=kind, type=kind, stream=stream, toxicity=1, attributes=attributes)
        try:
            yield
        finally:
            self._request("DELETE", f"/proxies/{self.name}/toxics/{kind}")

    @contextlib.contextmanager
    def down(self):
        """Nothing listens, and every connection is closed, until the `with` block ends."""
        self._post(f"/proxies/{self.name}", enabled=False)
        try:
            yield
        finally:
            self._post(f"/proxies/{self.name}", enabled=True)

    def _post(self, path, **values):
        self._request("POST", path, json.dumps(values).encode())

    def _request(self, method, path, body=None):
        # Toxiproxy refuses programs that call themselves browsers.
        headers = {"user-agent": "tests", "content-type": "application/json"}
        request = urllib.request.Request(f"http://{self.control}{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            response.read()


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True


@contextlib.contextmanager
def toxiproxy(upstream):
    """A proxy in front of this address, until the `with` block ends."""
    assert PROGRAM.exists(), f"there is no {PROGRAM}; the step 'build Go tools' of .ci/run makes it"
    port = free_port()
    process = Process("-host", "127.0.0.1", "-port", str(port), program=PROGRAM)
    try:
        wait_until(lambda: answers(port), "Toxiproxy")
        yield Proxy(f"127.0.0.1:{port}", "redis", upstream)
    finally:
        process.stop()
