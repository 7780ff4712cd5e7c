"""Services behind the proxy, which behave and misbehave on request. They run on one background loop, on
ports of the kernel's choice, and remember what reached them."""

import asyncio
import itertools
import json
import socket
import struct
import threading
from concurrent import futures

from .proc import wait_until

PIECE = b"0123456789abcdef" * 4096  # 64 KiB


class Background:
    """An event loop on its own thread."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine, timeout_s=20):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout_s)

    def close(self):
        async def cancel():
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.run(cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


class Seen:
    """One request as it arrived."""

    def __init__(self, method, target, version, headers, connection):
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers  # [(lower-case name, value)], in order
        self.connection = connection
        self.body_bytes = 0
        self.trailers = []

    def get(self, name, default=None):
        return next((v for n, v in self.headers if n == name), default)

    def all(self, name):
        return [v for n, v in self.headers if n == name]


class Listening:
    """What all services share: a port, open connections, an end."""

    def __init__(self, background, host="127.0.0.1"):
        self.background = background
        self.connections = 0  # in all
        self.open = 0
        self._writers = set()
        self._server = background.run(asyncio.start_server(self._serve, host, 0, limit=1 << 20))
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        self._writers.add(writer)
        try:
            await self.on_connection(reader, writer, self.connections)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()

    async def on_connection(self, reader, writer, number):
        raise NotImplementedError

    def close(self):
        async def end():
            self._server.close()
            for w in list(self._writers):
                w.transport.abort()
        self.background.run(end())


def reset(writer):
    """Ends a connection by RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def read_body(reader, headers, on_piece):
    """Calls on_piece for each piece of a request's body; returns the trailers."""
    fields = dict(headers)
    if "chunked" in fields.get("transfer-encoding", "").lower():
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                return await read_fields(reader)
            left = size
            while left > 0:
                piece = await reader.read(min(left, 1 << 16))
                if not piece:
                    raise ConnectionError("cut in a chunk")
                left -= len(piece)
                await on_piece(piece)
            await reader.readexactly(2)
    left = int(fields.get("content-length", 0))
    while left > 0:
        piece = await reader.read(min(left, 1 << 16))
        if not piece:
            raise ConnectionError("cut in a body")
        left -= len(piece)
        await on_piece(piece)
    return []


async def read_fields(reader):
    fields = []
    while (line := (await reader.readuntil(b"\r\n"))[:-2]):
        name, _, value = line.decode("latin-1").partition(":")
        fields.append((name.lower(), value.strip()))
    return fields


