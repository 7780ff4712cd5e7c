"""Pieces of the differential test of request boundaries: mutated requests, a hop that records what we forward, and
its own reading of it (RFC 9112, nothing more than what a proxy may send)."""

import asyncio
import random
import zlib

EMBEDDED = b"GET /embedded HTTP/1.1\r\nHost: a\r\nX-Id: embedded\r\n\r\n"

# What has parted parsers before.
WORDS = [
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: chunked, identity\r\n", b"Transfer-Encoding: identity\r\n",
    b" Transfer-Encoding: chunked\r\n", b"X: y\nTransfer-Encoding: chunked\r\n", b"X: y\rTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding\t: chunked\r\n", b"Transfer_Encoding: chunked\r\n", b"transfer-encoding: Chunked \t\r\n",
    b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length: +5\r\n", b"Content-Length: 5, 5\r\n",
    b"Content-Length: 0x5\r\n", b"Content-Length: 05\r\n", b"Content-Length : 5\r\n", b"Content-Length: 5\x0b\r\n",
    b"Content-Length: \t5\t\r\n", b"Content-Length:\r\n", b"Content-Length: -0\r\n", b"Content_Length: 3\r\n",
    b"Connection: close\r\n", b"Connection: content-length\r\n", b"Connection: transfer-encoding, host\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"Host: b\r\n",
    b"TE: trailers\r\n", b"Trailer: x\r\n", b"0\r\n\r\n", b"0\r\n", b"\r\n\r\n", b"\r\n", b"\n", b"\r", b"\n\n", b"\0", b"\x0b", b"\x0c", b"\x85",
    b"\xa0", b"\x7f", b" ", b"\t", b":", b";", b";a=b", b";a\n", b",", b"chunked", b"+", b"-", b"0x", b"_", b"00000000000000000", b"1",
    b"ffffffffffffffff", b"HTTP/1.0", b"HTTP/1.1", b"http://b/", b"#", b"?", b"%0d%0a", b"//", b"\\", b"X" * 300, EMBEDDED,
]


def chunked(rng, body, trailers=b""):
    raw = b""
    while body:
        n = rng.randint(1, len(body))
        raw += b"%x%s\r\n%s\r\n" % (n, rng.choice([b"", b"", b";a=b"]), body[:n])
        body = body[n:]
    return raw + b"0\r\n" + trailers + b"\r\n"


def valid(rng, name):
    """One request that is as it should be."""
    kind = rng.randrange(9)
    fields = [b"Host: a\r\n", b"X-Id: %s\r\n" % name]
    fields += rng.sample([b"X-A: 1\r\n", b"X-B:\r\n", b"Accept: */*\r\n", b"TE: trailers\r\nConnection: TE\r\n", b"Cookie: a=b\r\n",
                          b"Connection: keep-alive\r\n"], rng.randrange(3))
    body = rng.choice([b"hello", b"x" * 40, EMBEDDED, b"0\r\n\r\n" + EMBEDDED, b""])
    method, target = b"GET", b"/" + name
    if kind in (1, 2, 3):
        method = rng.choice([b"POST", b"PUT"])
        fields.append(b"Content-Length: %d\r\n" % len(body))
    elif kind in (4, 5, 6):
        method = b"POST"
        fields.append(b"Transfer-Encoding: chunked\r\n")
        body = chunked(rng, body, rng.choice([b"", b"", b"X-T: 1\r\n"]))
    else:
        body = b""
        if kind == 7:
            method = rng.choice([b"HEAD", b"OPTIONS", b"DELETE"])
        elif kind == 8:
            target = b"http://a/" + name
    rng.shuffle(fields)
    return method + b" " + target + b" HTTP/1.1\r\n" + b"".join(fields) + b"\r\n" + body


