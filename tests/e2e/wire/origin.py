"""The service of a wire table: it plays the script of one row, byte by byte, and keeps what it was sent.

A script is a list of `Act`, one for each request in the order in which requests reach the service, on
whatever connection. Requests for /probe/X are answered beside the script: they show that a connection, or the
proxy as a whole, is still in step. Between rows the service ends all its connections and waits until the
proxy has let them go, so that no row sees those of another."""

import asyncio

from harness.origin import Listening, reset

KEEP, CLOSE, RESET = "keep", "close", "reset"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
WAIT_S = 5  # far above what any step takes


class Act:
    """What the service does with one request: `say` (bytes; or a list of bytes, of floats: seconds to wait,
    and of calls that are awaited with (reader, writer)), then it keeps, closes or resets the connection.
    `early`: it speaks when the head is there, and reads the body only afterwards. `opaque`: after `say`
    bytes come back as they are sent, until the proxy ends its side. `after`: bytes that follow when the row
    calls Origin.blurt()."""

    def __init__(self, say=OK, then=KEEP, early=False, opaque=False, after=b""):
        self.say = say
        self.then = then
        self.early = early
        self.opaque = opaque
        self.after = after


class Broken(Exception):
    """The proxy sent what is not HTTP: always a fault of the proxy."""


def field_lines(head):
    return [line.partition(b":") for line in head.split(b"\r\n")[1:] if line]


def values(head, name):
    return [v.strip() for n, _, v in field_lines(head) if n.lower() == name]


async def read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    for name, colon, value in field_lines(head[:-2]):
        if not colon or name != name.strip() or not name or b"\n" in name + value or b"\0" in value:
            raise Broken(f"malformed line in {head!r}")
    return head


async def read_rest(reader, head):
    """The body as it is on the wire; of chunks, as if it were one: where they are cut depends on time."""
    lengths, codings = values(head, b"content-length"), values(head, b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Broken(f"framed twice: {head!r}")
    if lengths:
        return await reader.readexactly(int(lengths[0]))
    if not codings:
        return b""
    data = b""
    while (size := int((await reader.readuntil(b"\r\n"))[:-2], 16)) > 0:
        data += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise Broken("a chunk does not have its size")
    trailers = b""
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        trailers += line
    body = b"%x\r\n%s\r\n" % (len(data), data) if data else b""
    return body + b"0\r\n" + trailers + b"\r\n"


class ScriptOrigin(Listening):
    def __init__(self, background):
        self.script = []
        self.seen = []       # raw bytes of each request that the script has met
        self.broken = []     # what no proxy may send
        self.probes = 0
        self._live = set()   # tasks of open connections
        self._idle = {}      # writer -> bytes for blurt()
        super().__init__(background)

    def begin(self, script):
        self.script = list(script)
        self.seen = []
        self.broken = []

    async def blurt(self):
        """Sends the `after` of the last act, on its connection, while nobody asks."""
        for writer, data in list(self._idle.items()):
            writer.write(data)
            await writer.drain()

    async def end(self):
        """Ends all connections, and waits until the proxy has closed them too."""
        for w in list(self._writers):
            if w.can_write_eof() and not w.is_closing():
                w.write_eof()
        tasks = [t for t in self._live if t is not asyncio.current_task()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=WAIT_S)
            for t in late:
                t.cancel()
            if late:
                self.broken.append("the proxy kept a connection that the service had ended")

    async def on_connection(self, reader, writer, number):
        task = asyncio.current_task()
        self._live.add(task)
        try:
            await self._play(reader, writer)
        except asyncio.IncompleteReadError as cut:
            if cut.partial:
                self.broken.append(f"ended in the middle: {cut.partial!r}")
        except Broken as why:
            self.broken.append(str(why))
        finally:
            self._live.discard(task)
            self._idle.pop(writer, None)

    async def _play(self, reader, writer):
        while True:
            head = await read_head(reader)
            if head.split(b" ")[1].startswith(b"/probe/"):
                await read_rest(reader, head)
                self.probes += 1
                name = head.split(b" ")[1]
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(name) + name)
                await writer.drain()
                continue
            index = len(self.seen)
            self.seen.append(head)
            act = self.script.pop(0) if self.script else Act()
            if not act.early:
                self.seen[index] += await read_rest(reader, head)
            await self._say(act, reader, writer)
            if act.opaque:
                while (piece := await reader.read(1 << 16)):
                    self.seen[index] += piece
                    writer.write(piece)
                return
            if act.early and act.then == KEEP:
                self.seen[index] += await read_rest(reader, head)
            if act.then == RESET:
                reset(writer)
            if act.then != KEEP:
                return
            if act.after:
                self._idle[writer] = act.after

    @staticmethod
    async def _say(act, reader, writer):
        for part in [act.say] if isinstance(act.say, bytes) else act.say:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            elif callable(part):
                await part(reader, writer)
            else:
                await asyncio.sleep(part)
