"""While a caller means harm, all others are answered, and the gateway lives."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import floods
from flooding import Flood
from google_client import SyncClient, request, text_of
from processes import start_gateway

# So often another caller comes while a flood goes on. Each time it connects anew, so that it meets every worker.
CALLS = 5
# Not how long it may take, but when the test gives up.
PATIENCE = 60


@pytest.fixture(scope="module")
def flooded(sandbox):
    """The process and the address of a gateway that has to go through all of it."""
    process, address = start_gateway("--upstream-url", sandbox, env={"MOUNTSEA_API_KEY": "a-key"})
    yield process, address
    assert process.stop() == 0


def ask(address):
    """What an ordinary caller does."""
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    client = SyncClient(address)
    assert "[sandbox]" in text_of(client.generate(request("hello"), timeout=PATIENCE))
    client.close()


@pytest.mark.parametrize("kind", floods.FLOODS, ids=lambda kind: kind.__name__)
def test_others_are_answered_during(kind, flooded):
    process, address = flooded
    with Flood(kind, address) as flood:
        asked = 0
        while asked < CALLS or not flood.is_enough():
            ask(address)
            asked += 1
    assert process.process.poll() is None, "".join(process.output[-20:])
