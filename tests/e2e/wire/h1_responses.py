"""Answers of services, good and bad: what reaches the client, and that nothing reaches another request."""
from .rows import GET, Rows, answer, get, post, up
from .table import BLURT, CLOSED, KEPT, OK, Act, Until

ROWS = Rows()
ok, back = ROWS.ok, ROWS.back
PROTO = b"upstream connect error or disconnect/reset before headers. reset reason: protocol error"
GONE = b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"
BAD = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%s" % (len(PROTO), PROTO)
LOST = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%s" % (len(GONE), GONE)
E5 = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
HEAD = get(line=b"HEAD / HTTP/1.1")
HUP = up(line=b"HEAD / HTTP/1.1")


def refused(name, section, said, then=KEPT, **more):
    """The service breaks HTTP before the client got anything: 502, and its connection is not used again."""
    back(name, section, Act(said, "close"), BAD, then, **more)


# ---- status line (RFC 9112 section 4)
back("plain", "9112 4", OK, OK)
back("reason is kept", "9112 4", answer(b"content-length: 0", status=b"200 Very Well"), answer(b"content-length: 0", status=b"200 Very Well"))
back("reason is empty", "9112 4", answer(b"content-length: 0", status=b"200 "), answer(b"content-length: 0"))
back("reason with high bytes", "9112 4", answer(b"content-length: 0", status=b"200 \xc3\xa4"), answer(b"content-length: 0", status=b"200 \xc3\xa4"))
for status in (b"201 X", b"299 X", b"301 X", b"400 X", b"418 X", b"451 X", b"500 X", b"503 X", b"599 X", b"600 X", b"799 X", b"999 X"):
    back(f"status {status[:3].decode()}", "9110 15", answer(b"content-length: 0", status=status), answer(b"content-length: 0", status=status))
back("names become lower case", "9110 5.1", answer(b"X-Foo: Bar", b"Content-Length: 0"), answer(b"x-foo: Bar", b"content-length: 0"))
back("set-cookie twice", "9110 5.3", answer(b"set-cookie: a", b"set-cookie: b", b"content-length: 0"),
     answer(b"set-cookie: a", b"set-cookie: b", b"content-length: 0"))
back("1.0 answer with a length", "9112 2.3", Act(answer(b"content-length: 2", version=b"HTTP/1.0", body=b"ok"), "close"), OK)
back("missing reason and blank", "9112 4", answer(b"content-length: 0", status=b"200"), answer(b"content-length: 0", status=b"200 OK"))
for line in (b"HTTP/1.1  200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 2x0 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1 099 OK",
             b"HTTP/1.1 000 OK", b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK", b"http/1.1 200 OK", b"HTTP/1 200 OK", b"ICY 200 OK",
             b"HTTP/1.1\t200 OK", b" HTTP/1.1 200 OK", b"HTTP/1.1200 OK", b"200 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 200 O\0K",
             b"HTTP/1.1 200 O\rK", b"\x16\x03\x01", b"HTTP/1.1", b"GET / HTTP/1.1", b"HTTP/1.1 0x1 OK", b"HTTP/1.1 +20 OK"):
    refused(f"status line {line!r}", "9112 4", line + b"\r\ncontent-length: 2\r\n\r\nok")
