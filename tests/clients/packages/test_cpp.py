"""The C++ library, as `clients/build cpp` packs it, with Debian's gRPC."""

import os

import pytest

from conftest import first_block
from processes import ROOT
from tour import run

BUILT = ROOT / "target/clients/cpp"
# Without optimization, with all cores.
CMAKE = {"CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count()), "CXXFLAGS": "-O0 -Wall -Werror"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory, check_snippet):
    """The folder into which the README's lines have installed the library, after its snippet has run."""
    folder, page = tmp_path_factory.mktemp("new-user"), tmp_path_factory.mktemp("page") / "CMakeLists.txt"
    page.write_text(first_block((ROOT / "clients/cpp/README.md").read_text(), "cmake"))
    build = 'cmake -S . -B first-build -DCMAKE_PREFIX_PATH="$PWD/installed" && cmake --build first-build'
    assert build in (ROOT / "clients/cpp/README.md").read_text()
    check_snippet("cpp", "cpp", "first.cc", f"{build} && first-build/first", folder, [*BUILT.glob("*.tar.gz"), page], **CMAKE)
    return folder / "installed"


def test_the_program_does_all_parts(installed, check_tour, tmp_path):
    build = tmp_path / "build"
    run("cmake", "-S", ROOT / "examples/cpp", "-B", build, f"-DCMAKE_PREFIX_PATH={installed}", **CMAKE)
    run("cmake", "--build", build, **CMAKE)
    check_tour([build / "tour"], tmp_path)


def test_two_builds_are_identical(check_rebuild):
    check_rebuild("cpp")
