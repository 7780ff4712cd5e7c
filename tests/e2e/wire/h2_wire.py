"""HTTP/2 on the wire, from text and back, for tables of cases: what a client sends frame by frame, what an origin gets, and
what comes back. The test plays both ends itself, one step after the other, so that a row says all there is.

Frames, separated by ";" (RFC 9113 section 6):
  H<id>[e][-] name=value|name=value    HEADERS; e = END_STREAM, - = without END_HEADERS; "Q" stands for an ordinary GET
  C<id>[-] name=value    CONTINUATION       D<id>[e] text    DATA; "*<n>" = n bytes
  R<id> code    S[a] id=value|...    P[a]    W<id> increment    G last.code    Y<id> depends (PRIORITY)
  X<type>.<flags>.<id> hex    any frame     M    the client's preface
Values are taken as they stand; a name may begin with ":".
"""
import contextlib
import socket
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WAIT_S = 5
Q = ":method=GET|:scheme=http|:path=/|:authority=a"
# What every proxy adds, and what depends on the day.
OURS = {"date", "server", "x-request-id", "x-forwarded-proto", "x-envoy-expected-rq-timeout-ms", "x-envoy-upstream-service-time",
        "x-forwarded-for", "x-envoy-internal", "x-envoy-attempt-count"}


