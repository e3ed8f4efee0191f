"""The wheel of clients/python, as a user installs it."""

import sys
import zipfile

import pytest

from conftest import first_block
from processes import ROOT
from tour import run

EXAMPLES = ROOT / "examples/python"
BUILT = ROOT / "target/clients/python"
# pip finds packages here, and asks no registry.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(ROOT / "target/ci/clients/python/wheels"), "PIP_NO_COMPILE": "1"}


@pytest.fixture(scope="module")
def wheel():
    (found,) = BUILT.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def python(check_snippet, wheel, tmp_path_factory):
    """The Python of an environment that was made, and tried, by the lines at the top of the package's README."""
    folder = tmp_path_factory.mktemp("python")
    check_snippet("python", "python", "first.py", "venv/bin/python first.py", folder, artifacts=[wheel], **OFFLINE)
    return folder / "venv/bin/python"


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """A command of mypy, whose runs share what they know of the libraries."""
    return [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path_factory.mktemp('mypy')}"]


def test_the_tour_prints_every_part(python, check_tour, tmp_path):
    check_tour([python, EXAMPLES / "tour.py"], tmp_path)


def test_the_tour_with_asyncio_prints_its_parts(python, tls_gateway):
    tls_gateway.relay.forget()
    arguments = [tls_gateway.endpoint, tls_gateway.key, tls_gateway.ca]
    lines = run(python, EXAMPLES / "tour_aio.py", *arguments).splitlines()
    assert lines[0].startswith('text: [sandbox] You said "Why is the sky blue?"')
    assert lines[1].startswith('text: [sandbox] You said "Why is the sea blue?"')
    assert lines[2].removeprefix("stream: ") == lines[0].removeprefix("text: ")
    assert lines[3:] == [
        "cancel: CANCELLED",
        "deadline: DEADLINE_EXCEEDED",
        "refused: INVALID_ARGUMENT, REQUEST_INVALID, contents",
    ]
    tls_gateway.relay.wait_for_cancel()


def test_programs_pass_a_strict_type_checker(python, mypy, tmp_path):
    """With the package's own types, and those of gRPC and protobuf, which its README names."""
    run(python, "-m", "pip", "install", "--quiet", "types-grpcio", "types-protobuf", **OFFLINE)
    check = [*mypy, "--python-executable", python]
    run(*check, EXAMPLES / "tour.py", EXAMPLES / "tour_aio.py")
    (tmp_path / "wrong.py").write_text(
        "from mountsea.gemini import connect\n"
        "from mountsea.gemini.v1.generative_service_pb2_grpc import GenerativeServiceStub\n"
        "GenerativeServiceStub(connect('localhost:1', 'KEY')).GenerateContent('a text')\n"
    )
    with pytest.raises(AssertionError, match="incompatible type"):
        run(*check, tmp_path / "wrong.py")


