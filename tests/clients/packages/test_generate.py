"""What docs/clients.md says about generating code gives, from a fresh checkout, the code of the packages."""

import os
import pathlib
import shutil
import sys

import pytest

from processes import ROOT
from tour import run

HERE = pathlib.Path(__file__).parent
GENERATED = ROOT / "target/clients/gen"
CI = ROOT / "target/ci"
# In the order of clients/build. Java has a protoc of its own, which the other languages must not get.
FOLDERS = [CI / "plugins", CI / "plugins/node_modules/.bin", CI / "tools/node_modules/.bin", pathlib.Path(sys.executable).parent]
PATH = ":".join(map(str, [*FOLDERS, os.environ["PATH"], CI / "clients/java/bin"]))


@pytest.fixture
def checkout(tmp_path):
    """A copy of what git has of the contract, without anything that was generated."""
    for file in run("git", "ls-files", "-z", "buf.yaml", "buf.gen.yaml", "proto", cwd=ROOT).rstrip("\0").split("\0"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_buf_generate_gives_every_language_the_code_of_its_package(checkout):
    run("buf", "generate", cwd=checkout, PATH=PATH)
    languages = sorted(path.name for path in (checkout / "gen").iterdir())
    assert languages == ["cpp", "csharp", "go", "java", "php", "python", "ruby", "ts"]
    for language in languages:
        # Java's package is made with a newer protoc than Debian's.
        if language != "java":
            assert contents(checkout / "gen" / language) == contents(GENERATED / language), language


def test_go_code_can_be_generated_into_a_module_of_the_callers_own(checkout, plaintext_gateway):
    shutil.copy(ROOT / "examples/generate/go_module/buf.gen.yaml", checkout)
    run("buf", "generate", cwd=checkout, PATH=PATH)
    module = (ROOT / "clients/go/go.mod").read_text()
    (checkout / "go.mod").write_text(module.replace("github.com/mountsea/gemini-grpc/clients/go", "example.com/app"))
    shutil.copy(ROOT / "clients/go/go.sum", checkout)
    shutil.copy(HERE / "own_module/main.go", checkout)
    run("go", "build", "-mod=mod", "-o", "client", ".", cwd=checkout, GOFLAGS="-mod=mod", GOPROXY="off")
    assert "[sandbox]" in run(checkout / "client", plaintext_gateway.endpoint, plaintext_gateway.key)


def test_protoc_alone_generates_a_client(checkout):
    run("sh", ROOT / "examples/generate/protoc.sh", cwd=checkout, PATH=PATH)
    program = "from mountsea.gemini.v1.generative_service_pb2_grpc import GenerativeServiceStub; print(GenerativeServiceStub)"
    assert "GenerativeServiceStub" in run(sys.executable, "-c", program, PYTHONPATH=str(checkout / "gen"))
    assert (checkout / "gen/mountsea/gemini/v1/generative_service_pb2.pyi").is_file()
