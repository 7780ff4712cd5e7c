"""Around one exchange: hop-by-hop fields, Expect, upgrades, CONNECT, pipelining, persistence, limits."""
from .rows import GET, WS, Rows, chunked, get, post, up
from .table import CLOSED, KEPT, OK, Act, Until, SHUT

ROWS = Rows()
ok, bad, back = ROWS.ok, ROWS.bad, ROWS.back
POST = b"POST / HTTP/1.1"
OK_CLOSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"

# ---- hop by hop (RFC 9110 section 7.6.1)
for field in (b"keep-alive: timeout=5", b"proxy-connection: keep-alive", b"proxy-connection: close", b"te: gzip", b"te: gzip;q=1, deflate",
              b"upgrade: h2c", b"upgrade: websocket", b"http2-settings: AAMAAABk"):
    ok(f"stops here: {field.decode()}", "9110 7.6.1", get(field, b"x: 1"), up(b"x: 1"))
ok("nominated field stops here", "9110 7.6.1", get(b"Connection: X-Private", b"x-private: 1", b"x: 1"), up(b"x: 1"))
ok("nominated before and behind", "9110 7.6.1", get(b"a: 1", b"Connection: b, A", b"b: 2", b"a: 3"), up())
ok("nominated in two Connection fields", "9110 7.6.1", get(b"connection: a", b"connection: b", b"a: 1", b"b: 1"), up())
ok("Connection with empty elements", "9110 5.6.1", get(b"connection: , a,,", b"a: 1"), up())
ok("Connection: keep-alive", "9112 9.3", get(b"connection: keep-alive"), up())
ok("Connection can not remove Host", "9110 7.6.1", get(b"connection: host"), up())
ok("Connection can not remove the length", "9110 7.6.1", post(b"connection: content-length", b"content-length: 5", body=b"hello"),
   up(b"content-length: 5", line=POST, body=b"hello"))
ok("Connection can not remove the coding", "9110 7.6.1", post(b"connection: transfer-encoding", b"transfer-encoding: chunked",
                                                             body=chunked(b"hi")),
   up(b"transfer-encoding: chunked", line=POST, body=chunked(b"hi")))
ok("te: trailers goes on, nominated", "9110 10.1.4", get(b"te: trailers", b"connection: te"), up(b"te: trailers", b"connection: te"))
ok("te: trailers among others", "9110 10.1.4", get(b"te: gzip;q=0.5, trailers", b"connection: te"),
   up(b"te: trailers", b"connection: te"))
ok("proxy-authorization goes on", "9110 11.7.2", get(b"proxy-authorization: x"), up(b"proxy-authorization: x"))
ok("trailer field goes on", "9110 6.6.2", get(b"trailer: x-sum"), up(b"trailer: x-sum"))
back("nominated field of an answer stops here", "9110 7.6.1",
     b"HTTP/1.1 200 OK\r\nconnection: x-private\r\nx-private: 1\r\nx: 1\r\ncontent-length: 2\r\n\r\nok",
     b"HTTP/1.1 200 OK\r\nx: 1\r\ncontent-length: 2\r\n\r\nok")
for field in (b"keep-alive: timeout=5", b"proxy-connection: x", b"upgrade: h2c", b"te: trailers"):
    back(f"answer: stops here: {field.decode()}", "9110 7.6.1",
         b"HTTP/1.1 200 OK\r\n" + field + b"\r\ncontent-length: 2\r\n\r\nok", OK)
back("service that closes does not close the client", "9110 7.6.1", Act(OK_CLOSE, CLOSED), OK)
back("proxy-authenticate goes on", "9110 11.7.1", b"HTTP/1.1 407 X\r\nproxy-authenticate: a\r\ncontent-length: 0\r\n\r\n",
     b"HTTP/1.1 407 X\r\nproxy-authenticate: a\r\ncontent-length: 0\r\n\r\n")

# ---- Expect (RFC 9110 section 10.1.1)
EXPECT = get(b"content-length: 4", b"expect: 100-continue", line=POST)
EXPECTED = up(b"expect: 100-continue", b"content-length: 4", line=POST, body=b"body")
C100 = b"HTTP/1.1 100 Continue\r\n\r\n"
ok("100, then the body", "9110 10.1.1", [EXPECT, Until(b"100 Continue\r\n\r\n"), b"body"], EXPECTED, C100 + OK,
   acts=[Act([C100, 0.01, OK], early=True)])
