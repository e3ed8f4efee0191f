"""Makes helpers of the other suites importable, and has the options of this one."""

import os
import sys
from pathlib import Path

import pytest

for suite in ("clients", "production"):
    sys.path.append(str(Path(__file__).parents[1] / suite))
# Everything runs on this machine, so no client may use a proxy.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"


def pytest_addoption(parser):
    parser.addoption("--judge-times", action="store_true", help="also judge how long calls take: not on a busy machine")
    parser.addoption("--seconds", type=float, default=120, help="how long calls are offered to limits that are shared")


@pytest.fixture(scope="session")
def judge_times(request):
    return request.config.getoption("--judge-times")


@pytest.fixture(scope="session")
def seconds(request):
    return request.config.getoption("--seconds")
