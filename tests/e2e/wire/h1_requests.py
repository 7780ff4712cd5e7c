"""HTTP/1 requests: what goes on to the service, what is refused."""
from .table import CLOSED, KEPT, OK, Row

ROWS = []
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def row(name, section, send, seen, want=OK, then=KEPT, acts=(), **more):
    ROWS.append(Row(name, section, send, seen, acts, want, then, **more))


def bad(name, section, send, status=400, **more):
    """Refused: nothing reaches the service, and the connection ends."""
    ROWS.append(Row(name, section, send, [], [], status, CLOSED, **more))


row("plain get", "9112 3", GET, GET)
bad("no host", "9112 3.2", b"GET / HTTP/1.1\r\n\r\n")
bad("bare lf", "9112 2.2", b"GET / HTTP/1.1\nhost: a\n\n")
