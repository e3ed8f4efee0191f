"""The composer package, as `clients/build php` packs it.

It makes no call: the extension grpc is in no registry that CI can reach.
"""

import pytest

from conftest import first_block
from processes import ROOT
from tour import run

BUILT = ROOT / "target/clients/php"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The unpacked package."""
    folder = tmp_path_factory.mktemp("package")
    run("tar", "-xf", *BUILT.glob("*.tar.gz"), "-C", folder)
    return next(folder.iterdir())


def test_the_snippet_is_valid(tmp_path):
    snippet = tmp_path / "first.php"
    snippet.write_text(first_block((ROOT / "clients/php/README.md").read_text(), "php"))
    run("php", "-n", "-l", snippet)


def test_all_classes_load_and_errors_are_explained(package, tmp_path):
    protos = [f"google/rpc/{name}.proto" for name in ("code", "error_details", "status")]
    run("protoc", "-I", ROOT / "proto", f"--php_out={tmp_path}", *protos)
    # All errors but deprecations: Debian's protobuf has some for its PHP.
    settings = ["-d", "error_reporting=24575", "-d", "display_errors=1"]
    printed = run("php", *settings, ROOT / "tests/clients/packages/load.php", package, tmp_path)
    loaded, copied, explained = printed.splitlines()
    assert int(loaded.removeprefix("loaded: ")) == len(list(package.rglob("*.php"))) > 150
    assert copied == "copied: hello"
    assert explained == "explained: INVALID_ARGUMENT, REQUEST_INVALID, a.b: too high, 3.5, id"


def test_two_builds_are_identical(check_rebuild):
    check_rebuild("php")
