#!/usr/bin/env python3
"""Compares the contract with the descriptors in Google's own Python client.

    pip install grpcio-tools google-ai-generativelanguage==0.12.1
    python tests/contract/check.py

Both sides are walked in parallel, starting at the request and the response of each method of each
service. Our contract must have every field of Google's, with the same name, number, type, label,
presence, oneof and JSON name, and every value of Google's enums, with the same name and number. Fields
and values that only our contract has must use the numbers 10001-18999, so that they never take a number
of Google's. The output has one line for each mismatch, then a summary; exit code 1 if anything differs,
or if too little was compared.
"""

import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.ai import generativelanguage_v1beta as google
from google.protobuf import descriptor_pb2, descriptor_pool

PROTO = Path(__file__).resolve().parents[2] / "proto"
FILES = ["mountsea/gemini/v1/generative_service.proto", "mountsea/gemini/v1/model_service.proto"]
PACKAGE = "mountsea.gemini.v1"
SERVICES = ["GenerativeService", "ModelService"]
OUR_NUMBERS = range(10001, 19000)
# proto-plus, with which Google's Python client is built, loses the explicit JSON names of
# GenerationConfig. These are the names in Google's .proto file.
JSON_NAMES = {
    "GenerationConfig.response_json_schema": "_responseJsonSchema",
    "GenerationConfig.response_json_schema_ordered": "responseJsonSchema",
}
# With far fewer, the walk would be incomplete, and the check would prove nothing.
MIN_FIELDS, MIN_VALUES = 200, 80


def our_messages():
    """Compiles the contract into its own descriptor pool, and returns the messages of all methods by their names."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "contract.pb")
        well_known = files("grpc_tools") / "_proto"
        protoc = subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{well_known}",
             "--include_imports", f"--descriptor_set_out={out}", *FILES],
        )
        if protoc.returncode:
            sys.exit("contract: protoc cannot compile the contract")
        contract = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in contract.file:
        pool.AddSerializedFile(file.SerializeToString())
    services = [pool.FindServiceByName(f"{PACKAGE}.{service}") for service in SERVICES]
    methods = [method for service in services for method in service.methods]
    return {message.name: message for method in methods for message in (method.input_type, method.output_type)}


def plain(name):
    """A name without the underscore that proto-plus appends to names that Python reserves."""
    return name.rstrip("_")


def by_name(fields):
    return {plain(field.name): field for field in fields}


def traits(field, json_name):
    """The properties of a field on which the wire format, the JSON or generated code depends."""
    message = field.message_type
    well_known = message is not None and message.full_name.startswith("google.protobuf.")
    return {
        "number": field.number,
        "type": descriptor_pb2.FieldDescriptorProto.Type.Name(field.type),
        "well-known type": message.full_name if well_known else None,
        "repeated": field.is_repeated,
        "presence": field.has_presence,
        "oneof": plain(field.containing_oneof.name) if field.containing_oneof else None,
        "JSON name": json_name,
    }


class Walk:
    def __init__(self):
        self.seen, self.mismatches = set(), []
        self.fields = self.values = 0

    def messages(self, theirs, ours):
        if theirs.full_name in self.seen:
            return
        self.seen.add(theirs.full_name)
        their_fields, our_fields = by_name(theirs.fields), by_name(ours.fields)
        for name, their_field in their_fields.items():
            # The key and value of a map are compared, but not counted as fields.
            self.fields += not ours.GetOptions().map_entry
            where = f"{ours.full_name}.{name}"
            our_field = our_fields.get(name)
            if our_field is None:
                self.differ(where, "missing")
                continue
            json_name = JSON_NAMES.get(f"{theirs.name}.{name}", their_field.json_name)
            want, have = traits(their_field, json_name), traits(our_field, our_field.json_name)
            for trait, value in want.items():
                if have[trait] != value:
                    self.differ(where, f"{trait} is {have[trait]}, Google's is {value}")
            if their_field.enum_type is not None and our_field.enum_type is not None:
                self.enums(their_field.enum_type, our_field.enum_type)
            elif their_field.message_type is not None and our_field.message_type is not None:
                if want["well-known type"] is None:
                    self.messages(their_field.message_type, our_field.message_type)
        own = our_fields.keys() - their_fields.keys()
        self.own_numbers(ours, {name: our_fields[name].number for name in sorted(own)})

    def enums(self, theirs, ours):
        if theirs.full_name in self.seen:
            return
        self.seen.add(theirs.full_name)
        our_values = {value.name: value.number for value in ours.values}
        for value in theirs.values:
            self.values += 1
            have = our_values.pop(value.name, None)
            if have != value.number:
                where = f"{ours.full_name}.{value.name}"
                self.differ(where, f"number is {have}, Google's is {value.number}")
        self.own_numbers(ours, our_values)

    def own_numbers(self, owner, numbers):
        for name, number in numbers.items():
            if number not in OUR_NUMBERS:
                where = f"{owner.full_name}.{name}"
                self.differ(where, f"number is {number}, ours are {OUR_NUMBERS.start}-{OUR_NUMBERS.stop - 1}")

    def differ(self, where, how):
        self.mismatches.append(f"{where}: {how}")


def main():
    walk = Walk()
    for name, ours in our_messages().items():
        walk.messages(getattr(google, name).pb().DESCRIPTOR, ours)
    for line in walk.mismatches:
        print(line)
    compared = f"{walk.fields} fields and {walk.values} enum values compared with Google's"
    print(f"contract: {compared}, {len(walk.mismatches)} mismatches")
    if walk.fields < MIN_FIELDS or walk.values < MIN_VALUES:
        sys.exit(f"contract: expected at least {MIN_FIELDS} fields, {MIN_VALUES} values")
    sys.exit(1 if walk.mismatches else 0)


if __name__ == "__main__":
    main()
