"""How a request's body is framed (RFC 9112 sections 6 and 7): one reading, or none."""
from .rows import GET, Rows, chunked, get, post, up
from .table import KEPT, OK, Until

ROWS = Rows()
ok, bad = ROWS.ok, ROWS.bad
POST = b"POST / HTTP/1.1"


def length(*values, body=b"hello"):
    return post(*[b"Content-Length:" + v for v in values], body=body)


def coded(*values, body=chunked(b"hello"), more=()):
    return post(*[b"Transfer-Encoding:" + v for v in values], *more, body=body)


PLAIN5 = up(b"content-length: 5", line=POST, body=b"hello")
CHUNKED5 = up(b"transfer-encoding: chunked", line=POST, body=chunked(b"hello"))

# ---- Content-Length (RFC 9112 section 6.2, RFC 9110 section 8.6)
ok("length", "9112 6.2", length(b" 5"), PLAIN5)
ok("length without a blank", "9112 6.2", length(b"5"), PLAIN5)
ok("length with blanks around", "9112 6.2", length(b" \t5\t "), PLAIN5)
ok("length zero", "9112 6.2", length(b" 0", body=b""), up(b"content-length: 0", line=POST))
ok("length with leading zeros", "9110 8.6", length(b" 005"), PLAIN5)
ok("length of a GET", "9110 9.3.1", get(b"content-length: 2") + b"hi", up(b"content-length: 2", body=b"hi"))
ok("length zero of a GET", "9110 9.3.1", get(b"content-length: 0"), up(b"content-length: 0"))
ok("body in pieces", "9112 6.2", [length(b" 5", body=b"he"), b"l", b"lo"], PLAIN5)
ok("body and the next request in one", "9112 6.2", length(b" 5") + GET, [PLAIN5, up()], OK + OK)
ok("body that looks like a request", "9112 6.2", length(b" %d" % len(GET), body=GET) + GET,
   [up(b"content-length: %d" % len(GET), line=POST, body=GET), up()], OK + OK)
bad("length twice, the same", "9112 6.3", length(b" 5", b" 5"))
bad("length twice, different", "9112 6.3", length(b" 5", b" 6"))
bad("length as a list, the same", "9112 6.3", length(b" 5, 5"))
bad("length as a list, different", "9112 6.3", length(b" 5, 6"))
for value in (b" +5", b" -5", b" -0", b" 0x5", b" 5a", b" a5", b" 5 5", b" 5.0", b" 5;", b" 5,", b" ,5", b"", b"  ", b' "5"',
              b" 1e1", b" \x0b5", b" 5\0", b" 5_0", b" \xd9\xa5", b" five", b" 18446744073709551615",
              b" 18446744073709551616", b" 9223372036854775808", b" 99999999999999999999999999", b" 5 ,"):
    bad(f"length{value!r}", "9112 6.3", length(value))
bad("blank before the colon of length", "9112 5.1", post(b"Content-Length : 5", body=b"hello"))
bad("length by line folding", "9112 5.2", post(b"Content-Length:", b" 5", body=b"hello"))
ok("a name that is nearly length", "9112 6.3", get(b"content_length: 5"), up(b"content_length: 5"))
ok("a name that is nearly length, again", "9112 6.3", get(b"content-lengths: 5"), up(b"content-lengths: 5"))

# ---- Transfer-Encoding (RFC 9112 section 6.1)
ok("chunked", "9112 6.1", coded(b" chunked"), CHUNKED5)
ok("chunked in capitals", "9112 7", coded(b" CHUNKED"), CHUNKED5)
ok("chunked without a blank", "9112 6.1", coded(b"chunked"), CHUNKED5)
ok("chunked with blanks around", "9112 6.1", coded(b" \tchunked \t"), CHUNKED5)
ok("chunked and the next request in one", "9112 6.1", coded(b" chunked") + GET, [CHUNKED5, up()], OK + OK)
ok("chunked get", "9112 6.1", get(b"transfer-encoding: chunked") + chunked(b"hi"),
   up(b"transfer-encoding: chunked", body=chunked(b"hi")))
