"""The Maven artifacts of clients/java, as a user of Kotlin gets them."""

import pytest

import maven
from processes import ROOT

README = ROOT / "clients/kotlin/README.md"
IMPORTS = """\
import ai.mountsea.gemini.*
import ai.mountsea.gemini.v1.*
import ai.mountsea.gemini.v1.GenerativeServiceGrpcKt.GenerativeServiceCoroutineStub
import io.grpc.*
import java.io.File
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.flow.*

"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The commands of the program, built together with every block of the README."""
    maven.forget_artifacts()
    parameters = "gemini: GenerativeServiceCoroutineStub, request: GenerateContentRequest.Builder"
    blocks = maven.later_blocks(README.read_text(), "kotlin")
    functions = [f"suspend fun block{i}({parameters}) {{\n{block}}}\n\n" for i, block in enumerate(blocks)]
    text = IMPORTS + "".join(functions)
    return maven.build_example("kotlin", tmp_path_factory.mktemp("kotlin") / "example", {"Readme.kt": text})


def test_the_tour_prints_every_part(program, check_tour, tmp_path):
    check_tour(program("TourKt"), tmp_path, **maven.ENVIRONMENT)


def test_the_readme_leads_to_a_first_answer(program, check_snippet, tmp_path):
    artifacts = [maven.REPOSITORY, maven.settings(tmp_path / "settings")]
    folder = tmp_path / "empty"
    folder.mkdir()
    command = "mvn -q kotlin:compile && java -cp 'target/classes:lib/*' HelloKt"
    assert command in README.read_text()
    check_snippet("kotlin", "kotlin", "src/Hello.kt", command, folder, artifacts, **maven.ENVIRONMENT)
