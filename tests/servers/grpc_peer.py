"""A gRPC server and clients of it: `grpc_peer.py serve PORT`, `grpc_peer.py SCENARIO PORT [FILE]`.

Clients print a line for each call: full method, status code, nanoseconds that it took, messages of
the client and of the server.
"""

import pathlib
import queue
import sys
import time
from concurrent import futures

import grpc

SERVICE = "shop.v1.OrdersOfAnyCustomer"
RAW = {"request_deserializer": None, "response_serializer": None}


def get(request, context):
    return request


def fail(request, context):
    codes = {code.value[0]: code for code in grpc.StatusCode}
    context.abort(codes[int(request)], "as asked")


def sleep(request, context):
    time.sleep(int(request) / 1000)
    return request


def listing(request, context):
    for _ in range(int(request)):
        yield request


def broken(request, context):
    for _ in range(int(request)):
        yield request
    context.abort(grpc.StatusCode.ABORTED, "as asked")


def upload(requests, context):
    return b"%d" % sum(1 for _ in requests)


def chat(requests, context):
    for request in requests:
        yield request


def serve(port):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=128))
    handlers = {
        "Get": grpc.unary_unary_rpc_method_handler(get, **RAW),
        "Fail": grpc.unary_unary_rpc_method_handler(fail, **RAW),
        "Sleep": grpc.unary_unary_rpc_method_handler(sleep, **RAW),
        "List": grpc.unary_stream_rpc_method_handler(listing, **RAW),
        "Break": grpc.unary_stream_rpc_method_handler(broken, **RAW),
        "Upload": grpc.stream_unary_rpc_method_handler(upload, **RAW),
        "Chat": grpc.stream_stream_rpc_method_handler(chat, **RAW),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


class Client:
    """One connection, and what was done over it."""

    def __init__(self, port):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        grpc.channel_ready_future(self.channel).result(timeout=10)
        self.deeds = []

    def told(self, method, started, code, asked, answered):
        took = time.monotonic_ns() - started
        self.deeds.append(f"{SERVICE}/{method} {code.value[0]} {took} {asked} {answered}")

    def call(self, method, request, **options):
        started = time.monotonic_ns()
        try:
            self.channel.unary_unary(f"/{SERVICE}/{method}")(request, timeout=20, **options)
            code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
        self.told(method, started, code, 1, int(code == grpc.StatusCode.OK))

    def list(self, count):
        started = time.monotonic_ns()
        answers = self.channel.unary_stream(f"/{SERVICE}/List")(b"%d" % count)
        assert sum(1 for _ in answers) == count
        self.told("List", started, answers.code(), 1, count)

    def broken(self, count):
        started = time.monotonic_ns()
        answers = self.channel.unary_stream(f"/{SERVICE}/Break")(b"%d" % count)
        seen = 0
        try:
            for _ in answers:
                seen += 1
        except grpc.RpcError:
            pass
        assert seen == count
        self.told("Break", started, answers.code(), 1, count)

    def upload(self, count):
        started = time.monotonic_ns()
        multi = self.channel.stream_unary(f"/{SERVICE}/Upload")
        answer, call = multi.with_call(iter([b"part"] * count))
        assert int(answer) == count
        self.told("Upload", started, call.code(), count, 1)

    def chat(self, count):
        started = time.monotonic_ns()
        answers = self.channel.stream_stream(f"/{SERVICE}/Chat")(iter([b"word"] * count))
        assert sum(1 for _ in answers) == count
        self.told("Chat", started, answers.code(), count, count)

    def leave(self, count):
        """Goes away in the middle of a conversation."""
        started = time.monotonic_ns()
        words = queue.SimpleQueue()
        answers = self.channel.stream_stream(f"/{SERVICE}/Chat")(iter(words.get, None))
        for _ in range(count):
            words.put(b"word")
            next(answers)
        answers.cancel()
        words.put(None)
        self.told("Chat", started, grpc.StatusCode.CANCELLED, count, count)

    def cancel(self):
        """Gives a call up that the server would have answered."""
        started = time.monotonic_ns()
        call = self.channel.unary_unary(f"/{SERVICE}/Sleep").future(b"2000")
        time.sleep(0.2)
        call.cancel()
        self.told("Sleep", started, grpc.StatusCode.CANCELLED, 1, 0)

    def late(self):
        """Runs into its deadline."""
        started = time.monotonic_ns()
        try:
            self.channel.unary_unary(f"/{SERVICE}/Sleep")(b"2000", timeout=0.3)
        except grpc.RpcError as error:
            self.told("Sleep", started, error.code(), 1, 0)


def calls(client):
    for _ in range(20):
        client.call("Get", b"order")
    for code in [1, 2, 3, 5, 7, 8, 9, 13, 14, 16]:
        client.call("Fail", b"%d" % code)
    client.call("Missing", b"order")
    client.call("Get", b"x" * 1_000_000)
    client.list(100)
    client.list(0)
    client.upload(50)
    client.chat(30)
    client.list(20_000)
    client.broken(0)
    client.broken(3)
    client.leave(4)
    client.cancel()
    for _ in range(3):
        client.call("Sleep", b"300")
    client.call("Get", b"order", metadata=[("x-long", "value" * 400), ("x-short", "a")])


def traced(client):
    """Calls with a trace context, which differs from the third on, and calls without."""
    for number in [1, 1, 2, 3]:
        value = f"00-{number:032x}-00f067aa0ba902b7-01"
        client.call("Get", b"order", metadata=[("traceparent", value)])
    client.call("Get", b"order")
    client.call("Fail", b"13", metadata=[("traceparent", f"00-{4:032x}-00f067aa0ba902b7-01")])


def few(client):
    """What a capture shows."""
    for _ in range(3):
        client.call("Get", b"order")
    for code in [5, 14]:
        client.call("Fail", b"%d" % code)
    client.call("Missing", b"order")
    client.list(5)
    client.upload(3)
    client.chat(4)
    client.cancel()


def crowd(client):
    """A hundred streams at a time on one connection, of every kind, and some that are given up."""

    def one(number):
        kind = number % 5
        if kind == 0:
            client.call("Get", b"order")
        elif kind == 1:
            client.list(number % 7)
        elif kind == 2:
            client.chat(number % 11 + 1)
        elif kind == 3:
            client.call("Fail", b"14" if number % 2 else b"5")
        else:
            client.cancel()

    with futures.ThreadPoolExecutor(max_workers=100) as pool:
        list(pool.map(one, range(2000)))


def resumed(client, file):
    """Calls from before the observer, and, once a file is there, from after."""
    client.call("Get", b"order")
    client.call("Fail", b"5")
    count = len(client.deeds)
    pathlib.Path(file).with_suffix(".ready").touch()
    while not pathlib.Path(file).exists():
        time.sleep(0.05)
    for _ in range(30):
        client.call("Get", b"order")
    client.call("Sleep", b"1")
    client.call("Fail", b"9")
    del client.deeds[:count]


def main():
    scenario, port = sys.argv[1], int(sys.argv[2])
    if scenario == "serve":
        return serve(port)
    client = Client(port)
    {"calls": calls, "crowd": crowd, "few": few, "resumed": resumed, "traced": traced}[scenario](client, *sys.argv[3:])
    client.channel.close()
    print("\n".join(client.deeds))


main()
