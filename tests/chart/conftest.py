"""Makes helpers of the other suites importable: processes and certificates."""

import sys
from pathlib import Path

for suite in ("clients", "production"):
    sys.path.append(str(Path(__file__).parents[1] / suite))
