"""During a flood, all other callers are answered, and the gateway keeps running."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import floods
import rest
from flooding import Flood
from google_client import SyncClient, request, text_of
from processes import start_gateway

# How many times another caller calls during a flood. It opens a new connection each time, so that it reaches every worker.
CALLS_DURING_FLOOD = 5
# When the test gives up; no limit on how long a call may take.
CALL_TIMEOUT = 60


@pytest.fixture(scope="module")
def flooded(sandbox):
    """The process and the address of a gateway that goes through all floods."""
    process, address = start_gateway("--upstream-url", sandbox, env={"MOUNTSEA_API_KEY": "a-key"})
    yield process, address
    assert process.stop() == 0


def make_calls(address):
    """Makes the calls of ordinary callers: a health check, and a generation over gRPC and REST."""
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=CALL_TIMEOUT)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    client = SyncClient(address)
    assert "[sandbox]" in text_of(client.generate(request("hello"), timeout=CALL_TIMEOUT))
    client.close()
    assert "[sandbox]" in rest.generate(address, timeout=CALL_TIMEOUT)


@pytest.mark.parametrize("kind", floods.FLOODS, ids=lambda kind: kind.__name__)
def test_other_callers_are_answered_during_a_flood(kind, flooded):
    process, address = flooded
    with Flood(kind, address) as flood:
        calls = 0
        while calls < CALLS_DURING_FLOOD or not flood.is_enough():
            make_calls(address)
            calls += 1
    output = "".join(process.output)
    assert process.process.poll() is None, output[-2000:]
    # The access log names the model of each call that was carried out.
    assert "gemini-2.5-flash" in output and "smuggled" not in output
