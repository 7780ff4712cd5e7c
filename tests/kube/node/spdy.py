"""The server's side of SPDY/3.1, as far as exec and port-forward use it: streams that the other side opens, data both
ways, no flow control (theirs has none). Source: draft-mbelshe-httpbis-spdy-00, its dictionary in 2.6.10.1."""
import asyncio
import struct
import zlib

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
FRAME_MAX = 1 << 20
PIECE = 32 * 1024

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin")
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.")
DICTIONARY = b"".join(struct.pack(">I", len(w)) + w.replace("_", " ").encode() for w in _WORDS.split()) + _REST.encode()


class Stream:
    """One stream: .headers, .read() what comes (b"" at the end), .write() and .close() what goes."""

    def __init__(self, session, number, headers):
        self.session, self.number, self.headers = session, number, headers
        self.incoming, self.closed = asyncio.Queue(), False

    async def read(self):
        return await self.incoming.get()

    async def write(self, data):
        for start in range(0, len(data), PIECE):
            self.session.send_data(self.number, 0, data[start:start + PIECE])
        await self.session.writer.drain()

    def close(self):
        if not self.closed:
            self.closed = True
            self.session.send_data(self.number, FIN, b"")


class Session:
    """on_stream(stream) is called for each stream that the other side opens."""

    def __init__(self, reader, writer, on_stream):
        self.reader, self.writer, self.on_stream = reader, writer, on_stream
        self.inflate = zlib.decompressobj(zdict=DICTIONARY)
        self.deflate = zlib.compressobj(zdict=DICTIONARY)
        self.streams = {}

    def send_control(self, kind, payload):
        self.writer.write(struct.pack(">HHI", 0x8003, kind, len(payload)) + payload)

    def send_data(self, number, flags, data):
        self.writer.write(struct.pack(">II", number, flags << 24 | len(data)) + data)

    def headers(self, block):
        plain = self.inflate.decompress(block, FRAME_MAX)
        count, offset, words = struct.unpack_from(">I", plain)[0], 4, []
        for _ in range(2 * count):
            size = struct.unpack_from(">I", plain, offset)[0]
            words.append(plain[offset + 4:offset + 4 + size].decode())
            offset += 4 + size
        return {name.lower(): value for name, value in zip(words[::2], words[1::2])}

    def opened(self, flags, payload):
        number = struct.unpack_from(">I", payload)[0] & 0x7fffffff
        stream = self.streams[number] = Stream(self, number, self.headers(payload[10:]))
        block = self.deflate.compress(struct.pack(">I", 0)) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.send_control(SYN_REPLY, struct.pack(">I", number) + block)
        if flags & FIN:
            stream.incoming.put_nowait(b"")
        self.on_stream(stream)

    async def run(self):
        """Until the connection ends; then every stream has."""
        try:
            while True:
                first, second = struct.unpack(">II", await self.reader.readexactly(8))
                flags, size = second >> 24, second & 0xffffff
                if size > FRAME_MAX:
                    break
                payload = await self.reader.readexactly(size)
                if not first >> 31:
                    self.received(first, flags, payload)
                elif first & 0xffff == SYN_STREAM:
                    self.opened(flags, payload)
                elif first & 0xffff == PING:
                    self.send_control(PING, payload)
                elif first & 0xffff == RST_STREAM:
                    self.received(struct.unpack_from(">I", payload)[0], FIN, b"")
                elif first & 0xffff == GOAWAY:
                    break
        except (OSError, asyncio.IncompleteReadError, struct.error, zlib.error):
            pass
        for stream in self.streams.values():
            stream.incoming.put_nowait(b"")

    def received(self, number, flags, payload):
        stream = self.streams.get(number & 0x7fffffff)
        if stream is not None:
            if payload:
                stream.incoming.put_nowait(payload)
            if flags & FIN:
                stream.incoming.put_nowait(b"")
