"""The harness of wire tables for HTTP/1: a row says what a client sends, what must reach the service, what the
service answers, what must reach the client, and whether the connection goes on. All rows share one proxy.

Bytes are compared whole, but for the fields of VOLATILE, which are taken out on both sides."""

import asyncio

from harness import config

from .origin import OK, Act, ScriptOrigin, read_head, values

KEPT, CLOSED = "kept", "closed"
WAIT_S = 3     # for what must come
PROBE = b"GET /probe/%s HTTP/1.1\r\nhost: probe\r\n\r\n"

# What the proxy adds in its own right, with values that change.
VOLATILE = (b"x-request-id", b"x-forwarded-proto", b"x-forwarded-for", b"date", b"server",
            b"x-envoy-upstream-service-time", b"x-envoy-expected-rq-timeout-ms")


class Row:
    """name, section: "9112 6.3" (RFC and section that decide). `send`: bytes, or a list of bytes, of Until (wait for these
    bytes first), of SHUT (end our direction) and of BLURT (let the service speak out of turn). `seen`: each
    request at the service. `acts`: its answers. `want`: all bytes to the client, or the status of a
    refusal by the proxy. `on`: which listener."""

    def __init__(self, name, section, send, seen=(), acts=(), want=b"", then=KEPT, on="main"):
        self.name = name
        self.section = section
        self.send = [send] if isinstance(send, bytes) else list(send)
        self.seen = [seen] if isinstance(seen, bytes) else list(seen)
        self.acts = [a if isinstance(a, Act) else Act(a) for a in acts]
        self.want = want
        self.then = then
        self.on = on


class Until(bytes):
    """Wait until the client has received these bytes."""


SHUT = object()
BLURT = object()


def plain(raw):
    """Without the lines of VOLATILE, wherever a head may be in `raw`."""
    lines = raw.split(b"\r\n")
    return b"\r\n".join(x for x in lines if x.partition(b":")[0].lower() not in VOLATILE)


class Client:
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.got = b""
        self.ended = False

    @classmethod
    async def open(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 22))

    async def more(self):
        """Some bytes more; False at the end of the stream."""
        try:
            piece = await self.reader.read(1 << 16)
        except ConnectionError:
            piece = b""
        self.got += piece
        self.ended = not piece
        return bool(piece)

    async def until(self, ready):
        """Until ready() or the end; false when neither comes in time."""
        async def loop():
            while not ready() and await self.more():
                pass
        try:
            await asyncio.wait_for(loop(), WAIT_S)
        except asyncio.TimeoutError:
            pass
        return ready()

    def close(self):
        self.writer.transport.abort()


async def send(client, origin, steps):
    for step in steps:
        if isinstance(step, Until):
            assert await client.until(lambda s=step: s in client.got), f"no {bytes(step)!r} in {client.got!r}"
        elif step is SHUT:
            client.writer.write_eof()
        elif step is BLURT:
            await origin.blurt()
        else:
            client.writer.write(step)
            try:
                await client.writer.drain()
            except ConnectionError:
                return


def refusal_is_whole(got):
    head, mark, rest = got.partition(b"\r\n\r\n")
    lengths = values(head + b"\r\n", b"content-length")
    return bool(mark) and len(rest) >= int(lengths[0] if lengths else 0)


async def expect_answer(client, row):
    if row.want == b"":
        return
    if isinstance(row.want, int):
        assert await client.until(lambda: refusal_is_whole(client.got)), f"no answer: {client.got!r}"
        line, _, _ = client.got.partition(b"\r\n")
        assert line.split(b" ")[:2] == [b"HTTP/1.1", b"%d" % row.want], client.got
        head, _, rest = client.got.partition(b"\r\n\r\n")
        lengths = values(head + b"\r\n", b"content-length")
        assert len(rest) == int(lengths[0] if lengths else 0), f"more than one answer: {client.got!r}"
    else:
        same = await client.until(lambda: plain(client.got) == plain(row.want))
        assert same, f"client got\n{plain(client.got)!r}\nwant\n{plain(row.want)!r}"