def mutate(rng, raw):
    raw = bytearray(raw)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5])):
        at = rng.randrange(len(raw) + 1)
        how = rng.randrange(8)
        if how == 0 and at < len(raw):
            raw[at] = rng.randrange(256)
        elif how == 1:
            del raw[at:at + rng.choice([1, 1, 2, 4])]
        elif how in (2, 3):
            raw[at:at] = rng.choice(WORDS)
        elif how in (4, 5):  # a word where a line begins
            lines = [i + 2 for i in range(len(raw) - 1) if raw[i:i + 2] == b"\r\n"]
            at = rng.choice(lines) if lines else 0
            raw[at:at] = rng.choice(WORDS)
        elif how == 6:  # one line once more
            lines = bytes(raw).split(b"\r\n")
            line = rng.choice(lines) + b"\r\n"
            raw[at:at] = line
        elif at < len(raw):
            raw[at] = rng.choice(b"\r\n\t :;,0159afAFx+-_\0\x0b")
    return bytes(raw)


class Malformed(Exception):
    """What no proxy may send on."""


def read_requests(raw):
    """[(method, target, id, length, crc)] of the requests that are whole in what was forwarded."""
    found = []
    while raw:
        head, end, rest = raw.partition(b"\r\n\r\n")
        if not end:
            break
        first, *lines = head.split(b"\r\n")
        words = first.split(b" ")
        if len(words) != 3 or words[2] != b"HTTP/1.1" or b"\n" in head.replace(b"\r\n", b"") or b"\0" in head:
            raise Malformed(head)
        fields = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not name or name != name.strip() or name != name.lower():
                raise Malformed(head)
            fields.setdefault(name, []).append(value.strip(b" \t"))
        lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
        if len(lengths) + len(codings) > 1 or len(fields.get(b"host", [])) != 1 or codings not in ([], [b"chunked"]):
            raise Malformed(head)
        body = rest[:int(lengths[0])] if lengths else b""
        if lengths and len(body) < int(lengths[0]):
            break
        rest = rest[len(body):]
        if codings:
            whole = False
            while not whole:
                size, end, after = rest.partition(b"\r\n")
                if not end:
                    break
                n = int(size, 16)
                if n == 0:
                    trailers, end, rest = (b"", b"x", after[2:]) if after[:2] == b"\r\n" else after.partition(b"\r\n\r\n")
                    whole = bool(end)
                    break
                if len(after) < n + 2:
                    break
                if after[n:n + 2] != b"\r\n":
                    raise Malformed(rest[:100])
                body, rest = body + after[:n], after[n + 2:]
            if not whole:
                break
        found.append((words[0], words[1], fields.get(b"x-id", [b""])[0], len(body), zlib.crc32(body)))
        raw = rest
    return found


class Hop:
    """A relay between the proxy and the service that keeps what passes, by the port from which it speaks to the service."""

    def __init__(self, to_port):
        self.to_port = to_port
        self.forwarded = {}  # port -> bytes to the service
        self.answered = {}   # port -> bytes from it
        self.port = 0
        self._server = None
        self._tasks = set()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            port = None
            while port is None or port in self.forwarded:  # the kernel gives ports again
                up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
                port = up_writer.get_extra_info("sockname")[1]
                if port in self.forwarded:
                    up_writer.close()
            self.forwarded[port], self.answered[port] = b"", b""
            await asyncio.gather(self._pump(reader, up_writer, self.forwarded, port),
                                 self._pump(up_reader, writer, self.answered, port))
        except ConnectionError:
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    @staticmethod
    async def _pump(reader, writer, kept, port):
        try:
            while (piece := await reader.read(65536)):
                kept[port] += piece
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        try:
            writer.write_eof()
        except OSError:
            pass

    async def stop(self):
        """Once the proxy has gone, and the service has answered what it had."""
        self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)


async def talk(port, raw, wait_s):
    """Sends all, and returns all that comes until the proxy ends the connection, or nothing comes for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        writer.write(raw)
        while (piece := await asyncio.wait_for(reader.read(65536), wait_s)):
            got += piece
    except (ConnectionError, asyncio.TimeoutError):
        pass
    finally:
        writer.transport.abort()
    return got


def seed_of(text):
    return random.Random(text)
