"""The lines of examples/grpcurl.sh, as the pages show them."""

import base64
import json
import os
import shutil

from processes import BINARY, ROOT
from tour import DEFAULT_LIMIT, run

# .ci/run builds it.
PATH = f"{ROOT / 'target/ci/bin'}:{os.environ['PATH']}"


def test_every_line_works(plaintext_gateway, tls_gateway, tmp_path):
    lines = (ROOT / "examples/grpcurl.sh").read_text()
    for name, value in (
        ("localhost:50051", plaintext_gateway.endpoint),
        ("localhost:50052", tls_gateway.endpoint),
        ("KEY", plaintext_gateway.key),
    ):
        assert name in lines
        lines = lines.replace(name, value)
    shutil.copy(tls_gateway.ca, tmp_path / "ca.pem")
    run(BINARY, "contract", "--out", tmp_path / "contract")
    printed = run("bash", "-euc", lines, cwd=tmp_path, PATH=PATH)
    for expected in ("rpc StreamGenerateContent", '"generationConfig": {', "[sandbox] ", '"name": "models/gemini-2.5-flash"'):
        assert expected in printed, printed
    answer = json.loads((tmp_path / "answer.json").read_text())
    pictures = [part["inlineData"] for part in answer["candidates"][0]["content"]["parts"] if "inlineData" in part]
    assert len(base64.b64decode(pictures[0]["data"])) > DEFAULT_LIMIT


def test_the_line_of_the_readme_works(plaintext_gateway):
    page = (ROOT / "README.md").read_text()
    line = page[page.index("grpcurl -plaintext") :].split("```")[0]
    key = f"-H 'x-goog-api-key: {plaintext_gateway.key}'"
    command = line.replace("127.0.0.1:50051", plaintext_gateway.endpoint).replace("-plaintext", f"-plaintext {key}")
    assert "[sandbox] " in run("bash", "-euc", command, PATH=PATH)
