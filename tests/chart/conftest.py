"""The tests of the chart use the processes and certificates of the other suites."""

import sys
from pathlib import Path

for suite in ("clients", "production"):
    sys.path.append(str(Path(__file__).parents[1] / suite))
