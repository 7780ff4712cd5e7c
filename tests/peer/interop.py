"""gRPC's interoperability cases in Python, both sides: what grpcio's own package of them holds is not to be had.
Source: doc/interop-test-descriptions.md of gRPC; service and messages are grpc.testing's."""
import time
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "grpc.testing.TestService"
FIRST, LAST = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
INT32, BOOL, BYTES, STRING, MESSAGE = 5, 8, 12, 9, 11

_MESSAGES = {  # name: [(field, number, kind or message, repeated)]
    "Empty": [],
    "BoolValue": [("value", 1, BOOL, False)],
    "Payload": [("type", 1, INT32, False), ("body", 2, BYTES, False)],
    "EchoStatus": [("code", 1, INT32, False), ("message", 2, STRING, False)],
    "ResponseParameters": [("size", 1, INT32, False), ("interval_us", 2, INT32, False)],
    "SimpleRequest": [("response_type", 1, INT32, False), ("response_size", 2, INT32, False),
                      ("payload", 3, "Payload", False), ("response_status", 7, "EchoStatus", False)],
    "SimpleResponse": [("payload", 1, "Payload", False)],
    "StreamingInputCallRequest": [("payload", 1, "Payload", False)],
    "StreamingInputCallResponse": [("aggregated_payload_size", 1, INT32, False)],
    "StreamingOutputCallRequest": [("response_type", 1, INT32, False),
                                   ("response_parameters", 2, "ResponseParameters", True),
                                   ("payload", 3, "Payload", False), ("response_status", 7, "EchoStatus", False)],
    "StreamingOutputCallResponse": [("payload", 1, "Payload", False)],
}


def _classes():
    f = descriptor_pb2.FileDescriptorProto(name="interop.proto", package="grpc.testing", syntax="proto3")
    for name, fields in _MESSAGES.items():
        m = f.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            d = m.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                d.type, d.type_name = MESSAGE, ".grpc.testing." + kind
            else:
                d.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(f)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName("grpc.testing." + n)) for n in _MESSAGES}


M = _classes()

METHODS = {  # name: (request streams, response streams, request, response)
    "EmptyCall": (False, False, "Empty", "Empty"),
    "UnaryCall": (False, False, "SimpleRequest", "SimpleResponse"),
    "StreamingInputCall": (True, False, "StreamingInputCallRequest", "StreamingInputCallResponse"),
    "StreamingOutputCall": (False, True, "StreamingOutputCallRequest", "StreamingOutputCallResponse"),
    "FullDuplexCall": (True, True, "StreamingOutputCallRequest", "StreamingOutputCallResponse"),
}
KIND = {(False, False): "unary_unary", (True, False): "stream_unary", (False, True): "unary_stream",
        (True, True): "stream_stream"}


# ---- the server

def _echo_metadata(context):
    told = dict(context.invocation_metadata())
    if FIRST in told:
        context.send_initial_metadata(((FIRST, told[FIRST]),))
    if LAST in told:
        context.set_trailing_metadata(((LAST, told[LAST]),))


def _fail_as_asked(request, context):
    if request.HasField("response_status"):
        code = next(c for c in grpc.StatusCode if c.value[0] == request.response_status.code)
        context.abort(code, request.response_status.message)


def _payload(size):
    return M["Payload"](body=bytes(size))


def _empty(request, context):
    return M["Empty"]()


def _unary(request, context):
    _echo_metadata(context)
    _fail_as_asked(request, context)
    return M["SimpleResponse"](payload=_payload(request.response_size))


def _input(requests, context):
    return M["StreamingInputCallResponse"](aggregated_payload_size=sum(len(r.payload.body) for r in requests))


def _answers(request):
    for p in request.response_parameters:
        if p.interval_us:
            time.sleep(p.interval_us / 1e6)
        yield M["StreamingOutputCallResponse"](payload=_payload(p.size))


def _output(request, context):
    yield from _answers(request)


def _both(requests, context):
    _echo_metadata(context)
    for request in requests:
        _fail_as_asked(request, context)
        yield from _answers(request)


class Server:
    def __init__(self):
        handlers = {}
        for (name, (up, down, req, res)), act in zip(METHODS.items(), (_empty, _unary, _input, _output, _both)):
            handlers[name] = getattr(grpc, KIND[up, down] + "_rpc_method_handler")(
                act, M[req].FromString, M[res].SerializeToString)
        self._server = grpc.server(futures.ThreadPoolExecutor(16))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def close(self):
        self._server.stop(0).wait(5)


# ---- the client: one function a case

