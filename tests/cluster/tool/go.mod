module gemini-grpc/tests/cluster/tool

go 1.25.0