bad("length and chunked", "9112 6.3", post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=chunked(b"hello")))
bad("chunked and length", "9112 6.3", post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=chunked(b"hello")))
bad("length zero and chunked", "9112 6.3", post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=chunked(b"hello")))
bad("chunked twice", "9112 6.1", coded(b" chunked", b" chunked"))
bad("chunked twice in a list", "9112 6.1", coded(b" chunked, chunked"), 501)
bad("chunked is not last", "9112 6.3", coded(b" chunked, identity"))
bad("chunked is not last, by two fields", "9112 6.3", coded(b" chunked", b" identity"))
bad("identity", "9112 6.1", coded(b" identity"))
bad("gzip alone", "9112 6.3", coded(b" gzip"))
bad("gzip, then chunked", "9112 6.1", coded(b" gzip, chunked"), 501)
bad("gzip and chunked by two fields", "9112 6.1", coded(b" gzip", b" chunked"))
bad("an unknown coding before chunked", "9112 6.1", coded(b" foo, chunked"), 501)
for value in (b"", b" ", b" ,", b" xchunked", b" chunkedx", b" chunked;q=1", b' "chunked"', b" chun ked", b" \x0bchunked",
              b" chunked\0", b" [chunked]", b" chunked\x0b", b" =chunked", b" chunk", b" x chunked", b" chunked x"):
    bad(f"coding{value!r}", "9112 6.1", coded(value))
bad("coding with an empty element at the end", "9110 5.6.1", coded(b" chunked,"))
bad("coding with an empty element in front", "9110 5.6.1", coded(b" ,chunked"), 501)
bad("blank before the colon of coding", "9112 5.1", post(b"Transfer-Encoding : chunked", body=chunked(b"hello")))
bad("coding by line folding", "9112 5.2", post(b"Transfer-Encoding:", b" chunked", body=chunked(b"hello")))
bad("coding in a folded line of another", "9112 5.2", post(b"x: y", b" Transfer-Encoding: chunked", body=chunked(b"hello")))
bad("coding behind a bare CR", "9112 2.2", post(b"x: y\rTransfer-Encoding: chunked", body=chunked(b"hello")))
bad("coding behind NUL", "9110 5.5", post(b"x: y\0Transfer-Encoding: chunked", body=chunked(b"hello")))
ok("a name that is nearly coding goes on as any", "9112 6.1", get(b"transfer_encoding: chunked"), up(b"transfer_encoding: chunked"))
ok("body and no framing is the next request", "9112 6.3", post() + GET, [up(b"content-length: 0", line=POST), up()], OK + OK)

# ---- chunks (RFC 9112 section 7.1)


def raw(body):
    return post(b"Transfer-Encoding: chunked", body=body)


def cut(name, section, body, want=400):
    """Malformed while the body comes: the service sees a head at most, never the end."""
    bad(name, section, raw(body), want)


ok("no chunk but the last", "9112 7.1", raw(b"0\r\n\r\n"), up(b"content-length: 0", line=POST))
ok("two chunks", "9112 7.1", raw(chunked(b"he", b"llo")), up(b"transfer-encoding: chunked", line=POST,
                                                          body=chunked(b"hello")))
ok("size in capitals", "9112 7.1", raw(b"A\r\n0123456789\r\n0\r\n\r\n"),
   up(b"transfer-encoding: chunked", line=POST, body=b"a\r\n0123456789\r\n0\r\n\r\n"))
ok("size with leading zeros", "9112 7.1", raw(b"0005\r\nhello\r\n000\r\n\r\n"), CHUNKED5)
ok("data with line ends", "9112 7.1", raw(chunked(b"\r\n0\r\n\r\n")),
   up(b"transfer-encoding: chunked", line=POST, body=chunked(b"\r\n0\r\n\r\n")))