ok("body without waiting for 100", "9110 10.1.1", EXPECT + b"body", EXPECTED)
ok("final answer instead of 100 ends the connection", "9110 10.1.1", EXPECT,
   up(b"expect: 100-continue", b"content-length: 4", line=POST), then=CLOSED,
   acts=[Act(b"HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n", CLOSED, early=True)],
   want=b"HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
ok("expect with chunks", "9110 10.1.1", [get(b"transfer-encoding: chunked", b"expect: 100-continue", line=POST),
                                        Until(b"100 Continue\r\n\r\n"), chunked(b"hi")],
   up(b"expect: 100-continue", b"transfer-encoding: chunked", line=POST, body=chunked(b"hi")), C100 + OK,
   acts=[Act([C100, 0.01, OK], early=True)])
ok("expect in capitals", "9110 10.1.1", [get(b"content-length: 4", b"expect: 100-CONTINUE", line=POST),
                                         Until(b"100 Continue\r\n\r\n"), b"body"],
   up(b"expect: 100-CONTINUE", b"content-length: 4", line=POST, body=b"body"), C100 + OK,
   acts=[Act([C100, 0.01, OK], early=True)])
ok("expect without a body", "9110 10.1.1", get(b"expect: 100-continue"), up(b"expect: 100-continue"))

# ---- upgrades (RFC 9110 section 7.8, RFC 6455)
UP = up(b"upgrade: websocket", b"connection: upgrade", line=b"GET /ws HTTP/1.1")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
ok("websocket", "9110 7.8", [WS + b"\r\n", Until(b"\r\n\r\n"), b"ping", Until(b"ping"), SHUT], UP + b"ping",
   SWITCHED + b"ping", CLOSED, [Act(SWITCH, opaque=True)])
ok("websocket, first bytes at once", "9110 7.8", [WS + b"\r\n" + b"ping", Until(b"ping"), SHUT], UP + b"ping",
   SWITCHED + b"ping", CLOSED, [Act(SWITCH, opaque=True)])
ok("websocket, bytes like a request are bytes", "9110 7.8", [WS + b"\r\n" + GET, Until(GET), SHUT], UP + GET,
   SWITCHED + GET, CLOSED, [Act(SWITCH, opaque=True)])
ok("websocket, service speaks first", "9110 7.8", [WS + b"\r\n", Until(b"hello"), SHUT], UP, SWITCHED + b"hello", CLOSED,
   [Act(SWITCH + b"hello", opaque=True)])
ok("upgrade refused, the connection goes on", "9110 7.8", WS + b"\r\n", UP)
ok("upgrade refused, what was pipelined is a request", "9110 7.8", WS + b"\r\n" + GET, [UP, up()], OK + OK)
ok("upgrade refused with 426", "9110 15.5.22", WS + b"\r\n", UP, b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n",
   acts=[b"HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n"])
ok("upgrade of two protocols is none", "9110 7.8", get(b"connection: upgrade", b"upgrade: websocket, h2c"), up())
ok("upgrade to h2c is none", "9113 3.1", get(b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABk"), up())
ok("upgrade not nominated is none", "9110 7.8", get(b"upgrade: websocket"), up())
ok("upgrade nominated but absent is none", "9110 7.8", get(b"connection: upgrade"), up())
ok("upgrade twice is none", "9110 7.8", get(b"connection: upgrade", b"upgrade: websocket", b"upgrade: websocket"), up())
ok("upgrade with a body is none", "9110 7.8", post(b"connection: upgrade", b"upgrade: websocket", b"content-length: 2", body=b"hi"),
   up(b"content-length: 2", line=POST, body=b"hi"))
ok("upgrade where it is not configured", "9110 7.8", WS + b"\r\n", [], b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", on="bare")

# ---- CONNECT (RFC 9110 section 9.3.6)


def connect(target=b"a:443", *lines):
    return get(*lines, line=b"CONNECT " + target + b" HTTP/1.1")


C200 = b"HTTP/1.1 200 OK\r\n\r\n"
ok("tunnel", "9110 9.3.6", [connect(), Until(b"\r\n\r\n"), b"ping", Until(b"ping"), SHUT], [], C200 + b"ping", CLOSED, on="tunnel")
ok("tunnel, bytes at once", "9110 9.3.6", [connect() + GET, Until(GET), SHUT], [], C200 + GET, CLOSED, on="tunnel")
ok("tunnel to an address", "9112 3.2.3", [connect(b"[::1]:443") + b"x", Until(b"\r\n\r\nx"), SHUT], [], C200 + b"x", CLOSED, on="tunnel")
ok("CONNECT where it is not configured", "9110 9.3.6", connect(), [], b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
for target in (b"a", b"/", b"*", b"a:", b":443", b"a:x", b"a:99999", b"http://a:443/", b"u@a:443", b"a:443/", b"a:443?x", b"a,b:443"):
    bad(f"CONNECT {target.decode()}", "9112 3.2.3", connect(target), on="tunnel")
bad("CONNECT with a length", "9110 9.3.6", connect(b"a:443", b"content-length: 5") + b"hello", on="tunnel")
bad("CONNECT with chunks", "9110 9.3.6", connect(b"a:443", b"transfer-encoding: chunked") + chunked(b"hi"), on="tunnel")
bad("CONNECT without host", "9112 3.2", b"CONNECT a:443 HTTP/1.1\r\n\r\n", on="tunnel")
CUP = up(line=b"CONNECT a:443 HTTP/1.1", host=b"a:443")
ok("CONNECT goes on to a proxy", "9110 9.3.6", [connect(), Until(b"\r\n\r\n"), b"ping", Until(b"ping"), SHUT], CUP + b"ping",
   C200 + b"ping", CLOSED, [Act(C200, opaque=True)], on="chain")
ok("CONNECT answered with 200 and a length: it has none", "9110 9.3.6", [connect(), Until(b"\r\n\r\n"), b"ping", Until(b"ping"), SHUT],
   CUP + b"ping", C200 + b"ping", CLOSED, [Act(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", opaque=True)], on="chain")
ok("CONNECT answered with 200 and chunked: it has none", "9110 9.3.6", [connect(), Until(b"\r\n\r\n"), b"ping", Until(b"ping"), SHUT],
   CUP + b"ping", C200 + b"ping", CLOSED, [Act(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", opaque=True)], on="chain")
ok("CONNECT refused by the next proxy", "9110 9.3.6", connect(), CUP, b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno",
   acts=[b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno"], on="chain")
ok("CONNECT refused, what was pipelined is a request", "9110 9.3.6", connect() + GET, [CUP, up()],
   b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno" + OK, acts=[b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno", OK], on="chain")

# ---- pipelining and persistence (RFC 9112 section 9.3)
ok("two in one", "9112 9.3.2", GET + GET, [up(), up()], OK + OK)
ok("five in one, answers in order", "9112 9.3.2", b"".join(get(line=b"GET /%d HTTP/1.1" % i) for i in range(5)),
   [up(line=b"GET /%d HTTP/1.1" % i) for i in range(5)],
   b"".join(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % i for i in range(5)),
   acts=[b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % i for i in range(5)])
ok("get, post, get in one", "9112 9.3.2", GET + post(b"content-length: 2", body=b"hi") + GET,
   [up(), up(b"content-length: 2", line=POST, body=b"hi"), up()], OK * 3)
ok("head, then get", "9112 9.3.2", get(line=b"HEAD / HTTP/1.1") + GET, [up(line=b"HEAD / HTTP/1.1"), up()],
   OK[:-2] + OK, acts=[OK[:-2], OK])
ok("good, then bad", "9112 9.3.2", GET + b"BAD\r\n\r\n", up(), OK + b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n"
   b"connection: close\r\n\r\n", CLOSED)
ok("good, then two lengths", "9112 9.3.2", GET + post(b"content-length: 1", b"content-length: 2", body=b"xx"), up(),
   OK + b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", CLOSED)
ok("close", "9112 9.6", get(b"connection: close"), up(), OK_CLOSE, CLOSED)
ok("close in capitals and a list", "9112 9.6", get(b"connection: x, CLOSE"), up(), OK_CLOSE, CLOSED)
ok("close wins over keep-alive", "9112 9.3", get(b"connection: keep-alive, close"), up(), OK_CLOSE, CLOSED)
ok("what follows close is not read", "9112 9.6", get(b"connection: close") + GET, up(), OK_CLOSE, CLOSED)
ok("client ends its side and gets its answer", "9112 9.6", [GET, SHUT], up(), OK_CLOSE, CLOSED, [Act([0.03, OK])])
ok("bad request, then nothing more is read", "9112 9.6", [b"GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n" + GET], [],
   b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", CLOSED)
ok("head byte by byte", "9112 2", [bytes([b]) for b in get(b"x: 1")], up(b"x: 1"))
ok("post byte by byte", "9112 7.1", [bytes([b]) for b in post(b"transfer-encoding: chunked", body=chunked(b"hi"))],
   up(b"transfer-encoding: chunked", line=POST, body=chunked(b"hi")))
ok("early answer to a long body ends the connection", "9112 9.3", post(b"content-length: 100000000", body=b"x" * 1000),
   up(b"content-length: 100000000", line=POST), then=CLOSED,
   acts=[Act(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", CLOSED, early=True)],
   want=b"HTTP/1.1 413 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

# ---- limits (RFC 9110 section 5.4, RFC 9112 section 3)
ok("ten fields of ten", "9110 5.4", get(*[b"x%d: 1" % i for i in range(9)]), up(*[b"x%d: 1" % i for i in range(9)]), on="small")
bad("eleven fields of ten", "9110 5.4", get(*[b"x%d: 1" % i for i in range(10)]), 431, on="small")
bad("field of 3 KiB of 2", "9110 5.4", get(b"x: " + b"v" * 3000), 431, on="small")
bad("target of 3 KiB of 2", "9112 3", get(line=b"GET /" + b"v" * 3000 + b" HTTP/1.1"), 414, on="small")
bad("head that has no end", "9110 5.4", b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"v" * 3000, 431, on="small")
bad("method that has no end", "9112 3", b"G" * 3000, 414, on="small")
ok("target of 8000", "9112 3", get(line=b"GET /" + b"v" * 8000 + b" HTTP/1.1"), up(line=b"GET /" + b"v" * 8000 + b" HTTP/1.1"))
ok("field of 32 KiB", "9110 5.4", get(b"x: " + b"v" * 32768), up(b"x: " + b"v" * 32768))
bad("head of 70 KiB", "9110 5.4", get(b"x: " + b"v" * 70000), 431)
bad("101 fields", "9110 5.4", get(*[b"x%d: 1" % i for i in range(101)]), 431)
assert KEPT
