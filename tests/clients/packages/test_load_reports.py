"""A real gRPC client of Go with `weighted_round_robin`, which chooses a gateway by the load that it reports."""

import json
import shutil

import pytest

from processes import ROOT, start_gateway
from test_go import BUILT, MODULE, OFFLINE
from tour import run

KEY = "a-callers-key"


@pytest.fixture
def gateways(sandbox):
    """The addresses of an idle and of a busy gateway."""
    flags = ["--upstream-url", sandbox, "--max-calls", "40", "--workers", "2", "--load-reports", "--drain-timeout", "1"]
    started = [start_gateway(*flags) for _ in range(2)]
    yield [address for _, address in started]
    for process, _ in started:
        assert process.stop() == 0


def test_calls_go_to_the_idle_gateway_and_trailers_have_its_load(gateways, tmp_path):
    module = shutil.copytree(ROOT / "tests/clients/packages/go", tmp_path / "go")
    run("go", "mod", "edit", "-replace", f"{MODULE}={BUILT}", cwd=module, **OFFLINE)
    run("go", "build", "-o", "built/", "./balance", cwd=module, **OFFLINE)
    found = json.loads(run(module / "built/balance", KEY, *gateways))
    assert found["idle"] >= 60, found
    busy = found["busy"]
    # 20 of 40 calls hang; those of the test come on top of them.
    assert 0.4 <= busy["utilization"] <= 1 and busy["utilization"] == busy["named"]["calls_in_flight"], found
    assert set(busy["named"]) == {"calls_in_flight", "bytes_held"} and 0 <= busy["named"]["bytes_held"] < 0.3, found
    assert busy["rps"] > 0 and busy["eps"] == 0, found
    assert busy["unknown"] == 0 and busy["cpu_and_request"] == 0, found
