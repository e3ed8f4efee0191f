"""Where the suites and readers of the other languages are, and how they are run."""

import os
import pathlib
import subprocess

from processes import ROOT

HERE = pathlib.Path(__file__).parent
BUILT = ROOT / "target/ci/sdk"
NODE = HERE / "node/node_modules/.bin/node"


def run(*command, cwd=None, **environment):
    """The output of a command."""
    environment = {**os.environ, **environment}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def classpath():
    """The libraries of the Java suite, and the suite itself."""
    return f"{BUILT / 'java'}:{(BUILT / 'classpath').read_text().strip()}"