async def probe(client, name):
    """Is the connection in step? The next answer must be that of the next request."""
    start = len(client.got)
    client.writer.write(PROBE % name)
    want = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n/probe/%s" % (len(name) + 7, name)
    await client.until(lambda: plain(client.got[start:]) == plain(want))
    assert plain(client.got[start:]) == plain(want), f"after the row: {client.got[start:]!r}"


async def run_row(row, port, origin):
    origin.begin(row.acts)
    client = await Client.open(port)
    try:
        await send(client, origin, row.send)
        await expect_answer(client, row)
        size = len(client.got)
        if row.then == KEPT:
            assert not client.ended, f"connection ended after {client.got!r}"
            await probe(client, b"same")
        else:
            assert await client.until(lambda: client.ended or len(client.got) > size), (
                f"connection still open after {client.got!r}")
            assert client.ended, f"more than wanted: {client.got[size:]!r}"
        other = await Client.open(port)
        try:
            await probe(other, b"other")
        finally:
            other.close()
    finally:
        client.close()
    await origin.end()
    assert origin.broken == []
    if row.seen is not ANY:
        seen = [plain(raw) for raw in origin.seen]
        assert seen == [plain(raw) for raw in row.seen], f"service saw\n{seen}\nwant\n{row.seen}"


ANY = object()


class Bench:
    """The proxy with its listeners, and the service."""

    def __init__(self, lab):
        self.lab = lab
        self.origin = lab._add(ScriptOrigin(lab.background))
        self.tunnelled = lab.tcp_origin()
        clusters = [config.cluster("app", self.origin.port, **config.http1(enable_trailers=True)),
                    config.cluster("tcp", self.tunnelled.port)]
        self.ports = {}
        listeners = []
        for name, more in LISTENERS.items():
            port = self.ports[name] = lab.ports.take()
            more = dict(more)
            routes = more.pop("routes", None) or config.routes_to("app")
            listeners.append(config.listener(name, port, config.hcm(routes, **more)))
        self.proxy = lab.proxy(listeners, clusters)

    def run(self, row):
        self.lab.background.run(run_row(row, self.ports[row.on], self.origin))


TRAILERS = {"http_protocol_options": {"enable_trailers": True}}
CHAIN = {"name": "chain", "virtual_hosts": [config.vhost(
    "all", ["*"], {"match": {"connect_matcher": {}}, "route": {"cluster": "app"}}, config.route("/", "app"))]}
STAR = {"name": "star", "virtual_hosts": [config.vhost(
    "all", ["*"], config.route({"path": "*"}, "app"), config.route("/", "app"))]}
TUNNEL = {"name": "tunnel", "virtual_hosts": [config.vhost(
    "all", ["*"],
    {"match": {"connect_matcher": {}}, "route": {"cluster": "tcp", "upgrade_configs": [
        {"upgrade_type": "CONNECT", "connect_config": {}}]}},
    config.route("/", "app"))]}
LISTENERS = {
    "main": {**TRAILERS, "proxy_100_continue": True, "upgrade_configs": [{"upgrade_type": "websocket"}]},
    "bare": {},
    "old": {"http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "old.example"}},
    "old-no-host": {"http_protocol_options": {"accept_http_10": True}},
    "tunnel": {"routes": TUNNEL, "upgrade_configs": [{"upgrade_type": "CONNECT"}]},
    "chain": {"routes": CHAIN, "upgrade_configs": [{"upgrade_type": "CONNECT"}]},
    "star": {"routes": STAR},
    "small": {"max_request_headers_kb": 2, "common_http_protocol_options": {"max_headers_count": 10}},
}

__all__ = ["Act", "ANY", "BLURT", "Bench", "CLOSED", "KEPT", "OK", "Row", "SHUT", "Until", "read_head"]
