# Python messages, their types and the stub with protoc alone, in the folder that contains proto: `sh protoc.sh`.
mkdir -p gen
protoc --proto_path proto --python_out gen --pyi_out gen \
    --plugin "protoc-gen-grpc=$(command -v grpc_python_plugin)" --grpc_out gen \
    proto/mountsea/gemini/v1/*.proto proto/buf/validate/validate.proto
