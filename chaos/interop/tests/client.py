"""The public interoperability cases of gRPC, as far as they fit; prints a line for each that passes."""

import sys
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ADDRESS, TESTING, REFLECTION = sys.argv[1:4]
ECHOED, ECHOED_LAST = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
DETAILS = "grpc-status-details-bin"

pool = descriptor_pool.DescriptorPool()
for path in (TESTING, REFLECTION):
    with open(path, "rb") as file:
        for one in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
            pool.Add(one)


def message(name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def method(channel, service, name):
    described = pool.FindServiceByName(service).FindMethodByName(name)
    kind = ("stream" if described.client_streaming else "unary") + "_"
    kind += "stream" if described.server_streaming else "unary"
    answer = message_factory.GetMessageClass(described.output_type)
    call = getattr(channel, kind)(
        f"/{service}/{name}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return call


def testing(name):
    return message("grpc.testing." + name)


Empty, Simple = testing("Empty"), testing("SimpleRequest")
Output, Input = testing("StreamingOutputCallRequest"), testing("StreamingInputCallRequest")

options = [("grpc.max_receive_message_length", 4 << 20)]
channel = grpc.insecure_channel(ADDRESS, options=options)
SERVICE = "grpc.testing.TestService"
empty_call, unary_call, output_call, input_call, duplex_call = (
    method(channel, SERVICE, name)
    for name in ("EmptyCall", "UnaryCall", "StreamingOutputCall", "StreamingInputCall", "FullDuplexCall")
)

SENT, ANSWERED = [27182, 8, 1828, 45904], [31415, 9, 2653, 58979]


def payload(size):
    return {"body": bytes(size)}


def output(*sizes, sent=0, interval_us=0):
    asked = [{"size": size, "interval_us": interval_us} for size in sizes]
    return Output(response_parameters=asked, payload=payload(sent))


def refused(call, code):
    try:
        answer = call()
        if not hasattr(answer, "SerializeToString"):
            list(answer)
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error
    raise AssertionError(f"{code} was expected")


def detailed(error):
    """What google.rpc.Status says in the trailing metadata: its code, and that there is an ErrorInfo."""
    details = dict(error.trailing_metadata() or ()).get(DETAILS, b"")
    assert b"google.rpc.ErrorInfo" in details, details
    return details


def empty_unary():
    assert empty_call(Empty()) == testing("Empty")()


def large_unary():
    asked = Simple(response_size=314159, payload=payload(271828))
    assert unary_call(asked).payload.body == bytes(314159)


def client_streaming():
    sent = (Input(payload=payload(size)) for size in SENT)
    assert input_call(sent).aggregated_payload_size == 74922


def server_streaming():
    answers = output_call(output(*ANSWERED))
    assert [len(answer.payload.body) for answer in answers] == ANSWERED


def ping_pong():
    got = []

    def pings():
        for turn, (sent, answered) in enumerate(zip(SENT, ANSWERED)):
            while len(got) < turn:
                time.sleep(0.001)
            yield output(answered, sent=sent)

    for answer in duplex_call(pings()):
        got.append(len(answer.payload.body))
    assert got == ANSWERED


def empty_stream():
    assert list(duplex_call(iter(()))) == []


def cancel_after_begin():
    future = input_call.future(iter(lambda: time.sleep(0.05) or Input(payload=payload(1)), None))
    future.cancel()
    assert future.cancelled() and future.code() == grpc.StatusCode.CANCELLED


def cancel_after_first_response():
    call = duplex_call(iter([output(31415, sent=27182), output(1, interval_us=10_000_000)]))
    assert len(next(call).payload.body) == 31415
    call.cancel()
    refused(lambda: call, grpc.StatusCode.CANCELLED)


def timeout_on_sleeping_server():
    asked = output(1, interval_us=10_000_000)
    refused(lambda: duplex_call(iter([asked]), timeout=0.2), grpc.StatusCode.DEADLINE_EXCEEDED)


def status_code_and_message():
    status = {"code": 2, "message": "test status message"}
    for call in (
        lambda: unary_call(Simple(response_status=status)),
        lambda: duplex_call(iter([Output(response_status=status)])),
        lambda: output_call(Output(response_status=status)),
    ):
        error = refused(call, grpc.StatusCode.UNKNOWN)
        assert error.details() == "test status message", error.details()
        detailed(error)


def special_status_message():
    text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP \U0001f608\t\n% 100%25"
    error = refused(
        lambda: unary_call(Simple(response_status={"code": 2, "message": text})), grpc.StatusCode.UNKNOWN
    )
    assert error.details() == text, error.details()


def every_status_code():
    for code in grpc.StatusCode:
        number = code.value[0]
        if number:
            asked = Simple(response_status={"code": number, "message": "asked for"})
            detailed(refused(lambda: unary_call(asked), code))


def unimplemented_method():
    call = channel.unary_unary(f"/{SERVICE}/UnimplementedCall", lambda empty: b"", Empty.FromString)
    detailed(refused(lambda: call(None), grpc.StatusCode.UNIMPLEMENTED))


def unimplemented_service():
    call = channel.unary_unary("/grpc.testing.Nothing/Call", lambda empty: b"", Empty.FromString)
    detailed(refused(lambda: call(None), grpc.StatusCode.UNIMPLEMENTED))


def custom_metadata():
    given = ((ECHOED, "test_initial_metadata_value"), (ECHOED_LAST, b"\xab\xab\xab\x00\xff"))
    _, call = unary_call.with_call(Simple(response_size=1), metadata=given)
    assert dict(call.initial_metadata())[ECHOED] == given[0][1]
    streamed = duplex_call(iter([output(1)]), metadata=given)
    assert dict(streamed.initial_metadata())[ECHOED] == given[0][1]
    list(streamed)
    asked = Simple(response_status={"code": 9, "message": "with metadata"})
    error = refused(lambda: unary_call(asked, metadata=given), grpc.StatusCode.FAILED_PRECONDITION)
    assert dict(error.trailing_metadata())[ECHOED_LAST] == given[1][1]


def compressed_unary():
    asked = Simple(response_size=314159, payload=payload(271828))
    answer, call = unary_call.with_call(asked, compression=grpc.Compression.Gzip)
    assert answer.payload.body == bytes(314159)


def compressed_streaming():
    sent = (Input(payload=payload(size)) for size in SENT)
    assert input_call(sent, compression=grpc.Compression.Gzip).aggregated_payload_size == 74922
    call = output_call(output(31415, 92653), compression=grpc.Compression.Gzip)
    assert [len(answer.payload.body) for answer in call] == [31415, 92653]


def too_large():
    asked = Simple(payload=payload(2 << 20))
    detailed(refused(lambda: unary_call(asked), grpc.StatusCode.RESOURCE_EXHAUSTED))
    bomb = Simple(payload=payload(8 << 20))
    call = lambda: unary_call(bomb, compression=grpc.Compression.Gzip)
    detailed(refused(call, grpc.StatusCode.RESOURCE_EXHAUSTED))


def reflection_lists_everything():
    service = "grpc.reflection.v1.ServerReflection"
    ask = method(channel, service, "ServerReflectionInfo")
    asked = message("grpc.reflection.v1.ServerReflectionRequest")
    listed = next(ask(iter([asked(list_services="")]))).list_services_response.service
    names = {one.name for one in listed}
    assert names == {SERVICE, service, "grpc.health.v1.Health"}, names
    for name in names:
        answer = next(ask(iter([asked(file_containing_symbol=name)])))
        assert answer.file_descriptor_response.file_descriptor_proto, name


def many_at_once():
    futures = [unary_call.future(Simple(response_size=size)) for size in range(300)]
    assert [len(future.result().payload.body) for future in futures] == list(range(300))


CASES = [
    empty_unary,
    large_unary,
    client_streaming,
    server_streaming,
    ping_pong,
    empty_stream,
    cancel_after_begin,
    cancel_after_first_response,
    timeout_on_sleeping_server,
    status_code_and_message,
    special_status_message,
    every_status_code,
    unimplemented_method,
    unimplemented_service,
    custom_metadata,
    compressed_unary,
    compressed_streaming,
    too_large,
    reflection_lists_everything,
    many_at_once,
]

for case in CASES:
    case()
    print(case.__name__, flush=True)