ok("extensions are dropped", "9112 7.1.1", raw(b"5;a\r\nhello\r\n0;b=c\r\n\r\n"), CHUNKED5)
ok("extension with a quoted value", "9112 7.1.1", raw(b'5;a="x y"\r\nhello\r\n0\r\n\r\n'), CHUNKED5)
ok("two extensions", "9112 7.1.1", raw(b"5;a=b;c=d\r\nhello\r\n0\r\n\r\n"), CHUNKED5)
ok("blanks around an extension", "9112 7.1.1", raw(b"5;a = b\r\nhello\r\n0\r\n\r\n"), CHUNKED5)
for name, body in (("blank before the size", b" 5\r\nhello\r\n0\r\n\r\n"), ("blank behind the size", b"5 \r\nhello\r\n0\r\n\r\n"),
                   ("tab behind the size", b"5\t\r\nhello\r\n0\r\n\r\n"), ("size with 0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
                   ("size with +", b"+5\r\nhello\r\n0\r\n\r\n"), ("size with -", b"-5\r\nhello\r\n0\r\n\r\n"),
                   ("size is no number", b"g\r\nhello\r\n0\r\n\r\n"), ("size is empty", b"\r\nhello\r\n0\r\n\r\n"),
                   ("size is an extension only", b";a=b\r\nhello\r\n0\r\n\r\n"), ("size with a comma", b"5,\r\nhello\r\n0\r\n\r\n"),
                   ("size with a point", b"5.0\r\nhello\r\n0\r\n\r\n"), ("size with _", b"0_5\r\nhello\r\n0\r\n\r\n"),
                   ("size with NUL", b"5\0\r\nhello\r\n0\r\n\r\n"), ("size line ends with LF", b"5\nhello\r\n0\r\n\r\n"),
                   ("size line ends with CR", b"5\rhello\r\n0\r\n\r\n"), ("size line ends with CR CR LF", b"5\r\r\nhello\r\n0\r\n\r\n"),
                   ("size of 16 digits", b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
                   ("size of 17 digits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
                   ("size with many zeros", b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n"),
                   ("extension with LF", b"5;a\nhello\r\n0\r\n\r\n"), ("extension with a bare CR", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
                   ("extension with NUL", b"5;a\0b\r\nhello\r\n0\r\n\r\n"), ("extension with DEL", b"5;a\x7f\r\nhello\r\n0\r\n\r\n"),
                   ("extension of 20 KiB", b"5;" + b"a" * 20000 + b"\r\nhello\r\n0\r\n\r\n")):
    cut(name, "9112 7.1" if "extension" not in name else "9112 7.1.1", body)
ROWS_CUT = (("data longer than its size", b"5\r\nhelloX\r\n0\r\n\r\n"), ("data ends with LF", b"5\r\nhello\n0\r\n\r\n"),
            ("data ends with CR", b"5\r\nhello\r0\r\n\r\n"), ("data without an end", b"5\r\nhello0\r\n\r\n"),
            ("data ends with CR CR LF", b"5\r\nhello\r\r\n0\r\n\r\n"), ("last chunk ends with LF", b"5\r\nhello\r\n0\n\n"),
            ("last line ends with LF", b"5\r\nhello\r\n0\r\n\n"), ("last chunk is negative", b"5\r\nhello\r\n-0\r\n\r\n"))
for name, body in ROWS_CUT:
    cut(name, "9112 7.1", body)

# ---- trailers (RFC 9112 section 7.1.2, RFC 9110 section 6.5)


def trailers(*lines):
    return raw(b"5\r\nhello\r\n0\r\n" + b"".join(x + b"\r\n" for x in lines) + b"\r\n")


def with_trailers(*lines):
    return up(b"transfer-encoding: chunked", line=POST,
              body=b"5\r\nhello\r\n0\r\n" + b"".join(x + b"\r\n" for x in lines) + b"\r\n")


ok("trailer", "9112 7.1.2", trailers(b"X-Sum: 42"), with_trailers(b"x-sum: 42"))
ok("two trailers", "9112 7.1.2", trailers(b"a: 1", b"b: 2"), with_trailers(b"a: 1", b"b: 2"))
ok("trailer, then a request", "9112 7.1.2", trailers(b"a: 1") + GET, [with_trailers(b"a: 1"), up()], OK + OK)
for name in (b"content-length: 3", b"transfer-encoding: chunked", b"host: b", b"authorization: x", b"content-type: x",
             b"connection: close", b"te: trailers", b"trailer: x", b"cache-control: x", b"expect: 100-continue",
             b"cookie: a=b", b"set-cookie: a=b", b"content-encoding: gzip", b"content-range: x", b"range: x",
             b"max-forwards: 3", b"upgrade: x", b"keep-alive: x", b"proxy-authorization: x", b"if-match: x"):
    ok(f"trailer {name.decode()} is left out", "9110 6.5.1", trailers(b"a: 1", name), with_trailers(b"a: 1"))
for name, lines in (("folded", (b"a: 1", b" 2")), ("without a colon", (b"a",)), ("with a blank before the colon", (b"a : 1",)),
                    ("with NUL", (b"a: \0",)), ("with a bare CR", (b"a: 1\rb: 2",)), ("without a name", (b": 1",)),
                    ("that looks like a request", (b"GET /x HTTP/1.1",)), ("with LF", (b"a: 1\nb: 2",))):
    bad(f"trailer {name}", "9112 7.1.2", trailers(*lines))
bad("101 trailers", "9110 5.4", trailers(*[b"a%d: 1" % i for i in range(101)]), 431)
assert KEPT and Until