refused("empty line before the status line", "9112 2.2", b"\r\n" + OK)
refused("status line ends with LF", "9112 2.2", b"HTTP/1.1 200 OK\ncontent-length: 2\r\n\r\nok")
refused("only LF", "9112 2.2", b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok")

# ---- fields
for line in (b"x y: 1", b"x : 1", b"x", b": 1", b"x: a\0b", b"x: a\rb", b"x\0: 1", b"x: a\nb", b" x: 1", b"x(: 1", b"x\x80: 1"):
    refused(f"field {line!r}", "9112 5", answer(line, b"content-length: 2", body=b"ok"))
refused("folded field", "9112 5.2", answer(b"x: a", b" b", b"content-length: 2", body=b"ok"))
refused("head of 100 KiB", "9110 5.4", answer(b"x: " + b"v" * 100000, b"content-length: 2", body=b"ok"))
refused("150 fields", "9110 5.4", answer(*[b"x%d: 1" % i for i in range(150)], b"content-length: 2", body=b"ok"))

# ---- framing (RFC 9112 section 6.3)
back("chunked", "9112 7.1", E5, E5)
back("chunked with extensions", "9112 7.1.1", E5.replace(b"5\r\n", b"5;a=b\r\n"), E5)
back("trailers without te are dropped", "9110 6.5.1", E5.replace(b"0\r\n\r\n", b"0\r\nx: 1\r\n\r\n"), E5)
back("trailers with te", "9112 7.1.2", E5.replace(b"0\r\n\r\n", b"0\r\nx: 1\r\n\r\n"), E5.replace(b"0\r\n\r\n", b"0\r\nx: 1\r\n\r\n"),
     send=get(b"te: trailers", b"connection: te"), seen=up(b"te: trailers", b"connection: te"))
back("forbidden trailers are left out", "9110 6.5.1", E5.replace(b"0\r\n\r\n", b"0\r\nx: 1\r\ncontent-length: 9\r\nset-cookie: a\r\n\r\n"),
     E5.replace(b"0\r\n\r\n", b"0\r\nx: 1\r\n\r\n"), send=get(b"te: trailers", b"connection: te"),
     seen=up(b"te: trailers", b"connection: te"))
back("until close becomes chunks", "9112 6.3", Act(answer(body=b"ok"), "close"),
     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
back("length zero", "9112 6.2", answer(b"content-length: 0"), answer(b"content-length: 0"))
refused("length and chunked", "9112 6.3", answer(b"content-length: 5", b"transfer-encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"))
refused("length twice", "9112 6.3", answer(b"content-length: 2", b"content-length: 2", body=b"ok"))
refused("lengths differ", "9112 6.3", answer(b"content-length: 2", b"content-length: 1", body=b"ok"))
refused("length list", "9112 6.3", answer(b"content-length: 2, 2", body=b"ok"))
for value in (b"+2", b"-2", b"2x", b"0x2", b"", b"2 2", b"99999999999999999999"):
    refused(f"length {value!r}", "9112 6.3", answer(b"content-length: " + value, body=b"ok"))
refused("gzip, chunked", "9112 6.1", answer(b"transfer-encoding: gzip, chunked", body=b"0\r\n\r\n"))
refused("chunked, gzip", "9112 6.1", answer(b"transfer-encoding: chunked, gzip", body=b"0\r\n\r\n"))
refused("chunked twice", "9112 6.1", answer(b"transfer-encoding: chunked", b"transfer-encoding: chunked", body=b"0\r\n\r\n"))
refused("coding in HTTP/1.0", "9112 6.1", answer(b"transfer-encoding: chunked", version=b"HTTP/1.0", body=b"2\r\nok\r\n0\r\n\r\n"))
refused("coding obfuscated", "9112 6.1", answer(b"transfer-encoding: xchunked", body=b"2\r\nok\r\n0\r\n\r\n"))

# ---- answers without a body (RFC 9110 sections 6.4.1, 15.3.5, 15.4.5)
for name, said, want in (("204", b"204 No Content", b"204 No Content"), ("304", b"304 Not Modified", b"304 Not Modified")):
    back(name, "9110 6.4.1", answer(status=said), answer(status=want))
back("204 with a length loses it", "9110 8.6", answer(b"content-length: 0", status=b"204 X"), answer(status=b"204 X"))
back("304 with the length of the other", "9110 8.6", answer(b"content-length: 7", status=b"304 X"), answer(b"content-length: 7", status=b"304 X"))
refused("204 with chunks", "9112 6.1", answer(b"transfer-encoding: chunked", status=b"204 X", body=b"0\r\n\r\n"))
back("204 with bytes behind: never for another", "9112 6.3", answer(status=b"204 X", body=b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"),
     answer(status=b"204 X"))
back("304 with bytes behind: never for another", "9112 6.3", answer(b"content-length: 6", status=b"304 X", body=b"poison"),
     answer(b"content-length: 6", status=b"304 X"))
back("205 has length 0", "9110 15.3.6", answer(b"content-length: 0", status=b"205 X"), answer(b"content-length: 0", status=b"205 X"))
back("HEAD with a length", "9110 9.3.2", answer(b"content-length: 7"), answer(b"content-length: 7"), send=HEAD, seen=HUP)
back("HEAD without a length", "9110 9.3.2", answer(), answer(), send=HEAD, seen=HUP)
back("HEAD with chunked", "9110 9.3.2", answer(b"transfer-encoding: chunked"), answer(), send=HEAD, seen=HUP)
back("HEAD answered with a body: never for another", "9110 9.3.2", answer(b"content-length: 6", body=b"poison"),
     answer(b"content-length: 6"), send=HEAD, seen=HUP)

# ---- 1xx (RFC 9110 section 15.2)
HINT = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
back("103", "9110 15.2", HINT + OK, HINT + OK)
back("103 twice", "9110 15.2", HINT + HINT + OK, HINT + HINT + OK)
back("103 in pieces", "9110 15.2", Act([HINT[:20], 0.01, HINT[20:], 0.01, OK]), HINT + OK)
back("100 that nobody asked for", "9110 15.2", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
back("102", "9110 15.2", b"HTTP/1.1 102 Processing\r\n\r\n" + OK, b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
back("1xx with a length loses it", "9110 8.6", b"HTTP/1.1 103 Early Hints\r\ncontent-length: 5\r\n\r\n" + OK, b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
refused("1xx with chunks", "9112 6.1", b"HTTP/1.1 103 X\r\ntransfer-encoding: chunked\r\n\r\n" + OK)
refused("101 that nobody asked for", "9110 15.2.2", b"HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")

# ---- services that break off
back("close without a word", "9112 9.6", Act(b"", "close"), LOST)
back("reset without a word", "9112 9.6", Act(b"", "reset"), LOST)
back("close in the status line", "9112 8", Act(b"HTTP/1.1 2", "close"), LOST)
back("close in the head", "9112 8", Act(b"HTTP/1.1 200 OK\r\ncontent-", "close"), LOST)
back("close behind 1xx", "9112 8", Act(HINT, "close"), HINT + LOST)
back("close in a body", "9112 8", Act(answer(b"content-length: 5", body=b"he"), "close"), answer(b"content-length: 5", body=b"he"), CLOSED)
back("reset in a body", "9112 8", Act([answer(b"content-length: 5", body=b"he"), 0.02], "reset"), answer(b"content-length: 5", body=b"he"), CLOSED)
back("close in a chunk", "9112 8", Act(E5[:E5.index(b"llo")], "close"), E5[:E5.index(b"5\r\n")] + b"2\r\nhe\r\n", CLOSED)
back("no last chunk", "9112 8", Act(E5[:-5], "close"), E5[:-5], CLOSED)
back("close in the trailers", "9112 8", Act(E5[:-2] + b"x: ", "close"), E5[:-5], CLOSED)
for name, chunk in (("bad size", b"x\r\nhello\r\n"), ("size ends with LF", b"5\nhello\r\n"), ("overflow", b"fffffffffffffffff\r\nhello\r\n")):
    back(f"chunk: {name}", "9112 7.1", Act(E5[:E5.index(b"5\r\n")] + chunk, "close"), b"", CLOSED)
back("chunk longer than its size", "9112 7.1", Act(E5.replace(b"hello", b"helloX"), "close"), E5[:-5], CLOSED)

# ---- bytes that nobody asked for (RFC 9112 section 9.2): never for another request
POISON = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
back("two answers to one request", "9112 9.2", OK + POISON, OK)
back("body longer than its length", "9112 6.3", OK + b"more", OK)
back("bytes behind the last chunk", "9112 6.3", E5 + b"more", E5)
back("a line end too many", "9112 9.2", OK + b"\r\n", OK)
back("answer on an idle connection", "9112 9.2", Act(OK, after=POISON), OK, send=[GET, Until(b"\r\n\r\nok"), BLURT])
back("408 on an idle connection", "9110 15.5.9", Act(OK, after=b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
     OK, send=[GET, Until(b"\r\n\r\nok"), BLURT])
ok("two answers to the first of two", "9112 9.2", GET + get(line=b"GET /2 HTTP/1.1"), [up(), up(line=b"GET /2 HTTP/1.1")], OK + OK,
   acts=[OK + POISON, OK])
ok("early answer, body half sent: not used again", "9112 9.3", [post(b"content-length: 10", body=b"hello"), Until(b"\r\n\r\nok"), b"world"],
   up(b"content-length: 10", line=b"POST / HTTP/1.1"), acts=[Act(OK, "close", early=True)])
ok("POST is not sent twice", "9110 9.2.2", GET + post(b"content-length: 2", body=b"hi"),
   [up(), up(b"content-length: 2", line=b"POST / HTTP/1.1", body=b"hi")], OK + LOST, acts=[OK, Act(b"", "close")])
ok("GET on a stale connection is sent once more", "9112 9.3.1", GET + get(line=b"GET /2 HTTP/1.1"),
   [up(), up(line=b"GET /2 HTTP/1.1"), up(line=b"GET /2 HTTP/1.1")], OK + OK, acts=[OK, Act(b"", "close"), OK])
