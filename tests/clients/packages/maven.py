"""Maven offline, with what clients/java/install has downloaded and the artifacts that clients/build has made."""

import re
import shutil

from processes import ROOT
from tour import run

REPOSITORY = ROOT / "target/clients/java/repository"
LOCAL = ROOT / "target/ci/clients/java/maven"
# Without an escape sequence before and after the output, and without a compiler that stays behind as a daemon.
ENVIRONMENT = {"MAVEN_OPTS": "-Djansi.noreset=true -Dkotlin.compiler.daemon=false -XX:TieredStopAtLevel=1"}
OFFLINE = ["--offline", "-Daether.offline.protocols=file", f"-Dmaven.repo.local={LOCAL}"]
MAVEN = ["mvn", "--quiet", "--batch-mode", *OFFLINE]


def forget_artifacts():
    """Maven keeps what it has once installed, although a build may have changed it since."""
    shutil.rmtree(LOCAL / "ai/mountsea", ignore_errors=True)


def settings(folder):
    """A folder `.mvn` with these options for each call of Maven next to it."""
    folder = folder / ".mvn"
    folder.mkdir(parents=True)
    (folder / "maven.config").write_text("\n".join(OFFLINE))
    return folder


def build_example(language, folder, extra):
    """Builds the program of examples/ with one more file, and returns the command that runs a class of it."""
    shutil.copytree(ROOT / "examples" / language, folder)
    for name, text in extra.items():
        (folder / name).write_text(text)
    common = [*MAVEN, "--file", folder / "pom.xml", f"-Dgemini.repository=file:{REPOSITORY}"]
    run(*common, "compile", **ENVIRONMENT)
    # Maven takes the arguments of the program in one option.
    maven = " ".join(map(str, common))
    script = f'main=$1; shift; exec {maven} -Dexec.mainClass=$main exec:java -Dexec.args="$*"'
    return lambda main: ["sh", "-c", script, "sh", main]


def version_of_example(language):
    return re.search("<gemini.version>(.*)</gemini.version>", (ROOT / f"examples/{language}/pom.xml").read_text())[1]


def later_blocks(page, language):
    """The code blocks of a README after the first one, and without the one for tracing, whose library is not installed."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [block for block in blocks[1:] if "GrpcTelemetry" not in block]
