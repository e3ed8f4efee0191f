"""The Maven artifacts of clients/java, as a user of Java gets them."""

import zipfile

import pytest

import maven
from processes import ROOT
from tour import run

README = ROOT / "clients/java/README.md"
ARTIFACTS = ["gemini-messages", "gemini-grpc-java", "gemini-grpc-kotlin"]


@pytest.fixture(scope="module")
def version():
    maven.forget_artifacts()
    return run(ROOT / "clients/version").strip()


@pytest.fixture(scope="module")
def program(version, tmp_path_factory):
    """The command of the program, built together with every block of the README."""
    imports = "import ai.mountsea.gemini.*; import ai.mountsea.gemini.v1.*; import io.grpc.*; import java.io.File;"
    parameters = "GenerativeServiceGrpc.GenerativeServiceBlockingStub gemini, GenerateContentRequest.Builder request"
    blocks = maven.later_blocks(README.read_text(), "java")
    methods = [f"void block{i}({parameters}) throws Exception {{\n{block}}}\n" for i, block in enumerate(blocks)]
    text = f"{imports} import java.util.concurrent.TimeUnit;\nclass Readme {{\n{''.join(methods)}}}\n"
    return maven.build_example("java", tmp_path_factory.mktemp("java") / "example", {"Readme.java": text})


def test_the_tour_prints_every_part(program, check_tour, tmp_path):
    check_tour(program, tmp_path, **maven.ENVIRONMENT)


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