class Client:
    def __init__(self, port):
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        for name, (up, down, req, res) in METHODS.items():
            setattr(self, name, getattr(self._channel, KIND[up, down])(
                f"/{SERVICE}/{name}", M[req].SerializeToString, M[res].FromString))
        self._timeout = {"timeout": 20}

    def close(self):
        self._channel.close()

    def empty_unary(self):
        assert self.EmptyCall(M["Empty"](), **self._timeout) == M["Empty"]()

    def large_unary(self):
        r = self.UnaryCall(M["SimpleRequest"](response_size=314159, payload=_payload(271828)), **self._timeout)
        assert len(r.payload.body) == 314159

    def client_streaming(self):
        asked = (M["StreamingInputCallRequest"](payload=_payload(n)) for n in (27182, 8, 1828, 45904))
        assert self.StreamingInputCall(asked, **self._timeout).aggregated_payload_size == 74922

    def server_streaming(self):
        sizes = [31415, 9, 2653, 58979]
        asked = M["StreamingOutputCallRequest"](response_parameters=[M["ResponseParameters"](size=n) for n in sizes])
        assert [len(r.payload.body) for r in self.StreamingOutputCall(asked, **self._timeout)] == sizes

    def _ask(self, size, payload):
        return M["StreamingOutputCallRequest"](response_parameters=[M["ResponseParameters"](size=size)],
                                               payload=_payload(payload))

    def ping_pong(self):
        pairs = [(31415, 27182), (9, 8), (2653, 1828), (58979, 45904)]
        got = []

        def asked():
            for i, (size, payload) in enumerate(pairs):
                while len(got) < i:
                    time.sleep(0.001)
                yield self._ask(size, payload)
        for r in self.FullDuplexCall(asked(), **self._timeout):
            got.append(len(r.payload.body))
        assert got == [size for size, _ in pairs]

    def empty_stream(self):
        assert not list(self.FullDuplexCall(iter(()), **self._timeout))

    def timeout_on_sleeping_server(self):
        def slow():
            yield M["StreamingOutputCallRequest"](payload=_payload(27182))
            time.sleep(0.3)
        _ends(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(self.FullDuplexCall(slow(), timeout=0.001)))

    def cancel_after_begin(self):
        call = self.StreamingInputCall.future(_pause(), **self._timeout)
        call.cancel()
        assert call.cancelled() and call.code() == grpc.StatusCode.CANCELLED

    def cancel_after_first_response(self):
        def asked():
            yield self._ask(31415, 27182)
            yield from _pause()
        call = self.FullDuplexCall(asked(), **self._timeout)
        assert len(next(call).payload.body) == 31415
        call.cancel()
        _ends(grpc.StatusCode.CANCELLED, lambda: next(call))

    def status_code_and_message(self, said="test status message"):
        asked = M["EchoStatus"](code=2, message=said)
        _ends(grpc.StatusCode.UNKNOWN,
              lambda: self.UnaryCall(M["SimpleRequest"](response_status=asked), **self._timeout), said)
        if said == "test status message":
            stream = M["StreamingOutputCallRequest"](response_status=asked)
            _ends(grpc.StatusCode.UNKNOWN, lambda: list(self.FullDuplexCall(iter([stream]), **self._timeout)), said)

    def special_status_message(self):
        self.status_code_and_message("\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n")

    def custom_metadata(self):
        sent = ((FIRST, "test_initial_metadata_value"), (LAST, b"\xab\xab\xab"))
        asked = M["SimpleRequest"](response_size=314159, payload=_payload(271828))
        answer, call = self.UnaryCall.with_call(asked, metadata=sent, **self._timeout)
        assert len(answer.payload.body) == 314159 and _has(call, sent)
        call = self.FullDuplexCall(iter([self._ask(1, 1)]), metadata=sent, **self._timeout)
        assert len(list(call)) == 1 and _has(call, sent)

    def _unimplemented(self, path):
        _ends(grpc.StatusCode.UNIMPLEMENTED, lambda: self._channel.unary_unary(path)(b"", **self._timeout))

    def unimplemented_method(self):
        self._unimplemented(f"/{SERVICE}/UnimplementedCall")

    def unimplemented_service(self):
        self._unimplemented("/grpc.testing.UnimplementedService/UnimplementedCall")


CASES = ("empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
         "timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message",
         "special_status_message", "custom_metadata", "unimplemented_method", "unimplemented_service")


def _pause():
    """A request stream that sends nothing for a while."""
    time.sleep(0.2)
    yield from ()


def _has(call, sent):
    return sent[0] in call.initial_metadata() and sent[1] in call.trailing_metadata()


def _ends(code, call, details=None):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} {error.details()}"
        assert details is None or error.details() == details, repr(error.details())
        return
    raise AssertionError(f"no {code}")
