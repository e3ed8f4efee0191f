"""`gemini-grpc contract` gives the same code as the repository."""

import os
import subprocess

import pytest

from processes import BINARY, ROOT

BUF = ROOT / "target/ci/tools/node_modules/.bin/buf"
# Where CI has the plugins of buf.gen.yaml.
PLUGINS = ["ci/plugins", "ci/plugins/node_modules/.bin", "ci/python/bin"]


def generated(folder, out):
    """What `buf generate` writes for the contract in a folder: the contents of files by their paths."""
    java = ROOT / "target/ci/clients/java/bin"
    path = ":".join([*(str(ROOT / "target" / plugins) for plugins in PLUGINS), os.environ["PATH"], str(java)])
    subprocess.run([BUF, "generate", "--output", out], cwd=folder, env={**os.environ, "PATH": path}, check=True)
    return {file.relative_to(out): file.read_bytes() for file in out.rglob("*") if file.is_file()}


@pytest.fixture
def written(tmp_path):
    """A folder that the command has written."""
    folder = tmp_path / "contract"
    subprocess.run([BINARY, "contract", "--out", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def test_the_written_contract_generates_the_code_of_the_repository(written, tmp_path):
    code = generated(written, tmp_path / "written")
    folders = {path.parts[1] for path in code}
    assert {"go", "python", "ts", "java", "csharp", "ruby", "cpp"} <= folders
    assert code == generated(ROOT, tmp_path / "repository")


def test_the_written_contract_is_that_of_the_repository(written):
    subprocess.run([BUF, "lint"], cwd=written, check=True)
    for against in ("contract.binpb", ROOT / "proto/released.binpb"):
        # protox and buf bring different releases of google/protobuf/descriptor.proto.
        subprocess.run([BUF, "breaking", "--exclude-imports", "--against", against], cwd=written, check=True)
