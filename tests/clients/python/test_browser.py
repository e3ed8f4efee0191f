"""A web page of another origin, in a real browser, tries to use the gateway's key."""

import base64
import contextlib
import hashlib
import http.server
import json
import pathlib
import queue
import re
import shutil
import subprocess
import threading

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from processes import admin_in
from telemetry import wait_until
from test_metrics import read
from test_stalled_clients import certificate, gateway

PAGE = pathlib.Path(__file__).with_name("drive_by.html")
# The page makes 19 attempts for each of 6 methods.
ATTEMPTS = 6 * 19
ANSWER = {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the page, and stores what is posted."""

    def do_GET(self):
        self.answer(PAGE.read_bytes(), "text/html")

    def do_POST(self):
        self.server.posted.put(self.rfile.read(int(self.headers["content-length"])))
        self.answer(json.dumps(ANSWER).encode(), "application/json")

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving():
    """A server, and its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.posted = queue.Queue()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def browser(url, chain, folder):
    """Runs Chromium, which shows the page and trusts the certificate."""
    program = shutil.which("chromium")
    assert program, "there is no chromium; .ci/tools/debian installs it"
    public = x509.load_pem_x509_certificate(chain.read_bytes()).public_key()
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    pin = base64.b64encode(hashlib.sha256(public.public_bytes(encoding, form)).digest()).decode()
    flags = [
        "--headless=new",
        # In CI it runs as root, and it shows only this page.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--no-proxy-server",
        f"--user-data-dir={folder}",
        f"--ignore-certificate-errors-spki-list={pin}",
    ]
    with open(folder / "chromium.log", "wb") as log:
        process = subprocess.Popen([program, *flags, url], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


# Requests that are not gRPC, and what browsers ask first: whether the page may send them at all.
REFUSED = r"^(?:gemini_grpc_requests_refused_total|http_server_request_duration_seconds_count)\{(.*)\} (\d+)$"


def refused(admin):
    """The number of requests that were refused."""
    counts = re.findall(REFUSED, read(admin, "/metrics"), re.M)
    return sum(int(count) for labels, count in counts if "http_response_status_code" not in labels or '"403"' in labels)


def test_a_web_page_of_another_origin_cannot_use_the_key(tmp_path):
    chain, key = certificate(tmp_path)
    flags = ["--tls-cert", chain, "--tls-key", key, "--admin-listen", "127.0.0.1:0"]
    with serving() as (upstream, url), serving() as (page, origin), gateway(url, *flags) as (process, address):
        admin = process.wait_for(admin_in)
        with browser(f"{origin}/#https://{address}", chain, tmp_path):
            # If an attempt were admitted, the page might never see its end, and would not report.
            wait_until(lambda: page.posted.qsize() or upstream.posted.qsize(), "the report of the page", 60)
            assert upstream.posted.qsize() == 0
            report = json.loads(page.posted.get())
            assert len(report) == ATTEMPTS, report
            # The requests did reach the gateway: 6 of each kind were answered, and the page could not read the responses.
            for name in ["text/plain", "without type", "grpc", "two types", "grpc in text/plain", "blob", "GET"]:
                assert report.count(f"fetch {name}: opaque 0") == 6, report
            # The browser sends a preflight request for some attempts, and that is refused. It sends beacons at any later time.
            wait_until(lambda: refused(admin) >= ATTEMPTS, "all attempts")
        assert upstream.posted.qsize() == 0
        # A gRPC call with the same message is admitted, so the message was not the reason for the refusals.
        message = base64.b64decode(re.search(r"atob\('(.+?)'\)", PAGE.read_text())[1])[5:]
        with grpc.secure_channel(address, grpc.ssl_channel_credentials(chain.read_bytes())) as channel:
            channel.unary_unary("/mountsea.gemini.v1.GenerativeService/GenerateContent")(message, timeout=20)
        assert upstream.posted.qsize() == 1
