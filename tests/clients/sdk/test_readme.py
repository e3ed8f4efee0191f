"""The lines that README.md shows for each SDK, run as they are."""

import re
import sys

import pytest

from commands import HERE, NODE, classpath, run
from processes import ROOT

BASE_URL = "http://localhost:50051"

GO = """package main

import (
	"context"
	"fmt"

	"google.golang.org/genai"
)

func main() {{
	ctx := context.Background()
	{}
	if err != nil {{
		panic(err)
	}}
	fmt.Println(answer.Text())
}}
"""

JAVA = """import com.google.genai.Client;
import com.google.genai.types.HttpOptions;

class Readme {{
  public static void main(String[] arguments) {{
    {}
  }}
}}
"""


@pytest.fixture
def lines(service):
    """The lines of a language, for the address of the service."""

    def of(language):
        [row] = re.findall(rf"^\| {language}, `[^`]+` \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
        code = "\n".join(re.findall("`([^`]+)`", row))
        assert code.count("\n") == 1 and code.count(BASE_URL) == 1, code
        return code.replace(BASE_URL, service)

    return of


def test_python(lines):
    assert "[sandbox]" in run(sys.executable, "-c", "from google import genai\n" + lines("Python"))


def test_javascript(lines):
    code = "import { GoogleGenAI } from '@google/genai';\n" + lines("JavaScript")
    assert "[sandbox]" in run(NODE, "--input-type=module", "--eval", code, cwd=HERE / "node")


def test_go(lines, tmp_path):
    program = tmp_path / "main.go"
    program.write_text(GO.format(lines("Go")))
    assert "[sandbox]" in run("go", "run", "-C", HERE / "go", "-mod=readonly", program)


def test_java(lines, tmp_path):
    program = tmp_path / "Readme.java"
    program.write_text(JAVA.format(lines("Java")))
    assert "[sandbox]" in run("java", "-cp", classpath(), program)
