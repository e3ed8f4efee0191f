"""The C# library, as `clients/build csharp` packs it.

It is parsed and not compiled: .NET and NuGet are in no registry that CI can reach.
"""

import re
import xml.etree.ElementTree

import pytest
import tree_sitter
import tree_sitter_c_sharp

from conftest import first_block
from processes import ROOT
from tour import run

BUILT = ROOT / "target/clients/csharp"
EXAMPLE = ROOT / "examples/csharp"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The unpacked package."""
    folder = tmp_path_factory.mktemp("package")
    run("tar", "-xf", *BUILT.glob("*.tar.gz"), "-C", folder)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def generated(package):
    return "".join(file.read_text() for file in (package / "Generated").glob("*.cs"))


def errors(node):
    """The lines of a syntax tree at which the parser met something that is not C#."""
    if node.is_error or node.is_missing:
        yield node.start_point.row + 1
    elif node.has_error:
        for child in node.children:
            yield from errors(child)


def preprocess(text):
    """The code with the first branch of each #if, and empty lines in place of all else that is for the preprocessor."""
    lines, skips = [], False
    for line in text.splitlines():
        directive = re.match(r"\s*#(\w+)", line)
        if directive:
            skips = directive[1] == "else" or skips and directive[1] != "endif"
        lines.append("" if directive or skips else line)
    return "\n".join(lines)


def test_all_code_can_be_parsed(package):
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c_sharp.language()))
    snippet = first_block((ROOT / "clients/csharp/README.md").read_text(), "csharp")
    code = {str(file): file.read_text() for file in [*package.rglob("*.cs"), EXAMPLE / "Tour.cs"]}
    assert len(code) > 15
    for name, text in [*code.items(), ("README.md", snippet)]:
        found = list(errors(parser.parse(preprocess(text).encode()).root_node))
        assert not found, f"{name}: lines {found}"
    with pytest.raises(AssertionError):
        assert not list(errors(parser.parse(b"class A { int f( { } }").root_node))


def test_projects_are_valid(package):
    project = xml.etree.ElementTree.parse(package / "Mountsea.Gemini.csproj")
    assert project.findtext("PropertyGroup/Version") == run(ROOT / "clients/version").strip()
    xml.etree.ElementTree.parse(EXAMPLE / "Tour.csproj")


def test_the_program_names_only_members_that_were_generated(generated):
    program = (EXAMPLE / "Tour.cs").read_text()
    # What it constructs and reads of the contract, such as `new ImageConfig { ImageSize = "4K" }`.
    types = set(re.findall(r"new (\w+) \{", program)) - {"Struct"}
    assert len(types) > 7
    for name in types:
        assert f"class {name} : pb::IMessage<{name}>" in generated, name
    fields = set(re.findall(r"[{,] (\w+) = ", program)) | set(re.findall(r"\busage\.(\w+)", program))
    assert len(fields) > 10
    for name in fields - {"Fields"}:
        assert re.search(rf"public \S+ {name} {{", generated), name
    for method in set(re.findall(r"gemini\.(\w+)\(", program)):
        assert re.search(rf"public virtual grpc::Async\w+<\S+> {method}\(", generated), method


def test_two_builds_are_identical(check_rebuild):
    check_rebuild("csharp")
