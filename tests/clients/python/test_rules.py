"""The rules of requests: the annotations of the contract and the checks of the gateway agree.

The messages are those of `gemini-grpc contract`, and protovalidate checks them as a client does before it sends them.
"""

import itertools
import random
import subprocess

import grpc
import protovalidate
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2, status_pb2

from processes import BINARY

SERVICES = {
    "GenerativeService": ["GenerateContent", "CountTokens", "EmbedContent", "BatchEmbedContents"],
    "ModelService": ["ListModels", "GetModel"],
}
PACKAGE = "mountsea.gemini.v1"
MODEL = "text-model"
PROMPT = {"parts": [{"text": "hi"}]}
LONGEST = "m" * 256
# A model name: what is refused, and what passes. A text model that the catalogue does not know has no rules of its own.
BAD_MODELS = ["", "models/", "a/b", "../admin", "a..b", ".", "a b", "tunedModels/x", "models/models/x", "gеmini", "a\n", "a%2f",
              LONGEST + "m", f"models/{LONGEST}m"]
GOOD_MODELS = [MODEL, f"models/{MODEL}", "a.b", ".a", "a.", "models/A_1-2.3", LONGEST, f"models/{LONGEST}"]
# The data of a part, as JSON: these begin as a data: URL and as base64 of a picture do, and then those that pass.
BAD_DATA = ["", "ZGF0YTppbWFnZS9wbmc=", "aVZCT1J3MEtHZ289", "LzlqLzRBQQ==", "UjBsR09E", "VWtsR1I="]
GOOD_DATA = ["iVBORw0KGgo=", "AAAA", "ZGF0YSBvZiBzb3J0cw=="]
NUMBERS = {
    "temperature": ([-0.1, 2.1, "NaN", "Infinity"], [0, 1, 2]),
    "topP": ([-0.1, 1.1, "NaN"], [0, 0.5, 1]),
    "candidateCount": ([0, -1], [1]),
    "maxOutputTokens": ([0, -5], [1, 100]),
}
# A part for each member of its data, and those that are valid without any.
GOOD_PARTS = [
    {"text": ""},
    {"functionCall": {"name": "f"}},
    {"functionResponse": {"name": "f", "response": {}}},
    {"fileData": {"fileUri": "https://example.com/a.png"}},
    {"executableCode": {"code": "1"}},
    {"codeExecutionResult": {"output": "1"}},
    {"toolCall": {"id": "1"}},
    {"toolResponse": {"id": "1"}},
    {"thoughtSignature": "AAAA"},
    {"additional_fields": {"newData": {}}},
]


