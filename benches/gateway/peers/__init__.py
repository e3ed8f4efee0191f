"""The gateways that the benchmark compares with gemini-grpc."""