def test_the_helper_passes_a_strict_type_checker(wheel, mypy, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    run(*mypy, "--explicit-package-bases", tmp_path / "mountsea/gemini", cwd=tmp_path, MYPYPATH=str(tmp_path))


# Runs the blocks of a README one after the other, as one program. Errors are shown with a request that is refused.
README_RUNNER = r"""
import ast, asyncio, inspect, re, sys
page, plain, secure, key, ca = sys.argv[1:]
places = {"localhost:50051": plain, "gateway.example.com:443": secure, "ANOTHER-KEY": key, "KEY": key, "ca.pem": ca}
scope = {}
for section in open(page).read().split("\n## "):
    for block in re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        if section.startswith("Tracing"):
            continue
        for place, value in places.items():
            block = re.sub(rf"(?<![\w-]){re.escape(place)}\b", value, block)
        if section.startswith(("Errors", "Checks")):
            scope["request"].generation_config.temperature = 3
        print(f"@@{section.splitlines()[0]}")
        code = compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if inspect.iscoroutine(started := eval(code, scope)):
            asyncio.run(started)
"""


def test_every_block_of_the_readme_runs(python, plaintext_gateway, tls_gateway):
    """All but that of tracing. protovalidate is installed, as the section about checks says."""
    run(python, "-m", "pip", "install", "--quiet", "protovalidate", **OFFLINE)
    page = ROOT / "clients/python/README.md"
    arguments = [page, plaintext_gateway.endpoint, tls_gateway.endpoint, tls_gateway.key, tls_gateway.ca]
    printed = run(python, "-c", README_RUNNER, *arguments)
    sections = dict(part.split("\n", 1) for part in printed.split("@@")[1:])
    assert sections["asyncio"].startswith('[sandbox] You said "Why is the sky blue?"')
    errors = sections["Errors"].splitlines()
    assert errors[0].startswith("INVALID_ARGUMENT REQUEST_INVALID ")
    assert errors[1] == "generation_config.temperature a temperature is from 0 to 2"
    assert errors[2].startswith("None ") and len(errors[2]) > 20
    assert sections["Checks before sending"] == "must be greater than or equal to 0 and less than or equal to 2\n"
    assert len(sections) == 8


# A server that fails as its caller says, and counts the calls.
RETRIES = """
import concurrent.futures, time
import grpc
from mountsea import gemini
from mountsea.gemini.v1 import model_service_pb2 as messages, model_service_pb2_grpc as service

class Models(service.ModelServiceServicer):
    calls = []
    def GetModel(self, request, context):
        self.calls.append(dict(context.invocation_metadata())["x-goog-api-key"])
        code, _, pushback = request.name.partition(" ")
        if pushback:
            context.set_trailing_metadata([("grpc-retry-pushback-ms", pushback)])
        context.abort(grpc.StatusCode[code], "on purpose")

server = grpc.server(concurrent.futures.ThreadPoolExecutor())
service.add_ModelServiceServicer_to_server(Models(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
stub = service.ModelServiceStub(gemini.connect(f"127.0.0.1:{port}", "KEY"))
for name in ["UNAVAILABLE 1", "UNAVAILABLE -1", "UNAVAILABLE", "RESOURCE_EXHAUSTED"]:
    Models.calls.clear()
    try:
        stub.GetModel(messages.GetModelRequest(name=name), timeout=60)
    except grpc.RpcError as error:
        print(name, gemini.explain(error).code.name, Models.calls)
server.stop(None)
"""


def test_retries_unavailable_only_and_stops_when_the_server_says_so(python):
    assert run(python, "-c", RETRIES).splitlines() == [
        "UNAVAILABLE 1 UNAVAILABLE ['KEY', 'KEY', 'KEY']",
        "UNAVAILABLE -1 UNAVAILABLE ['KEY']",
        "UNAVAILABLE UNAVAILABLE ['KEY', 'KEY', 'KEY']",
        "RESOURCE_EXHAUSTED RESOURCE_EXHAUSTED ['KEY']",
    ]


def test_calls_continue_a_trace_of_opentelemetry(wheel, plaintext_gateway, tmp_path):
    """The two lines of the README, and a call that is a span."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    section = (ROOT / "clients/python/README.md").read_text().split("## Tracing\n")[1]
    (tmp_path / "traced.py").write_text(
        "import sys\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor\n"
        "provider = TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))\n"
        "trace.set_tracer_provider(provider)\n"
        f"{first_block(section, 'python')}"
        "from mountsea import gemini\n"
        "from mountsea.gemini.v1 import model_service_pb2, model_service_pb2_grpc\n"
        "stub = model_service_pb2_grpc.ModelServiceStub(gemini.connect(*sys.argv[1:]))\n"
        "stub.ListModels(model_service_pb2.ListModelsRequest(), timeout=60)\n"
    )
    arguments = [plaintext_gateway.endpoint, plaintext_gateway.key]
    printed = run(sys.executable, tmp_path / "traced.py", *arguments, PYTHONPATH=str(tmp_path))
    assert '"name": "/mountsea.gemini.v1.ModelService/ListModels"' in printed


def test_endpoints_choose_between_tls_and_plaintext(python, tls_gateway, plaintext_gateway):
    """By the scheme, and otherwise by the host. With a CA file loopback is reached over TLS."""
    secure, plain, ca = tls_gateway.endpoint, plaintext_gateway.endpoint, repr(tls_gateway.ca)
    program = f"""
from mountsea.gemini import _settings
for endpoint, ca, tls in [
    ({secure!r}, {ca}, True), ("https://{secure}", None, True),
    ({plain!r}, None, False), ("http://{plain}", None, False), ("[::1]:50051", None, False),
    ("gateway.example.com:443", None, True), ("http://gateway.example.com:80", None, False),
]:
    target, credentials = _settings.target(endpoint, ca)
    assert (target, credentials is not None) == (endpoint.split("://")[-1], tls), endpoint
assert _settings.target("https://gateway.example.com/", None)[0] == "gateway.example.com:443"
for wrong in ("ftp://gateway.example.com:21", "", "unix:/socket"):
    try:
        _settings.target(wrong, None)
    except ValueError as error:
        assert "HOST:PORT" in str(error)
    else:
        raise AssertionError(wrong)
"""
    run(python, "-c", program)


@pytest.mark.parametrize("tls", [False, True])
def test_google_client_needs_only_endpoint_and_key(plaintext_gateway, tls_gateway, tls):
    gateway = tls_gateway if tls else plaintext_gateway
    endpoint = [gateway.endpoint, gateway.key, gateway.ca] if tls else [f"http://{gateway.endpoint}", gateway.key]
    printed = run(sys.executable, EXAMPLES / "google_client.py", *endpoint)
    assert printed.startswith('[sandbox] You said "Why is the sky blue?"')


def test_the_sdist_builds_the_same_wheel(python, wheel, tmp_path):
    (sdist,) = BUILT.glob("*.tar.gz")
    run(python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, sdist, **OFFLINE)
    names = [zipfile.ZipFile(path).namelist() for path in (wheel, tmp_path / wheel.name)]
    assert names[0] == names[1]
    for name in names[0]:
        assert zipfile.ZipFile(wheel).read(name) == zipfile.ZipFile(tmp_path / wheel.name).read(name), name


def test_two_builds_are_identical(check_rebuild):
    check_rebuild("python")