class Contract:
    """The messages of a contract's descriptor set, in a pool of their own."""

    def __init__(self, descriptors):
        self.pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
            self.pool.AddSerializedFile(file.SerializeToString())
        self.methods = {
            name: self.pool.FindServiceByName(f"{PACKAGE}.{service}").methods_by_name[name]
            for service, names in SERVICES.items()
            for name in names
        }

    def message_class(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def request(self, method, json):
        return json_format.ParseDict(json, message_factory.GetMessageClass(self.methods[method].input_type)())

    def rules(self, descriptor, kind, options):
        """What `(buf.validate.message)` or `(buf.validate.field)` says."""
        mirrored = self.message_class(f"google.protobuf.{options}").FromString(descriptor.GetOptions().SerializeToString())
        return mirrored.Extensions[self.pool.FindExtensionByName(f"buf.validate.{kind}")]

    def annotated(self, message, path=(), above=()):
        """The rules of a message and of all that it contains, as the path of a field and the id of the rule."""
        own = self.rules(message, "message", "MessageOptions")
        yield from ((path, rule.id) for rule in own.cel)
        for field in message.fields:
            rules = self.rules(field, "field", "FieldOptions")
            here = (*path, field.name)
            if rules.ignore:
                continue
            if rules.required:
                yield here, "required"
            yield from ((here, rule.id) for rule in rules.cel)
            kind = rules.WhichOneof("type")
            if kind:
                limits = "_".join(sorted(limit.name for limit, _ in getattr(rules, kind).ListFields()))
                yield here, f"{kind}.{limits}"
            if field.message_type and field.message_type not in above:
                yield from self.annotated(field.message_type, here, (*above, message))


@pytest.fixture(scope="module")
def contract(tmp_path_factory):
    out = tmp_path_factory.mktemp("rules") / "contract"
    subprocess.run([BINARY, "contract", "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    return Contract((out / "contract.binpb").read_bytes())


@pytest.fixture(scope="module")
def refused(service):
    """The fields that the gateway names when it refuses a request; none if it passes it on."""
    with grpc.insecure_channel(service.removeprefix("http://")) as channel:

        def call(method, request):
            path = f"/{method.containing_service.full_name}/{method.name}"
            try:
                channel.unary_unary(path, request_serializer=lambda m: m.SerializeToString())(request, timeout=30)
            except grpc.RpcError as error:
                trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
                details = {detail.TypeName(): detail for detail in status_pb2.Status.FromString(trailer).details}
                info = error_details_pb2.ErrorInfo.FromString(details["google.rpc.ErrorInfo"].value)
                if info.reason != "REQUEST_INVALID":
                    # What the sandbox refuses has passed the gateway; so has a model that it does not list.
                    assert info.reason in ("UPSTREAM_REFUSED", "MODEL_NOT_FOUND"), error
                    return set()
                bad = error_details_pb2.BadRequest.FromString(details["google.rpc.BadRequest"].value)
                return {violation.field for violation in bad.field_violations}
            return set()

        yield call


def written(path):
    """A path of protovalidate as the gateway writes it, such as `contents[0].parts`."""
    names = (f"{part.field_name}[{part.subscript.value}]" if part.subscript else part.field_name for part in path)
    return ".".join(names)


def found(request):
    """What protovalidate finds: for each violation its path, the path without indexes, and the rule."""
    violations = [violation.proto for violation in protovalidate.collect_violations(request)]
    for violation in violations:
        path = violation.field.elements
        yield written(path), tuple(part.field_name for part in path), violation.rule_id


def prompt(*parts, **others):
    return {"model": MODEL, "contents": [{"parts": list(parts)}], **others}


def broken():
    """Requests that break one rule each."""
    for model in BAD_MODELS:
        yield "GenerateContent", {**prompt({"text": "hi"}), "model": model}
        yield "CountTokens", {"model": model, "contents": [PROMPT]}
        yield "EmbedContent", {"model": model, "content": PROMPT}
        yield "BatchEmbedContents", {"model": model, "requests": [{"content": PROMPT}]}
        yield "GetModel", {"name": model}
    yield "ListModels", {"pageSize": -1}
    yield "GenerateContent", {"model": MODEL}
    yield "GenerateContent", {"model": MODEL, "contents": [PROMPT, {}]}
    yield "GenerateContent", prompt({"text": "a"}, {})
    yield "GenerateContent", prompt({"inlineData": {"data": "AAAA"}})
    for data in BAD_DATA:
        yield "GenerateContent", prompt({"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": data}})
    for name, (bad, _) in NUMBERS.items():
        for value in bad:
            yield "GenerateContent", prompt({"text": "a"}, generationConfig={name: value})


def test_a_request_that_breaks_a_rule_is_refused_for_the_same_field_by_both(contract, refused):
    seen = set()
    for method, json in broken():
        request = contract.request(method, json)
        violations = list(found(request))
        assert len({path for path, _, _ in violations}) == 1, (method, json)
        assert refused(contract.methods[method], request) == {violations[0][0]}, (method, json)
        seen |= {(method, path, rule) for _, path, rule in violations}
    annotated = {
        (method, path, rule)
        for method, descriptor in contract.methods.items()
        for path, rule in contract.annotated(descriptor.input_type)
    }
    assert len(annotated) > 20
    assert seen == annotated, "a rule that no request here breaks"


def test_valid_requests_pass_both(contract, refused):
    models = [("GenerateContent", {**prompt({"text": "hi"}), "model": model}) for model in GOOD_MODELS]
    models += [("GetModel", {"name": model}) for model in GOOD_MODELS]
    parts = [("GenerateContent", prompt(part)) for part in GOOD_PARTS]
    data = [("GenerateContent", prompt({"inlineData": {"mimeType": "x", "data": data}})) for data in GOOD_DATA]
    numbers = [
        ("GenerateContent", prompt({"text": "a"}, generationConfig=dict(zip(NUMBERS, values))))
        for values in itertools.product(*(good for _, good in NUMBERS.values()))
    ]
    # What the annotations leave to the gateway and to upstream.
    others = [
        ("GenerateContent", prompt({"text": "a"}, systemInstruction={})),
        ("CountTokens", {"model": MODEL, "contents": [{}]}),
        ("CountTokens", {"model": MODEL, "generateContentRequest": {}}),
        ("EmbedContent", {"model": MODEL, "content": {}}),
        ("BatchEmbedContents", {"model": MODEL, "requests": [{"model": MODEL}, {}]}),
        ("ListModels", {}),
        ("ListModels", {"pageSize": 5000}),
    ]
    for method, json in models + parts + data + numbers + others:
        request = contract.request(method, json)
        assert list(found(request)) == [], (method, json)
        assert refused(contract.methods[method], request) == set(), (method, json)


def test_generated_requests_are_refused_for_the_same_fields_by_both(contract, refused):
    chosen = random.Random(17)

    def either(bad, good):
        return chosen.choice(bad if chosen.random() < 0.2 else good)

    def part():
        blob = {"mimeType": either([""], ["image/png"]), "data": either(BAD_DATA, GOOD_DATA)}
        return either([{}, {"thought": True}], [*GOOD_PARTS, {"inlineData": blob}])

    def generated():
        contents = [{"parts": [part() for _ in range(either([0], [1, 2]))]} for _ in range(either([0], [1, 2]))]
        config = {name: either(*values) for name, values in NUMBERS.items() if chosen.random() < 0.5}
        return {"model": either(BAD_MODELS, GOOD_MODELS), "contents": contents, "generationConfig": config}

    passed = 0
    for _ in range(400):
        json = generated()
        request = contract.request("GenerateContent", json)
        fields = {path for path, _, _ in found(request)}
        assert refused(contract.methods["GenerateContent"], request) == fields, json
        passed += not fields
    assert 40 < passed < 360
