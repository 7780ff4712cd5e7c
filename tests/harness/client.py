"""Clients for tests: whole requests in one call, and raw bytes where every one counts."""

import http.client
import json
import socket
import ssl

TIMEOUT_S = 20


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # [(lower-case name, value)]
        self.body = body

    def get(self, name, default=None):
        return next((v for n, v in self.headers if n == name), default)

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"Answer({self.status}, {self.headers}, {self.body[:200]!r})"


class Http:
    """A keep-alive HTTP/1.1 connection."""

    def __init__(self, port, timeout_s=TIMEOUT_S):
        self._c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._c.close()

    def send(self, method, path, body=None, headers=None, chunked=False):
        self._c.request(method, path, body, headers or {}, encode_chunked=chunked)

    def answer(self):
        r = self._c.getresponse()
        return Answer(r.status, [(n.lower(), v) for n, v in r.getheaders()], r.read())

    def request(self, method, path, body=None, headers=None, chunked=False):
        self.send(method, path, body, headers, chunked)
        return self.answer()

    def get(self, path, **headers):
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})


def get(port, path, **headers):
    with Http(port) as c:
        return c.get(path, **headers)


def request(port, method, path, body=None, headers=None, chunked=False):
    with Http(port) as c:
        return c.request(method, path, body, headers, chunked)


class Raw:
    """A TCP connection, byte by byte."""

    def __init__(self, port, rcvbuf=None, timeout_s=TIMEOUT_S, host="127.0.0.1"):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout_s)
        self.sock.connect((host, port))
        self._held = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def end(self):
        """Half-close: no more from us."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()

    def until(self, marker):
        """Bytes up to and including the marker."""
        while marker not in self._held:
            piece = self.sock.recv(1 << 16)
            if not piece:
                raise EOFError(f"ended before {marker!r}: {self._held[-500:]!r}")
            self._held += piece
        at = self._held.index(marker) + len(marker)
        found, self._held = self._held[:at], self._held[at:]
        return found

    def exactly(self, count):
        while len(self._held) < count:
            piece = self.sock.recv(1 << 16)
            if not piece:
                raise EOFError(f"ended after {len(self._held)} of {count} bytes")
            self._held += piece
        found, self._held = self._held[:count], self._held[count:]
        return found

    def all(self):
        """To the end of the stream; a reset ends it too."""
        try:
            while (piece := self.sock.recv(1 << 16)):
                self._held += piece
        except ConnectionError:
            pass
        found, self._held = self._held, b""
        return found

    def answer(self):
        """One HTTP/1.1 answer with a content-length."""
        head = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = [tuple(x.strip() for x in line.split(":", 1)) for line in head[1:] if line]
        headers = [(n.lower(), v) for n, v in headers]
        length = int(dict(headers).get("content-length", 0))
        return Answer(int(head[0].split()[1]), headers, self.exactly(length))


def tls_connect(port, identity=None, alpn=("http/1.1",), sni="server", version=None):
    """A TLS connection that takes any server: what it presents is for the test to judge."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    if identity:
        context.load_cert_chain(identity.cert, identity.key)
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    return context.wrap_socket(sock, server_hostname=sni)


def presented(port, identity):
    """The leaf, as PEM bytes, that the server at this port presents."""
    with tls_connect(port, identity) as s:
        return ssl.DER_cert_to_PEM_cert(s.getpeercert(True)).strip().encode()


def refused(port, identity, **more):
    """Whether the server ends the connection instead of answering a request."""
    try:
        with tls_connect(port, identity, **more) as s:
            s.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            return s.recv(1000) == b""
    except (ssl.SSLError, ConnectionError):
        return True
