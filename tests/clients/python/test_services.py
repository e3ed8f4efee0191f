"""Health, reflection, and a client that is generated from our own contract."""

import subprocess
import sys

import grpc
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from processes import ROOT

SERVICES = {
    "google.ai.generativelanguage.v1.GenerativeService",
    "google.ai.generativelanguage.v1beta.GenerativeService",
    "mountsea.gemini.v1.GenerativeService",
    "google.ai.generativelanguage.v1.ModelService",
    "google.ai.generativelanguage.v1beta.ModelService",
    "mountsea.gemini.v1.ModelService",
}


@pytest.fixture
def channel(gateway):
    with grpc.insecure_channel(gateway, options=[("grpc.max_receive_message_length", 64 << 20)]) as channel:
        yield channel


def test_health_answers_for_every_service_and_for_the_server(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in SERVICES | {""}:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert SERVICES <= set(stub.List(health_pb2.HealthListRequest()).statuses)


def test_health_does_not_know_other_services(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="unknown.Service"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="unknown.Service"))
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_reflection_lists_all_services(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    answers = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    names = {service.name for service in next(answers).list_services_response.service}
    assert SERVICES | {"grpc.health.v1.Health"} <= names


@pytest.fixture(scope="session")
def contract(tmp_path_factory):
    """The compiled modules of our contract: messages and stubs."""
    # In the same process as Google's own, as a caller has them that migrates from one to the other.
    from google.ai import generativelanguage_v1beta  # noqa: F401

    out = tmp_path_factory.mktemp("contract")
    folders = [ROOT / "proto/mountsea", ROOT / "proto/buf"]
    protos = sorted(str(path) for folder in folders for path in folder.rglob("*.proto"))
    arguments = [f"-I{ROOT / 'proto'}", f"--python_out={out}", f"--grpc_python_out={out}", *protos]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True)
    sys.path.insert(0, str(out))
    from mountsea.gemini.v1 import generative_service_pb2, generative_service_pb2_grpc

    return generative_service_pb2, generative_service_pb2_grpc


def test_our_own_contract_has_fields_that_googles_lacks(channel, contract):
    messages, services = contract
    stub = services.GenerativeServiceStub(channel)
    config = {
        "imageConfig": {"imageSize": "2K"},
        "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True},
    }
    message = messages.GenerateContentRequest(model="gemini-3-pro-image-preview")
    message.contents.add().parts.add().text = "a lighthouse"
    json_format.ParseDict(config, message.generation_config)
    message.additional_fields["somethingNew"] = 5

    answer, call = stub.GenerateContent.with_call(message, metadata=[("x-request-id", "ticket-7")])
    assert ("x-request-id", "ticket-7") in call.initial_metadata()
    parts = answer.candidates[0].content.parts
    assert parts[0].thought and answer.usage_metadata.thoughts_token_count > 0
    picture = next(part.inline_data.data for part in parts if part.inline_data.data and not part.thought)
    assert picture[16:24] == (2048).to_bytes(4, "big") * 2


def test_members_that_the_contract_does_not_have_are_passed_on(channel, contract):
    messages, services = contract
    stub = services.GenerativeServiceStub(channel)

    def generate(model):
        message = messages.GenerateContentRequest(model=model)
        message.contents.add().parts.add().text = "hi"
        return stub.GenerateContent(message)

    answer = generate("sandbox-unknown-fields")
    assert answer.additional_fields["sandboxNews"]["alpha"] == 2.5
    assert answer.candidates[0].content.parts[0].additional_fields["sandboxPart"] is True
    candidate = generate("sandbox-unknown-enum").candidates[0]
    assert candidate.finish_reason == 0 and candidate.additional_fields["finishReason"] == "SANDBOX_TIRED"
