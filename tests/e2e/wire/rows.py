"""Short forms in which the rows of a table are written."""
from .table import CLOSED, KEPT, OK, Row

H = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
WS = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"


def get(*lines, line=b"GET / HTTP/1.1"):
    """A request without a body; Host is `a` unless `lines` begin with another."""
    return line + b"\r\n" + H + b"".join(x + b"\r\n" for x in lines) + b"\r\n"


def post(*lines, body=b"", line=b"POST / HTTP/1.1"):
    return get(*lines, line=line) + body


def up(*lines, line=b"GET / HTTP/1.1", host=b"a", body=b""):
    """A request as the service gets it: Host first, names in lower case."""
    return b"%s\r\nhost: %s\r\n" % (line, host) + b"".join(x + b"\r\n" for x in lines) + b"\r\n" + body


def answer(*lines, status=b"200 OK", body=b"", version=b"HTTP/1.1"):
    return version + b" " + status + b"\r\n" + b"".join(x + b"\r\n" for x in lines) + b"\r\n" + body


def chunked(*pieces, trailers=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n" + trailers + b"\r\n"


class Rows(list):
    def ok(self, name, section, send, seen, want=OK, then=KEPT, acts=(), **more):
        """Goes through: `seen` at the service."""
        self.append(Row(name, section, send, seen, acts, want, then, **more))

    def bad(self, name, section, send, status=400, **more):
        """Refused: nothing reaches the service, and the connection ends."""
        self.append(Row(name, section, send, [], [], status, CLOSED, **more))

    def back(self, name, section, act, want, then=KEPT, send=GET, seen=None, **more):
        """What the service answers to a GET, and what reaches the client."""
        self.append(Row("answer: " + name, section, send, up() if seen is None else seen, [act], want, then, **more))
