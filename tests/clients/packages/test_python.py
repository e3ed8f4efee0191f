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


def test_the_tour_prints_every_part(python, check_tour, tmp_path):
    check_tour([python, EXAMPLES / "tour.py"], tmp_path)


def test_the_tour_with_asyncio_prints_its_parts(python, tls_gateway):
    arguments = [tls_gateway.endpoint, tls_gateway.key, tls_gateway.ca]
    lines = run(python, EXAMPLES / "tour_aio.py", *arguments).splitlines()
    assert lines[0].startswith('text: [sandbox] You said "Why is the sky blue?"')
    assert lines[1].startswith('text: [sandbox] You said "Why is the sea blue?"')
    assert lines[2].removeprefix("stream: ") == lines[0].removeprefix("text: ")
    assert lines[3:] == [
        "deadline: DEADLINE_EXCEEDED",
        "refused: INVALID_ARGUMENT, REQUEST_INVALID, contents",
        "cancel: CANCELLED",
    ]
    tls_gateway.relay.wait_for_cancel()


def test_programs_pass_a_strict_type_checker(python, tmp_path):
    """With the package's own types, and those of gRPC and protobuf, which its README names."""
    run(python, "-m", "pip", "install", "--quiet", "types-grpcio", "types-protobuf", **OFFLINE)
    files = [EXAMPLES / "tour.py", EXAMPLES / "tour_aio.py"]
    check = ["-m", "mypy", "--strict", "--python-executable", python, f"--cache-dir={tmp_path}"]
    run(sys.executable, *check, *files)
    (tmp_path / "wrong.py").write_text(
        "from mountsea.gemini import connect\n"
        "from mountsea.gemini.v1.generative_service_pb2_grpc import GenerativeServiceStub\n"
        "GenerativeServiceStub(connect('localhost:1', 'KEY')).GenerateContent('a text')\n"
    )
    with pytest.raises(AssertionError, match="incompatible type"):
        run(sys.executable, *check, tmp_path / "wrong.py")


def test_the_helper_passes_a_strict_type_checker(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    options = ["--strict", "--explicit-package-bases", f"--cache-dir={tmp_path}/cache"]
    run(sys.executable, "-m", "mypy", *options, tmp_path / "mountsea/gemini", cwd=tmp_path, MYPYPATH=str(tmp_path))


def test_requests_are_checked_before_they_are_sent(python, tmp_path):
    """As the section of the README does it, with protovalidate."""
    run(python, "-m", "pip", "install", "--quiet", "protovalidate", **OFFLINE)
    section = (ROOT / "clients/python/README.md").read_text().split("## Checks before sending\n")[1]
    (tmp_path / "check.py").write_text(
        "from mountsea.gemini.v1.generative_service_pb2 import GenerateContentRequest\n"
        'request = GenerateContentRequest(model="gemini-2.5-flash", generation_config={"temperature": 3})\n'
        'request.contents.add(role="user").parts.add(text="hello")\n' + first_block(section, "python")
    )
    assert run(python, tmp_path / "check.py") == "must be greater than or equal to 0 and less than or equal to 2\n"


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
    ({secure!r}, {ca}, True), ("https://{secure}", None, True), ("http://{plain}", None, False), ({plain!r}, None, False),
    ("[::1]:50051", None, False), ("gateway.example.com:443", None, True), ("http://gateway.example.com:80", None, False),
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


def test_two_builds_are_identical(check_rebuild):
    check_rebuild("python")
