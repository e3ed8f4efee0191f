"""What `buf breaking` says about changes of the contract, compared with the released one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parents[2]
RELEASED = ROOT / "proto/released.binpb"
SERVICE = "generative_service.proto"
CONFIG = "generation_config.proto"


def breaking(folder):
    """Compares the contract in a folder with the released one, and returns what breaks clients."""
    command = [ROOT / "target/ci/tools/node_modules/.bin/buf", "breaking", "--exclude-imports", "--against", RELEASED]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.stderr == "" and (ended.returncode == 0) == (ended.stdout == ""), ended
    return ended.stdout


@pytest.fixture
def changed(tmp_path):
    """Changes a file of a copy of the contract, and returns what that breaks."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copy(ROOT / "buf.yaml", tmp_path)

    def change(name, pattern, replacement):
        file = tmp_path / "proto/mountsea/gemini/v1" / name
        text, count = re.subn(pattern, replacement, file.read_text(), count=1)
        assert count == 1, pattern
        file.write_text(text)
        return breaking(tmp_path)

    return change


def test_the_contract_is_compatible_with_the_released_one():
    assert breaking(ROOT) == ""


def test_the_released_contract_has_our_services():
    files = descriptor_pb2.FileDescriptorSet.FromString(RELEASED.read_bytes()).file
    services = {f"{file.package}.{service.name}" for file in files for service in file.service}
    assert {"mountsea.gemini.v1.GenerativeService", "mountsea.gemini.v1.ModelService"} <= services


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "says"),
    [
        (CONFIG, r"int32 top_k = 7;", "int32 top_k = 9;", '"top_k"'),
        (CONFIG, r"int32 seed = 8;", "int64 seed = 8;", '"seed"'),
        (CONFIG, r"int32 seed = 8;", "int32 random_seed = 8;", '"seed"'),
        (CONFIG, r"optional int32 seed = 8;", "int32 seed = 8;", '"seed"'),
        (CONFIG, r"\n  optional int32 seed = 8;", "", '"seed"'),
        (CONFIG, r'json_name = "_responseJsonSchema"', 'json_name = "other"', '"response_json_schema"'),
        (SERVICE, r"    flex = 10002;", "    flex = 10004;", '"ServiceTier"'),
        (SERVICE, r"  rpc CountTokens\(.*", "", '"CountTokens"'),
        (SERVICE, r"clients/go/", "gen/go/", "go_package"),
    ],
)
def test_a_change_that_breaks_clients_is_named(changed, name, pattern, replacement, says):
    assert says in changed(name, pattern, replacement)


@pytest.mark.parametrize(
    ("name", "pattern", "replacement"),
    [
        (CONFIG, r"(optional int32 seed = 8;)", r"\1 optional int32 new_field = 10999;"),
        (SERVICE, r"(    flex = 10002;)", r"\1 quick = 10999;"),
        (SERVICE, r"(  rpc CountTokens\(.*)", r"\1 rpc New(CountTokensRequest) returns (CountTokensResponse);"),
        (CONFIG, r" \[\(buf.validate.field\).int32.gte = 1\]", ""),
    ],
)
def test_what_may_change_breaks_nothing(changed, name, pattern, replacement):
    assert changed(name, pattern, replacement) == ""
