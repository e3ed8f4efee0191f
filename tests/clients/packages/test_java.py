"""The Maven artifacts of clients/java, as a user of Java gets them."""

import concurrent.futures
import zipfile

import grpc
import pytest

import maven
from processes import ROOT
from tour import run

README = ROOT / "clients/java/README.md"
PROBE = ROOT / "tests/clients/packages/java/Probe.java"
ARTIFACTS = ["gemini-messages", "gemini-grpc-java", "gemini-grpc-kotlin"]


@pytest.fixture(scope="module")
def version():
    maven.forget_artifacts()
    return run(ROOT / "clients/version").strip()


@pytest.fixture(scope="module")
def program(version, tmp_path_factory):
    """The commands of the program, built together with every block of the README."""
    imports = "import ai.mountsea.gemini.*; import ai.mountsea.gemini.v1.*; import io.grpc.*; import java.io.File;"
    parameters = "GenerativeServiceGrpc.GenerativeServiceBlockingStub gemini, GenerateContentRequest.Builder request"
    blocks = maven.later_blocks(README.read_text(), "java")
    methods = [f"void block{i}({parameters}) throws Exception {{\n{block}}}\n" for i, block in enumerate(blocks)]
    text = f"{imports} import java.util.concurrent.TimeUnit;\nclass Readme {{\n{''.join(methods)}}}\n"
    files = {"Readme.java": text, "Probe.java": PROBE.read_text()}
    return maven.build_example("java", tmp_path_factory.mktemp("java") / "example", files)


@pytest.fixture(scope="module")
def probe(program, tmp_path_factory):
    """How a call with each `endpoint,key,ca` ends. The name gateway.test is this machine's."""
    hosts = tmp_path_factory.mktemp("hosts") / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.1 gateway.test\n")
    environment = {"MAVEN_OPTS": f"{maven.ENVIRONMENT['MAVEN_OPTS']} -Djdk.net.hosts.file={hosts}"}
    return lambda *calls: run(*program("Probe"), *calls, **environment).splitlines()


class Refusing(grpc.GenericRpcHandler):
    """Answers each call with the code, and the pushback, that its key names."""

    def __init__(self):
        self.keys = []

    def service(self, handler_call_details):
        return grpc.unary_unary_rpc_method_handler(self.refuse)

    def refuse(self, request, context):
        key = dict(context.invocation_metadata())["x-goog-api-key"]
        self.keys.append(key)
        code, _, pushback = key.partition(":")
        if pushback:
            context.set_trailing_metadata([("grpc-retry-pushback-ms", pushback)])
        context.abort(grpc.StatusCode[code], "on purpose")


def test_the_tour_prints_every_part(program, check_tour, tmp_path):
    check_tour(program("Tour"), tmp_path, **maven.ENVIRONMENT)


def test_retries_unavailable_only_and_stops_when_the_server_says_so(probe):
    refusing = Refusing()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1), [refusing])
    endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    attempts = {"UNAVAILABLE:1": 3, "UNAVAILABLE:-1": 1, "UNAVAILABLE": 3, "RESOURCE_EXHAUSTED": 1}
    codes = probe(*(f"{endpoint},{key}" for key in attempts))
    server.stop(None)
    assert codes == [key.partition(":")[0] for key in attempts]
    assert refusing.keys == [key for key, times in attempts.items() for _ in range(times)]


def test_the_endpoint_decides_between_tls_and_plaintext(probe, plaintext_gateway, tls_gateway):
    plaintext, tls, ca = plaintext_gateway.endpoint, tls_gateway.endpoint, tls_gateway.ca
    port = plaintext.rpartition(":")[2]
    ended = {
        plaintext: "OK",
        f"localhost:{port}": "OK",
        f"http://{plaintext}": "OK",
        f"https://{plaintext}": "failed",
        # By its name it is not loopback.
        f"gateway.test:{port}": "failed",
        f"http://gateway.test:{port}": "OK",
        "unix:///socket": "not an endpoint",
    }
    with_ca = {tls: "OK", f"https://{tls}": "OK", f"http://{tls}": "failed", plaintext: "failed"}
    calls = [f"{endpoint},k" for endpoint in ended] + [f"{endpoint},k,{ca}" for endpoint in with_ca]
    # Some servers answer the wrong protocol, others close the connection.
    ended_as = ["failed" if code in ("UNAVAILABLE", "INTERNAL") else code for code in probe(*calls)]
    assert ended_as == [*ended.values(), *with_ca.values()]


def test_the_readme_leads_to_a_first_answer(version, check_snippet, tmp_path):
    artifacts = [maven.REPOSITORY, maven.settings(tmp_path / "settings")]
    folder = tmp_path / "empty"
    folder.mkdir()
    command = "java -XX:TieredStopAtLevel=1 -cp 'lib/*' Hello.java"
    assert command.replace("-XX:TieredStopAtLevel=1 ", "") in README.read_text()
    check_snippet("java", "java", "Hello.java", command, folder, artifacts, **maven.ENVIRONMENT)


@pytest.mark.parametrize("language", ["java", "kotlin"])
def test_the_program_asks_for_this_version(language, version):
    assert maven.version_of_example(language) == version


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_an_artifact_has_licence_readme_sources_and_no_rules(artifact, version):
    folder = maven.REPOSITORY / "ai/mountsea" / artifact / version
    classes = zipfile.ZipFile(folder / f"{artifact}-{version}.jar").namelist()
    sources = zipfile.ZipFile(folder / f"{artifact}-{version}-sources.jar").namelist()
    assert {"META-INF/LICENSE", "META-INF/README.md"} <= set(classes)
    assert any(name.endswith((".java", ".kt")) for name in sources)
    assert not any(name.startswith("buf/") for name in classes)


def test_two_builds_are_the_same(check_rebuild):
    check_rebuild("java")
