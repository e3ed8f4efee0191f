"""Generates the messages with the rules that protovalidate reads: `keep_rules.py PROTO_FOLDER OUT_FOLDER`.

Code that `buf generate` writes has no rules, since it would import the package buf.validate. A wheel with that package
would clash with the wheels of others. The options of a descriptor may have extensions that nothing imports, and
protovalidate finds its own there, so this removes the import alone.
"""

import pathlib
import sys
import tempfile

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

RULES = "buf/validate/validate.proto"


def run(*arguments: str) -> None:
    # grpcio-tools has Google's well-known types in a folder of its own.
    known = pathlib.Path(protoc.__file__).parent / "_proto"
    if protoc.main(["protoc", f"-I{known}", *arguments]) != 0:
        sys.exit("protoc failed")


def generate(protos: pathlib.Path, out: pathlib.Path) -> None:
    files = sorted(str(path.relative_to(protos)) for path in protos.glob("mountsea/gemini/v1/*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "set.binpb")
        run(f"-I{protos}", "--include_imports", f"--descriptor_set_out={path}", *files)
        descriptors = FileDescriptorSet.FromString(path.read_bytes())
        for file in descriptors.file:
            if RULES in file.dependency:
                file.dependency.remove(RULES)
        path.write_bytes(descriptors.SerializeToString())
        run(f"--descriptor_set_in={path}", f"--python_out={out}", *files)


if __name__ == "__main__":
    generate(*map(pathlib.Path, sys.argv[1:]))