def raw(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _string(s):
    """RFC 7541 section 5.2, without Huffman."""
    n = len(s)
    if n < 127:
        return bytes([n]) + s
    n -= 127
    out = bytearray([127])
    while n >= 128:
        out.append(128 | n & 127)
        n >>= 7
    return bytes(out) + bytes([n]) + s


def fields(text):
    """Literals without indexing, new names: every byte as it stands."""
    out = b""
    for field in text.replace("Q", Q, 1).split("|") if text.startswith("Q") else text.split("|"):
        if field:
            at = field.index("=", 1)
            out += b"\0" + _string(field[:at].encode("latin-1")) + _string(field[at + 1:].encode("latin-1"))
    return out


def _body(text):
    return b"x" * int(text[1:]) if text[:1] == "*" and text[1:].isdigit() else text.encode("latin-1")


def _frame(one):
    target, _, rest = one.partition(" ")
    kind, target = target[0], target[1:]
    if kind == "M":
        return PREFACE
    if kind == "X":
        number, flags, stream = target.split(".")
        return raw(int(number), int(flags), int(stream), bytes.fromhex(rest))
    if kind == "S":
        pairs = [p.split("=") for p in rest.split("|") if p]
        return raw(4, "a" in target, 0, b"".join(int(k).to_bytes(2, "big") + int(v).to_bytes(4, "big") for k, v in pairs))
    if kind == "P":
        return raw(6, "a" in target, 0, b"12345678")
    if kind == "G":
        last, code = rest.split(".")
        return raw(7, 0, 0, int(last).to_bytes(4, "big") + int(code).to_bytes(4, "big"))
    stream = int("".join(c for c in target if c.isdigit()))
    flags = "e" in target
    if kind in "HC":
        return raw(1 if kind == "H" else 9, flags | (0 if "-" in target else 4), stream, fields(rest))
    if kind == "D":
        return raw(0, flags, stream, _body(rest))
    if kind == "Y":
        return raw(2, 0, stream, int(rest).to_bytes(4, "big") + b"\x10")
    return raw({"R": 3, "W": 8}[kind], 0, stream, int(rest).to_bytes(4, "big"))


def frames(script):
    return b"".join(_frame(one) for one in script.split(";") if one)


def show(body, ended=True):
    text = body.decode("latin-1") if len(body) <= 40 else f"*{len(body)}"
    return f"[{text}" + ("]" if ended else "")


class End:
    """One end of a connection: bytes that came, read only while waiting."""

    def __init__(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(WAIT_S)
        self.sock = sock
        self.held = b""
        self.ended = False

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            self.ended = True

    def read(self, timeout_s):
        """Whether something came."""
        self.sock.settimeout(max(timeout_s, 0.001))
        try:
            piece = self.sock.recv(1 << 18)
        except TimeoutError:
            return False
        except OSError:
            piece = b""
        self.ended = self.ended or not piece
        self.held += piece
        self.take()
        return True

    def take(self):
        raise NotImplementedError

    def close(self):
        self.sock.close()


class H2End(End):
    """`messages[id]` says what came on a stream; `events` in which order things were heard of."""

    def __init__(self, sock, client):
        super().__init__(sock)
        self.client = client  # the peer is a client: it begins with a preface, and requests come
        self.hpack = hpack.Decoder()
        self.hpack.max_header_list_size = 1 << 20
        self.messages = {}
        self.order = []
        self.settings = {}
        self.pongs = 0
        self.preface = not client
        self.acks = True
        self.increments = 0
        self.counts = {}

    def stream(self, n):
        if n not in self.messages:
            self.messages[n] = {"heads": [], "body": b"", "trailers": None, "ended": False, "reset": None}
            self.order.append(n)
        return self.messages[n]

    def take(self):
        if not self.preface and len(self.held) >= len(PREFACE):
            assert self.held.startswith(PREFACE)
            self.held, self.preface = self.held[len(PREFACE):], True
        while self.preface and len(self.held) >= 9:
            size = int.from_bytes(self.held[:3], "big")
            if len(self.held) < 9 + size:
                break
            kind, flags, n = self.held[3], self.held[4], int.from_bytes(self.held[5:9], "big")
            payload, self.held = self.held[9:9 + size], self.held[9 + size:]
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self.frame(kind, flags, n, payload)

    def frame(self, kind, flags, n, payload):
        if kind == 0:
            m = self.stream(n)
            m["body"] += payload
            m["ended"] = bool(flags & 1)
        elif kind == 1:
            m = self.stream(n)
            assert flags & 4, "the proxy's heads here are short"
            found = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in self.hpack.decode(payload, raw=True)]
            if m["heads"] and (self.client or m["heads"][-1][0][1][0] != "1"):
                m["trailers"] = found
            else:
                m["heads"].append(found)
            m["ended"] = bool(flags & 1)
        elif kind == 3:
            self.stream(n)["reset"] = int.from_bytes(payload, "big")
        elif kind == 4:
            if not flags & 1 and self.client:
                pass  # acknowledged by its script, which says SETTINGS first
            elif not flags & 1 and self.acks:
                for at in range(0, len(payload), 6):
                    self.settings[int.from_bytes(payload[at:at + 2], "big")] = int.from_bytes(payload[at + 2:at + 6], "big")
                self.send(raw(4, 1, 0))
        elif kind == 6:
            if flags & 1:
                self.pongs += 1
                if payload == b"12345678":
                    self.order.append("Pa")
            else:
                self.send(raw(6, 1, 0, payload))
        elif kind == 7:
            self.order.append(f"G={int.from_bytes(payload[4:8], 'big')}")
        elif kind == 8 and n:
            self.increments += int.from_bytes(payload, "big")

    def text(self):
        parts = []
        for what in self.order:
            if isinstance(what, str):
                parts.append(what)
                continue
            m = self.messages[what]
            said = [message(h, m["body"] if i == len(m["heads"]) - 1 else b"", m["trailers"] if i == len(m["heads"]) - 1 else None,
                            m["ended"] and i == len(m["heads"]) - 1, self.client) for i, h in enumerate(m["heads"])]
            if m["reset"] is not None:
                said.append(f"R={m['reset']}")
            parts.append(" ".join(said) if self.client or what == 1 else f"{what}: " + " ".join(said))
        return "; ".join(parts)


def message(head, body, trailers, ended, request):
    """The same words for both versions: "POST /p a x=1 #5 [hello] +t=1" or "200 x=1 #2 [ok]"; "[..." has not ended."""
    pseudo = dict((k, v) for k, v in head if k[0] == ":")
    if request:
        # In the order :method :path :authority, and :protocol; the scheme if it is no http.
        words = [pseudo.get(":method", "-"), pseudo.get(":path", "-"), pseudo.get(":authority", "-")]
        if pseudo.get(":protocol"):
            words.append(f"({pseudo[':protocol']})")
        if pseudo.get(":scheme", "http") != "http":
            words.append(pseudo[":scheme"])
    else:
        words = [pseudo[":status"]]
    for k, v in head:
        if k == "content-length":
            words.append(f"#{v}")
        elif k == "content-type" and v == "text/plain" and not request:
            pass
        elif k[0] != ":" and k not in OURS:
            words.append(f"{k}={v}")
    if body or not ended:
        words.append(show(body, ended))
    for k, v in trailers or ():
        words.append(f"+{k}={v}")
    return " ".join(words)


class H1End(End):
    """HTTP/1.1 messages one after the other: requests if the peer is a client, else answers to `asked` methods."""

    def __init__(self, sock, client, asked=()):
        super().__init__(sock)
        self.client = client
        self.asked = list(asked)
        self.done = []

    def take(self):
        pass  # text() looks at all there is, again and again

    def text(self):
        words, rest = [], self.held
        asked = list(self.asked)
        while rest:
            if b"\r\n\r\n" not in rest:
                words.append("?" + rest[:60].decode("latin-1"))
                break
            one, rest = self.one(rest, asked)
            words.append(one)
        return "; ".join(words)

    def one(self, data, asked):
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        found = [tuple(x.partition(":")[::2]) for x in lines[1:]]
        found = [(k.lower(), v.strip()) for k, v in found]
        get = dict(found).get
        first = lines[0].split(" ", 2)
        if self.client:
            head = [(":method", first[0]), (":path", first[1]), (":authority", get("host", "-"))]
            bodiless = "content-length" not in dict(found) and "transfer-encoding" not in dict(found)
            opaque = get("upgrade") is not None
        else:
            method = asked[0] if asked else "GET"
            status = first[1]
            if status[0] != "1" or status == "101":
                asked[:1] = []
            head = [(":status", status)]
            opaque = status == "101"
            bodiless = status[0] == "1" or status in ("204", "304") or method == "HEAD"
        head += [(k, v) for k, v in found if k != "host" and k != "transfer-encoding"]
        chunked = get("transfer-encoding", "") == "chunked"
        trailers = []
        if opaque:
            body, ended, rest = rest, self.ended, b""
            chunked = False
        elif bodiless:
            body, ended = b"", True
        elif chunked:
            body, trailers, ended, rest = chunks(rest)
        elif get("content-length") is not None:
            n = int(get("content-length"))
            body, rest = rest[:n], rest[n:]
            ended = len(body) == n
        else:
            body, ended, rest = rest, self.ended, b""
        if chunked:
            head.append(("chunked", ""))
        text = message(head, body, trailers, ended, self.client)
        return text.replace("chunked=", "chunked"), rest


def chunks(data):
    body = b""
    while b"\r\n" in data:
        size, _, rest = data.partition(b"\r\n")
        n = int(size.split(b";")[0], 16)
        if n == 0:
            if rest.startswith(b"\r\n"):
                return body, [], True, rest[2:]
            block, found, left = rest.partition(b"\r\n\r\n")
            if not found:
                return body, [], False, b""
            pairs = [x.partition(":")[::2] for x in block.decode("latin-1").split("\r\n")]
            return body, [(k.lower(), v.strip()) for k, v in pairs], True, left
        body += rest[:n]
        if len(rest) < n + 2:
            return body, [], False, b""
        data = rest[n + 2:]
    return body, [], False, b""


class Listener:
    def __init__(self, http2):
        self.http2 = http2
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.sock.getsockname()[1]

    def accept(self, timeout_s):
        self.sock.settimeout(max(timeout_s, 0.001))
        try:
            sock, _ = self.sock.accept()
        except TimeoutError:
            return None
        return H2End(sock, True) if self.http2 else H1End(sock, True)

    def close(self):
        self.sock.close()


class Play:
    """One row. Steps are (who, what):
      "C>" "O>"  the client, the origin sends: frames, or text for HTTP/1 (a client's begins with "T"), or bytes. A preface and
                 SETTINGS go before the first frames, unless they begin with "!"
      "C<" "O<"  all that each has got so far, in words; "C<." and "O<.": and then the proxy ends the connection
      "C." "O."  ends its direction
      "C#" "O#"  a function that looks at the end itself
    The origin accepts at its first step; an "O<" of nothing says that nobody calls it."""

    def __init__(self, listener, port):
        self.listener = listener
        self.port = port
        self.client = None
        self.origin = None
        self.said = set()

    def run(self, steps):
        sock = socket.create_connection(("127.0.0.1", self.port), WAIT_S)
        first = next(what for who, what in steps if who == "C>")
        if isinstance(first, str) and first.startswith("T"):
            self.client = H1End(sock, False, [x.split(" ")[0] for x in first[1:].split("\r\n") if x.endswith("HTTP/1.1")])
        else:
            self.client = H2End(sock, False)
        try:
            for who, what in steps:
                self.step(who[0], who[1:], what)
        finally:
            self.client.close()
            if self.origin:
                self.origin.close()
            while (late := self.listener.accept(0)) is not None:
                late.close()

    def step(self, who, verb, what):
        if who == "C":
            end = self.client
        elif verb[0] == "<" and not what and self.origin is None:
            self.nobody()
            return
        else:
            end = self.origin = self.origin or self.accept(what)
        if verb == ">":
            end.send(self.bytes_of(end, what, who not in self.said))
            self.said.add(who)
        elif verb == ".":
            with contextlib.suppress(OSError):  # the proxy has gone first
                end.sock.shutdown(socket.SHUT_WR)
        elif verb == "#":
            what(end)
        else:
            self.expect(end, who + verb, what)

    def accept(self, what):
        origin = self.listener.accept(WAIT_S / 2)
        if origin is None:
            self.client.read(0.2)
            raise AssertionError(f"nobody came to the origin, which waits for {what!r}; back came {self.client.text()!r}")
        return origin

    @staticmethod
    def bytes_of(end, what, first):
        if isinstance(what, bytes):
            return what
        if isinstance(end, H1End):
            return what.removeprefix("T").encode("latin-1")
        if what.startswith("!"):
            return frames(what[1:])
        return frames(("S;Sa;" if end.client else "M;S;") + what if first else what)

    def nobody(self):
        """All that the client sent has been looked at, and nobody was called."""
        c = self.client
        if isinstance(c, H2End) and not c.ended:
            before = c.pongs
            c.send(raw(6, 0, 0, b"are you?"))
            limit = time.monotonic() + WAIT_S
            while c.pongs == before and not c.ended and time.monotonic() < limit:
                c.read(0.5)
        late = self.listener.accept(0)
        if late is not None:
            while late.read(0.2) and not late.ended:
                pass
            said = late.text()
            late.close()
            assert said == "", "a refused request reached the origin"

    def expect(self, end, who, want):
        closes = who.endswith(".")
        limit = time.monotonic() + WAIT_S / 2
        while time.monotonic() < limit and not end.ended:
            if end.text() == want and not closes:
                return
            end.read(0.2)
        got = end.text()
        assert got == want, f"{who} got  {got!r}\n   want {want!r}"
        assert end.ended or not closes, f"{who} {got!r}, and the connection stays"
