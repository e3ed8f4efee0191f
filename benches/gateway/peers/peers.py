"""The gateways that the benchmark compares with gemini-grpc: how to install, start and describe each of them.

    peers.py install [NAME ...]    installs them into target/gateway-bench
    peers.py check [NAME ...]      starts each one and makes its calls (test_peers.py)
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import scenarios  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PROTO = ROOT / "proto"
CORES = os.cpu_count() or 1
# The models that the benchmark and test_peers.py ask for.
MODELS = sorted({scenario.model for scenario in [*scenarios.LOADS, scenarios.IDLE]}) + [
    "test-text", "test-picture", "test-upload", "test-error"]


def run(*command, cwd=None):
    """Runs a command of an installation. Its output is in the error if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout.strip()


def install_python(folder, requirements):
    """A virtual environment with exactly the packages of a file that has their hashes."""
    run(sys.executable, "-m", "venv", "--clear", folder / "venv")
    run(
        folder / "venv/bin/pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--requirement",
        requirements,
    )


def install_node(folder, source):
    """The packages of a lock file. Their install scripts are not run."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder / name)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)


def python_package(folder, name):
    code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    return run(folder / "venv/bin/python", "-c", code, name)


def node_package(folder, name):
    return json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]


class Peer:
    """A row of the benchmark; benches/gateway/README.md says what each attribute means."""

    skips = frozenset()
    headers = ()
    path = "/v1beta/models/{model}:{verb}"

    def install(self, folder):
        """Installs into `folder` what is missing or changed."""
        self.folder = Path(folder)
        stamp, wanted = self.folder / "installed", self.fingerprint()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        stamp.unlink(missing_ok=True)
        self.download(self.folder)
        stamp.write_text(wanted)

    def fingerprint(self):
        digest = hashlib.sha256(sys.version.encode())
        files = [f for f in (HERE / self.source).iterdir() if f.is_file()] + list(PROTO.rglob("*.proto"))
        for file in sorted(files):
            digest.update(file.read_bytes())
        return digest.hexdigest()


class Envoy(Peer):
    """Envoy; what it does with a request is in the filters of a subclass."""

    source = "envoy"
    max_streams = 10_000

    def download(self, folder):
        install_python(folder, HERE / "envoy/requirements.txt")
        python = folder / "venv/bin/python"
        common = run(python, "-c", "import google.api, os; print(os.path.dirname(google.api.__path__[0]))")
        run(
            python,
            "-m",
            "grpc_tools.protoc",
            f"-I{HERE / 'envoy'}",
            f"-I{PROTO}",
            f"-I{Path(common).parent}",
            "--include_imports",
            f"--descriptor_set_out={folder / 'service.binpb'}",
            "service.proto",
        )

    def version(self):
        # "envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL"
        return (
            "Envoy " + run(self.folder / "venv/bin/envoy", "--version").split("/venv/bin/")[-1].split("/")[1]
        )

    def command(self, upstream, port):
        host, upstream_port = upstream.rsplit(":", 1)
        config = self.folder / f"envoy-{port}.json"
        config.write_text(json.dumps(self.config(port, host, int(upstream_port)), indent=1))
        # Several of them run at once, so none may have the shared memory of hot restarts.
        return [
            str(self.folder / "venv/bin/envoy"),
            "-c",
            str(config),
            "--concurrency",
            str(CORES),
            "-l",
            "error",
            "--disable-hot-restart",
        ], {}

    def config(self, port, host, upstream_port):
        def address(host, port):
            return {"socket_address": {"address": host, "port_value": port}}

        def typed(name, **fields):
            return {"@type": f"type.googleapis.com/envoy.extensions.filters.{name}", **fields}

        manager = typed(
            "network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix="bench",
            codec_type=self.codec,
            # With smaller windows a picture would wait for their updates.
            http2_protocol_options={
                "initial_stream_window_size": 4 << 20, "initial_connection_window_size": 32 << 20,
                "max_concurrent_streams": 10_000,
            },
            stream_idle_timeout="0s",
            route_config={"virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}],
            }]},
            http_filters=[{"name": name, "typed_config": typed(f"http.{kind}", **fields)}
                          for name, kind, fields in self.filters() + [("router", "router.v3.Router", {})]],
        )
        limit = {name: 100_000 for name in ("max_connections", "max_pending_requests", "max_requests")}
        return {"static_resources": {
            "listeners": [{
                "address": address("127.0.0.1", port),
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            }],
            "clusters": [{
                "name": "upstream", "type": "STATIC", "connect_timeout": "1s",
                "per_connection_buffer_limit_bytes": 64 << 20,
                # The default of 1,024 connections would refuse the scenario of idle streams.
                "circuit_breakers": {"thresholds": [limit]},
                "load_assignment": {"cluster_name": "upstream", "endpoints": [
                    {"lb_endpoints": [{"endpoint": {"address": address(host, upstream_port)}}]}]},
            }],
        }}


class EnvoyTranscoder(Envoy):
    name = "envoy"
    proto = "grpc"
    settings = ("gRPC-JSON reverse transcoder, release build, one worker thread per core, no access log; "
                "its HTTP/2 windows and body limits are raised to the size of the pictures")
    skips = frozenset({"stream", "burst", "flush", "first-chunk", "idle"})
    codec = "HTTP2"

    def filters(self):
        return [("transcoder", "grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder", {
            "descriptor_path": str(self.folder / "service.binpb"),
            "max_request_body_size": 64 << 20, "max_response_body_size": 64 << 20,
            "request_json_print_options": {"use_canonical_field_names": True},
        })]


class EnvoyProxy(Envoy):
    name = "envoy-rest"
    proto = "gemini"
    settings = "plain HTTP/1.1 proxy that reads no body, one worker thread per core, no access log"
    codec = "HTTP1"

    def filters(self):
        return []


class LiteLLM(Peer):
    """The proxy of LiteLLM on Gemini's own route, `/v1beta/models/MODEL:generateContent`."""

    name = "litellm"
    proto = "gemini"
    source = "litellm"
    # https://docs.litellm.ai/docs/proxy/server_tuning: Gunicorn "when you run multiple workers in a single
    # container". The default, Uvicorn, ends a worker that has not answered for 5 s, so that on a busy machine
    # none gets through its imports. Granian took as much CPU time as Uvicorn. The Rust core of
    # https://docs.litellm.ai/docs/proxy/rust_gateway does not serve Gemini's route.
    settings = (
        "Gemini's route, --run_gunicorn with a worker per core, LITELLM_MODE=PRODUCTION, LITELLM_LOG=ERROR, "
        "models by name with prices, aiohttp to upstream (the default), no database, no callbacks; "
        "OpenTelemetry's SDK is installed, without which each call tries to import it"
    )
    # Not a secret: the server starts with a strong key only, and a call has to have it.
    key = "sk-for-a-benchmark-on-loopback-4c0a1b9d72e85f36"
    headers = (f"x-goog-api-key: {key}",)
    # A call takes tens of milliseconds of CPU time: even 100 a second would be too many for two cores.
    skips = frozenset({"rate", "first-chunk"})
    # Each worker imports hundreds of modules with its first calls.
    first_warmup = 10
    is_slow = True
    start_timeout = 240

    def download(self, folder):
        install_python(folder, HERE / "litellm/requirements.txt")

    def version(self):
        return f"LiteLLM {python_package(self.folder, 'litellm')}"

    def command(self, upstream, port):
        config = self.folder / f"litellm-{port}.json"
        config.write_text(json.dumps({
            # By name and with prices: a model that only matches a pattern makes an error for each call.
            "model_list": [{"model_name": model, "litellm_params": {
                "model": f"gemini/{model}", "api_base": f"http://{upstream}/v1beta", "api_key": "key",
                "input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6,
            }} for model in MODELS],
            "litellm_settings": {"request_timeout": 600},
        }))
        argv = [str(self.folder / "venv/bin/litellm"), "--config", str(config), "--host", "127.0.0.1",
                "--port", str(port), "--num_workers", str(CORES), "--run_gunicorn"]
        return argv, {"LITELLM_MASTER_KEY": self.key, "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR",
                      "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


class Portkey(Peer):
    """Portkey's gateway on its OpenAI route, with Gemini behind it."""

    name = "portkey"
    proto = "openai"
    source = "portkey"
    path = "/v1/chat/completions"
    settings = (
        "OpenAI route to provider google with a custom host, NODE_ENV=production, headless, one process"
    )
    skips = frozenset({"tools"})
    first_warmup = 5
    is_slow = True
    max_rate = 100

    def __init__(self):
        # One of them names upstream, which is not known before command().
        self.headers = []

    def download(self, folder):
        install_node(folder, HERE / "portkey")

    def version(self):
        portkey = node_package(self.folder, "@portkey-ai/gateway")
        return f"Portkey {portkey}, Node.js {run('node', '--version')[1:]}"

    def command(self, upstream, port):
        self.headers[:] = [
            "x-portkey-provider: google",
            f"x-portkey-custom-host: http://{upstream}",
            "authorization: Bearer key",
            # Otherwise an answer has no pictures.
            "x-portkey-strict-open-ai-compliance: false",
        ]
        start = self.folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
        return ["node", str(start), "--headless", f"--port={port}"], {"NODE_ENV": "production"}


class Handwritten(Peer):
    """A gateway of this folder, as a team would write it with the usual libraries of a language."""

    proto = "grpc"

    @property
    def source(self):
        return self.name


class PythonGateway(Handwritten):
    name = "python"
    settings = (
        "python/gateway.py: grpc.aio, httpx with a connection pool, orjson, uvloop, one process per core"
    )
    first_warmup = 2
    is_slow = True
    max_rate = 500

    def download(self, folder):
        install_python(folder, HERE / "python/requirements.txt")
        generated = folder / "generated"
        generated.mkdir(exist_ok=True)
        files = [PROTO / "buf/validate/validate.proto", *(PROTO / "mountsea").rglob("*.proto"),
                 PROTO / "google/ai/generativelanguage/v1beta/generative_service_v1beta.proto"]
        run(folder / "venv/bin/python", "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--python_out={generated}",
            f"--grpc_python_out={generated}", *(file.relative_to(PROTO) for file in files))

    def version(self):
        python = run(self.folder / "venv/bin/python", "--version")
        packages = (f"{name} {python_package(self.folder, name)}" for name in ("grpcio", "httpx"))
        return f"{python}, {', '.join(packages)}"

    def command(self, upstream, port):
        argv = [str(self.folder / "venv/bin/python"), str(HERE / "python/gateway.py"), upstream, str(port)]
        return argv, {"PYTHONPATH": str(self.folder / "generated")}


class NodeGateway(Handwritten):
    name = "node"
    settings = "node/gateway.js: grpc-js, Node's built-in fetch, protobufjs, one process per core (cluster)"
    # After 5 seconds a call still took up to three times the CPU time of some rounds later.
    first_warmup = 10
    client = "fetch"
    packages = ("@grpc/grpc-js", "protobufjs")

    def download(self, folder):
        install_node(folder, HERE / "node")

    def version(self):
        packages = (f"{name} {node_package(self.folder, name)}" for name in self.packages)
        return f"Node.js {run(self.node(), '--version')[1:]}, {', '.join(packages)}"

    def node(self):
        """The program of the lock file, or that of the machine if there is none for it."""
        return next(self.folder.glob("node_modules/node-*/bin/node"), "node")

    def command(self, upstream, port):
        argv = [str(self.node()), str(HERE / "node/gateway.js"), upstream, str(port), str(PROTO), self.client]
        return argv, {"NODE_PATH": str(self.folder / "node_modules"), "NODE_ENV": "production"}


class NodeUndiciGateway(NodeGateway):
    name = "node-undici"
    source = "node"
    settings = "the same as node, with undici's request and a pool of connections instead of fetch"
    client = "undici"
    packages = ("@grpc/grpc-js", "protobufjs", "undici")
    # Only what it takes to compare both clients.
    skips = frozenset({"tools", "flush", "image-out", "image-in", "rate", "first-chunk", "idle"})


PEERS = [
    EnvoyTranscoder(),
    EnvoyProxy(),
    LiteLLM(),
    Portkey(),
    PythonGateway(),
    NodeGateway(),
    NodeUndiciGateway(),
]


def main():
    command, names = sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:]
    chosen = [peer for peer in PEERS if not names or peer.name in names]
    if command not in ("install", "check") or not chosen:
        sys.exit(__doc__)
    cache = ROOT / "target/gateway-bench"
    # The client of the check uses the packages and the generated code of the gateway in Python.
    needed = {peer.name for peer in chosen} | ({"python"} if command == "check" else set())
    for peer in PEERS:
        if peer.name in needed:
            (cache / peer.name).mkdir(parents=True, exist_ok=True)
            peer.install(cache / peer.name)
            print(f"{peer.name}: {peer.version()}", flush=True)
    if command == "check":
        environment = {
            **os.environ,
            "PYTHONPATH": str(cache / "python/generated"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        python = str(cache / "python/venv/bin/python")
        os.execve(python, [python, str(HERE / "test_peers.py"), *(peer.name for peer in chosen)], environment)


if __name__ == "__main__":
    main()
