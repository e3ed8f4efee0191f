"""Generates, builds and runs a client in every language of buf.gen.yaml, from a fresh checkout."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from processes import ROOT

HERE = pathlib.Path(__file__).parent
CI = ROOT / "target/ci"
PLUGINS = CI / "plugins"


def run(*command, cwd=None, **environment):
    """The output of a command."""
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def generate(checkout, *paths):
    """Runs `buf generate` over a fresh checkout of these paths."""
    for file in run("git", "ls-files", "-z", *paths, cwd=ROOT).rstrip("\0").split("\0"):
        (checkout / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, checkout / file)
    folders = [PLUGINS, HERE / "node/node_modules/.bin", pathlib.Path(sys.executable).parent, os.environ["PATH"]]
    run(CI / "tools/node_modules/.bin/buf", "generate", cwd=checkout, PATH=":".join(map(str, folders)))
    return checkout / "gen"


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """The folder that `buf generate` writes, with one folder for each language."""
    return generate(tmp_path_factory.mktemp("checkout"), "buf.yaml", "buf.gen.yaml", "proto")


@pytest.fixture(scope="session")
def expected(gateway, generated):
    """The output that every client must print: that of the Python client, whose lines are checked here."""
    printed = run(sys.executable, HERE / "client.py", gateway, PYTHONPATH=str(generated / "python"))
    answer, stream, refused = printed.splitlines()
    assert answer.startswith("answer: ") and len(answer) > len("answer: ")
    assert stream.removeprefix("stream: ") == answer.removeprefix("answer: ")
    assert refused.startswith("refused: 3 ") and "contents" in refused
    return printed


def test_python_has_types_that_a_checker_accepts(generated, expected):
    folder = generated / "python"
    run(sys.executable, "-m", "mypy", "--strict", HERE / "client.py", cwd=folder, MYPYPATH=str(folder))


def test_go_builds_and_calls(gateway, generated, expected, tmp_path):
    shutil.copytree(HERE / "go", tmp_path, dirs_exist_ok=True)
    shutil.copytree(generated / "go", tmp_path / "clients/go")
    run("go", "build", "-mod=readonly", "-o", "client", ".", cwd=tmp_path)
    assert run(tmp_path / "client", gateway) == expected


def test_go_code_can_be_generated_into_the_callers_own_module(gateway, expected, tmp_path):
    page = (ROOT / "docs/clients.md").read_text()
    (tmp_path / "buf.gen.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    generate(tmp_path, "proto")
    module = (HERE / "go/go.mod").read_text().replace("module github.com/mountsea/gemini-grpc", "module example.com/app")
    (tmp_path / "go.mod").write_text(module)
    shutil.copy(HERE / "go/go.sum", tmp_path)
    program = (HERE / "go/main.go").read_text()
    (tmp_path / "main.go").write_text(program.replace("github.com/mountsea/gemini-grpc/clients/go", "example.com/app/gen"))
    run("go", "build", "-mod=readonly", "-o", "client", ".", cwd=tmp_path)
    assert run(tmp_path / "client", gateway) == expected


def test_java_compiles_and_calls(gateway, generated, expected, tmp_path):
    libraries = (PLUGINS / "classpath").read_text().strip()
    sources = [HERE / "java/Client.java", *sorted((generated / "java").rglob("*.java"))]
    run("javac", "-nowarn", "-d", tmp_path, "-cp", libraries, *sources)
    assert run("java", "-cp", f"{tmp_path}:{libraries}", "Client", gateway) == expected


def test_typescript_compiles_under_strict_and_calls(gateway, generated, expected, tmp_path):
    for file in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(HERE / "node" / file, tmp_path)
    (tmp_path / "node_modules").symlink_to(HERE / "node/node_modules")
    shutil.copytree(generated / "ts", tmp_path / "gen")
    run("node", "node_modules/typescript/bin/tsc", "--project", ".", cwd=tmp_path)
    assert run("node", "built/client.js", gateway, cwd=tmp_path) == expected


def test_ruby_loads_and_calls(gateway, generated, expected):
    for file in (generated / "ruby").rglob("*.rb"):
        run("ruby", "-c", file)
    assert run("ruby", "-I", generated / "ruby", HERE / "client.rb", gateway) == expected


def test_cpp_compiles_and_calls(gateway, generated, expected, tmp_path):
    sources = [HERE / "client.cc", *sorted((generated / "cpp").rglob("*.cc"))]
    objects = [tmp_path / f"{source.name}.o" for source in sources]
    include = f"-I{generated / 'cpp'}"
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source, out: run("g++", "-std=c++17", include, "-c", "-o", out, source), sources, objects))
    libraries = run("pkg-config", "--libs", "grpc++", "protobuf").split()
    run("g++", "-o", tmp_path / "client", *objects, *libraries)
    assert run(tmp_path / "client", gateway) == expected


def test_csharp_has_messages_and_a_client_class(generated):
    # .NET is not available from the registries that CI can reach, so this code is not compiled here.
    stub = (generated / "csharp/GenerativeServiceGrpc.cs").read_text()
    assert "namespace Mountsea.Gemini.V1 {" in stub
    assert "public partial class GenerativeServiceClient : grpc::ClientBase<GenerativeServiceClient>" in stub
    assert "class GenerateContentRequest" in (generated / "csharp/GenerativeService.cs").read_text()