class HttpOrigin(Listening):
    """HTTP/1.1; the first part of the path says what to do (see the methods `do_*` and FAILURES)."""

    def __init__(self, background, name="app", host="127.0.0.1"):
        self.name = name
        self.seen = []
        self.sent_bytes = 0       # of bodies, as far as the socket took them
        self.counters = {}        # of /flaky
        self.gate = asyncio.Event()  # /gate waits for it
        super().__init__(background, host)

    def wait_seen(self, count):
        wait_until(lambda: len(self.seen) >= count, f"{count} requests at {self.name}")
        return self.seen

    def last(self):
        return self.wait_seen(1)[-1]

    def open_gate(self):
        self.background.loop.call_soon_threadsafe(self.gate.set)

    async def on_connection(self, reader, writer, number):
        stale = False
        while True:
            line = await reader.readuntil(b"\r\n")
            if stale:
                # What a server's idle timeout does when a request crosses its FIN on the wire.
                reset(writer)
                return
            method, target, version = line.decode("latin-1").split()
            seen = Seen(method, target, version, await read_fields(reader), number)
            self.seen.append(seen)
            parts = target.split("?")[0].strip("/").split("/")
            act = getattr(self, "do_" + parts[0].replace("-", "_"), self.do_text)
            keep = await act(seen, parts[1:], reader, writer)
            stale = parts[0] == "stale"
            if keep is False or seen.get("connection", "").lower() == "close":
                return

    async def _drain_body(self, seen, reader):
        async def count(piece):
            seen.body_bytes += len(piece)
        seen.trailers = await read_body(reader, seen.headers, count)

    async def _answer(self, seen, writer, body=b"", status="200 OK", headers=()):
        head = f"HTTP/1.1 {status}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers)
        if status[:3] not in ("204", "304"):
            head += f"content-length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + (b"" if seen.method == "HEAD" else body))
        await writer.drain()

    async def do_text(self, seen, args, reader, writer):
        await self._drain_body(seen, reader)
        await self._answer(seen, writer, self.name.encode(), headers=[("content-type", "text/plain")])

    do_stale = do_text

    async def do_echo(self, seen, args, reader, writer):
        await self._drain_body(seen, reader)
        body = json.dumps({"name": self.name, "method": seen.method, "target": seen.target,
                           "headers": seen.headers, "body_bytes": seen.body_bytes,
                           "trailers": seen.trailers, "connection": seen.connection}).encode()
        await self._answer(seen, writer, body, headers=[("content-type", "application/json")])

    async def do_mirror(self, seen, args, reader, writer):
        """The body comes back while it is still arriving."""
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")

        async def back(piece):
            seen.body_bytes += len(piece)
            writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            await writer.drain()
        seen.trailers = await read_body(reader, seen.headers, back)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def do_bytes(self, seen, args, reader, writer):
        await self._drain_body(seen, reader)
        left = int(args[0])
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {left}\r\n\r\n".encode())
        while left > 0:
            piece = PIECE[:left] if left < len(PIECE) else PIECE
            writer.write(piece)
            await writer.drain()
            left -= len(piece)
            self.sent_bytes += len(piece)

    async def do_chunked(self, seen, args, reader, writer):
        await self._drain_body(seen, reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n")
        left = int(args[0])
        while left > 0:
            piece = PIECE[:min(left, 1000)]
            writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            await writer.drain()
            left -= len(piece)
        writer.write(b"0\r\nx-sum: 42\r\n\r\n")
        await writer.drain()

    async def do_status(self, seen, args, reader, writer):
        await self._drain_body(seen, reader)
        await self._answer(seen, writer, b"status", f"{args[0]} As Asked")

    async def do_delay(self, seen, args, reader, writer):
        await self._drain_body(seen, reader)
        await asyncio.sleep(int(args[0]) / 1000)
        await self._answer(seen, writer, b"late")

    async def do_gate(self, seen, args, reader, writer):
        """Answers when open_gate() was called; /gate/body sends head and half of the body before."""
        await self._drain_body(seen, reader)
        if args == ["body"]:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234")
            await writer.drain()
            await self.gate.wait()
            writer.write(b"56789")
            await writer.drain()
            return
        await self.gate.wait()
        await self._answer(seen, writer, b"opened")

    async def do_early_hints(self, seen, args, reader, writer):
        await self._drain_body(seen, reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x.css>\r\n\r\n")
        await self._answer(seen, writer, b"after hints")

    async def do_continue(self, seen, args, reader, writer):
        """Sends 100 before it reads the body, as RFC 9110 section 10.1.1 lets a server do."""
        if seen.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await self._drain_body(seen, reader)
        await self._answer(seen, writer, str(seen.body_bytes).encode())

    async def do_until_close(self, seen, args, reader, writer):
        await self._drain_body(seen, reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nuntil close")
        await writer.drain()
        return False

    async def do_ws(self, seen, args, reader, writer):
        """Accepts any upgrade and echoes the bytes that follow."""
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n"
                     b"upgrade: " + seen.get("upgrade", "").encode() + b"\r\n"
                     b"sec-websocket-accept: not-checked-here\r\n\r\n")
        while (piece := await reader.read(1 << 16)):
            writer.write(piece)
            await writer.drain()
        return False

    async def do_early_answer(self, seen, args, reader, writer):
        """Answers without reading the body, and closes."""
        await self._answer(seen, writer, b"too large", "413 Content Too Large", [("connection", "close")])
        return False

    async def do_flaky(self, seen, args, reader, writer):
        """/flaky/KEY/N/HOW: fails N times for that key, then answers; HOW is a failure or a status."""
        await self._drain_body(seen, reader)
        key, times, how = args[0], int(args[1]), args[2]
        self.counters[key] = self.counters.get(key, 0) + 1
        if self.counters[key] > times:
            await self._answer(seen, writer, str(self.counters[key]).encode())
            return True
        if how.isdigit():
            await self._answer(seen, writer, b"flaky", f"{how} Flaky")
            return True
        return await self.do_fail(seen, [how], reader, writer)

    FAILURES = {
        "reset-on-request": (b"", True),
        "close-on-request": (b"", False),
        "reset-in-head": (b"HTTP/1.1 200 OK\r\ncontent-le", True),
        "close-in-head": (b"HTTP/1.1 200 OK\r\ncontent-le", False),
        "garbage": (b"\x00\x01garbage\r\n\r\n", False),
        "reset-in-body": (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this", True),
        "close-in-body": (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this", False),
        "close-in-chunk": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\nonly", False),
        "no-last-chunk": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nonly\r\n", False),
    }

    async def do_fail(self, seen, args, reader, writer):
        await self._drain_body(seen, reader)
        first, by_reset = self.FAILURES[args[0]]
        writer.write(first)
        await writer.drain()
        if by_reset:
            reset(writer)
        return False

    async def do_extra_bytes(self, seen, args, reader, writer):
        """An answer to nobody follows the answer: it must never reach another request."""
        await self._drain_body(seen, reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                     b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")
        await writer.drain()


class TcpOrigin(Listening):
    """Opaque bytes. `mode`: echo (as they come), after-eof (counts, answers when the client has ended),
    greet (speaks first, then echoes), reset (resets at once), hold (reads nothing)."""

    def __init__(self, background, mode="echo"):
        self.mode = mode
        self.received = 0
        self.ended = 0  # clients whose end of stream arrived
        super().__init__(background)

    async def on_connection(self, reader, writer, number):
        if self.mode == "reset":
            reset(writer)
            return
        if self.mode == "hold":
            writer.transport.pause_reading()
            await asyncio.Event().wait()
        if self.mode == "greet":
            writer.write(b"220 hello\r\n")
        mine = 0
        while (piece := await reader.read(1 << 16)):
            mine += len(piece)
            self.received += len(piece)
            if self.mode != "after-eof":
                writer.write(piece)
                await writer.drain()
        self.ended += 1
        if self.mode == "after-eof":
            writer.write(b"got %d" % mine)
            await writer.drain()


class GrpcOrigin:
    """A gRPC service without generated code: messages are bytes. /test.Echo/{Unary,Up,Down,Both,Fail,
    Wait,Meta}."""

    def __init__(self, name="grpc"):
        import grpc
        self.name = name
        self.cancelled = 0
        self._server = grpc.server(futures.ThreadPoolExecutor(64), options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(lambda m, c: m),
            "Up": grpc.stream_unary_rpc_method_handler(
                lambda ms, c: b"%d" % sum(len(m) for m in ms)),
            "Down": grpc.unary_stream_rpc_method_handler(
                lambda m, c: (b"%d" % i for i in range(int(m)))),
            "Both": grpc.stream_stream_rpc_method_handler(lambda ms, c: (b"<" + m + b">" for m in ms)),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "Wait": grpc.unary_unary_rpc_method_handler(self._wait),
            "Meta": grpc.unary_unary_rpc_method_handler(self._meta),
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Echo", handlers),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @staticmethod
    def _fail(message, context):
        import grpc
        context.set_trailing_metadata((("x-why", "as asked"),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, message.decode())

    def _wait(self, message, context):
        over = threading.Event()
        context.add_callback(over.set)
        over.wait(20)
        self.cancelled += 1
        return b""

    @staticmethod
    def _meta(message, context):
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last", "2"),))
        return json.dumps([[k, v] for k, v in context.invocation_metadata()
                           if isinstance(v, str)]).encode()

    def close(self):
        self._server.stop(0).wait(5)


_names = itertools.count(1)


def fresh(prefix="k"):
    """A key that no other test uses."""
    return f"{prefix}{next(_names)}"
