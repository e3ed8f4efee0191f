"""A gRPC server whose answers depend on the model, and which counts the attempts of each call."""

import collections
import concurrent.futures
import contextlib

import grpc

# A message with nothing in it.
EMPTY = b""
# How calls of a model end: with UNAVAILABLE and this pushback.
PUSHBACKS = {b"unavailable": "20", b"recovers": "20", b"hopeless": "-1", b"unreadable": "soon", b"distant": "60000"}


class Counting(grpc.GenericRpcHandler):
    """Answers GenerateContent and StreamGenerateContent. `attempts` has the number of them by model."""

    def __init__(self):
        self.attempts = collections.Counter()

    def service(self, details):
        if details.method.endswith("/StreamGenerateContent"):
            return grpc.unary_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request, context):
        # The model is the first field, with its length in one byte.
        model = request[2 : 2 + request[1]]
        self.attempts[model.decode()] += 1
        if model == b"recovers" and self.attempts["recovers"] == 2:
            return EMPTY
        if model in PUSHBACKS:
            context.set_trailing_metadata([("grpc-retry-pushback-ms", PUSHBACKS[model])])
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")

    def _stream(self, request, context):
        self.attempts["begun"] += 1
        yield EMPTY
        context.set_trailing_metadata([("grpc-retry-pushback-ms", "20")])
        context.abort(grpc.StatusCode.UNAVAILABLE, "broken")


# What a client with the retry policy must print for each model, and how often it must call.
MODELS = ["unavailable", "recovers", "hopeless", "unreadable", "exhausted", "begun"]
ENDS = ["UNAVAILABLE", "OK", "UNAVAILABLE", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "UNAVAILABLE"]
ATTEMPTS = {"unavailable": 3, "recovers": 2, "hopeless": 1, "unreadable": 1, "exhausted": 1, "begun": 1}


@contextlib.contextmanager
def counting_server():
    """The address of such a server, and the attempts that it has counted."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    counting = Counting()
    server.add_generic_rpc_handlers([counting])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", counting.attempts
    server.stop(None)
