"""Request line, versions, targets, line ends, field lines and Host: what goes on, and what is refused."""
from .rows import GET, H, Rows, get, up
from .table import CLOSED, KEPT, OK

ROWS = Rows()
ok, bad = ROWS.ok, ROWS.bad


def line(text, *fields):
    return text + b"\r\n" + H + b"".join(f + b"\r\n" for f in fields) + b"\r\n"


# ---- request line and method (RFC 9112 section 3, RFC 9110 section 9)
ok("get", "9112 3", GET, up())
for method in (b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND", b"M-SEARCH", b"BREW", b"QUERY", b"PURGE"):
    ok(f"method {method.decode()}", "9110 9.1", line(method + b" /x HTTP/1.1"), up(line=method + b" /x HTTP/1.1"))
for method in (b"POST", b"PUT", b"PATCH"):
    ok(f"method {method.decode()} without a body has length 0", "9110 8.6", line(method + b" /x HTTP/1.1"),
       up(b"content-length: 0", line=method + b" /x HTTP/1.1"))
ok("methods have case", "9110 9.1", line(b"get / HTTP/1.1"), up(line=b"get / HTTP/1.1"))
ok("any token is a method", "9110 5.6.2", line(b"!#$%&'*+-.^_`|~9 / HTTP/1.1"), up(line=b"!#$%&'*+-.^_`|~9 / HTTP/1.1"))
ok("head has no body", "9110 9.3.2", line(b"HEAD / HTTP/1.1"), up(line=b"HEAD / HTTP/1.1"),
   b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", acts=[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"])
bad("method with a bracket", "9110 5.6.2", line(b"G(T / HTTP/1.1"))
bad("method with a colon", "9110 5.6.2", line(b"GET: / HTTP/1.1"))
bad("method with a high byte", "9110 5.6.2", line(b"G\x80T / HTTP/1.1"))
bad("method with NUL", "9110 5.6.2", line(b"G\0T / HTTP/1.1"))
bad("method is quoted", "9110 5.6.2", line(b'"GET" / HTTP/1.1'))
bad("no method", "9112 3", line(b"/ HTTP/1.1"))
bad("blank before the method", "9112 2.2", line(b" GET / HTTP/1.1"))
bad("two blanks after the method", "9112 3", line(b"GET  / HTTP/1.1"))
bad("two blanks before the version", "9112 3", line(b"GET /  HTTP/1.1"))
bad("tab after the method", "9112 3", line(b"GET\t/ HTTP/1.1"))
bad("tab before the version", "9112 3", line(b"GET /\tHTTP/1.1"))
bad("form feed for a blank", "9112 3", line(b"GET\x0c/ HTTP/1.1"))
bad("vertical tab for a blank", "9112 3", line(b"GET\x0b/ HTTP/1.1"))
bad("blank at the end of the line", "9112 3", line(b"GET / HTTP/1.1 "))
bad("four words", "9112 3", line(b"GET / x HTTP/1.1"))
bad("two words: HTTP/0.9", "9112 3", b"GET /\r\n")
bad("one word", "9112 3", b"GET\r\n\r\n")

# ---- versions (RFC 9112 section 2.3)
for version, status in ((b"HTTP/1.2", 505), (b"HTTP/2.0", 505), (b"HTTP/0.9", 505), (b"HTTP/3.0", 505),
                        (b"HTTP/9.9", 505), (b"HTTP/1", 400), (b"HTTP/11", 400), (b"HTTP/1.", 400), (b"HTTP/.1", 400),
                        (b"HTTP/1.10", 400), (b"HTTP/01.1", 400), (b"http/1.1", 400), (b"Http/1.1", 400),
                        (b"HTTPS/1.1", 400), (b"ICY/1.1", 400), (b"HTTP/1,1", 400), (b"HTTP/ 1.1", 400),
                        (b"HTTP /1.1", 400), (b"HTTP/-1.1", 400), (b"HTTP/1.1\0", 400), (b"HTTP\\1.1", 0)):
    if status:
        bad(f"version {version.decode()!r}", "9112 2.3", line(b"GET / " + version), status)
bad("1.0 is not accepted unless configured", "9110 15.5.22", b"GET / HTTP/1.0\r\nhost: a\r\n\r\n",
    b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\nupgrade: HTTP/1.1\r\nconnection: upgrade, close\r\n\r\n")
ok("1.0 with host", "9112 2.3", b"GET / HTTP/1.0\r\nhost: a\r\n\r\n", up(), then=CLOSED, on="old",
   want=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
ok("1.0 without host has the default one", "9112 3.2", b"GET / HTTP/1.0\r\n\r\n", up(host=b"old.example"),
   then=CLOSED, on="old", want=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
bad("1.0 without host and without a default", "9110 7.2", b"GET / HTTP/1.0\r\n\r\n", on="old-no-host")
ok("1.0 keep-alive", "9112 9.3", b"GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n", up(), on="old",
   want=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok")
ok("1.0 gets no chunks", "9112 6.1", b"GET / HTTP/1.0\r\nhost: a\r\n\r\n", up(), on="old", then=CLOSED,
   acts=[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
   want=b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok")
ok("1.0 keep-alive with a body of unknown length", "9112 6.3", b"GET / HTTP/1.0\r\nhost: a\r\n"
   b"connection: keep-alive\r\n\r\n", up(), on="old", then=CLOSED,
   acts=[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
   want=b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok")
ok("1.0 gets no 1xx", "9110 15.2", b"GET / HTTP/1.0\r\nhost: a\r\n\r\n", up(), on="old", then=CLOSED,
   acts=[b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK],
   want=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
ok("1.0 post", "9112 6.2", b"POST / HTTP/1.0\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi", on="old", then=CLOSED,
   seen=up(b"content-length: 2", line=b"POST / HTTP/1.1", body=b"hi"),
   want=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
bad("1.0 with chunks", "9112 6.1", b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", on="old")
ok("1.0 can not upgrade", "9110 7.8", b"GET / HTTP/1.0\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
   up(), on="old", then=CLOSED, want=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
bad("1.0 host twice", "9112 3.2", b"GET / HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n", on="old")
bad("preface of HTTP/2 is no request", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505)

# ---- target (RFC 9112 section 3.2)
for target in (b"/a/b?c=d&e", b"/?", b"/??", b"//x", b"/a//b", b"/%00%zz", b"/a;p=1", b"/a:b@c!$'()*+,=", b"/~_-.",
               b"/a?b", b"/a%2fb", b"/[x]", b"/{x}", b"/a|b", b"/a\\b", b"/a^b", b"/a`b", b'/"a"', b"/<a>",
               b"/?q=http://x/", b"/http://x/", b"/*"):
    ok(f"origin-form {target.decode()}", "9112 3.2.1", line(b"GET " + target + b" HTTP/1.1"),
       up(line=b"GET " + target + b" HTTP/1.1"))
for target in (b"a", b"?x", b"a/b", b"a:80", b"*", b"**", b"ftp://b/x", b"http:/b", b"http:b", b"http://", b"http:///x",
               b"http://u@b/", b"http://u:p@b/", b"http://b:x/", b"http://b:999999/", b"://b/", b"http://b c/"):
    bad(f"target {target.decode()}", "9112 3.2", line(b"GET " + target + b" HTTP/1.1"))
for byte in (b"\x01", b"\x07", b"\x0b", b"\x1f", b"\x7f", b"\0", b"\t", b"#", b"\r"):
    bad(f"target with {byte!r}", "9112 3.2", line(b"GET /a" + byte + b"b HTTP/1.1"))
ok("absolute-form wins over host", "9112 3.2.2", line(b"GET http://b/x HTTP/1.1"),
   up(line=b"GET /x HTTP/1.1", host=b"b"))
ok("absolute-form with port and query", "9112 3.2.2", line(b"GET HTTP://b:81/x?y HTTP/1.1"),
   up(line=b"GET /x?y HTTP/1.1", host=b"b:81"))
ok("absolute-form without a path", "9112 3.2.2", line(b"GET http://b HTTP/1.1"), up(host=b"b"))
ok("absolute-form with query only", "9112 3.2.2", line(b"GET http://b?q HTTP/1.1"), up(line=b"GET /?q HTTP/1.1", host=b"b"))
ok("absolute-form with IPv6", "9112 3.2.2", line(b"GET http://[::1]:80/ HTTP/1.1"), up(host=b"[::1]:80"))
ok("absolute-form of OPTIONS without a path is *", "9112 3.2.4", line(b"OPTIONS http://b HTTP/1.1"),
   up(line=b"OPTIONS * HTTP/1.1", host=b"b"), on="star")
ok("absolute-form of OPTIONS with a path", "9112 3.2.4", line(b"OPTIONS http://b/ HTTP/1.1"),
   up(line=b"OPTIONS / HTTP/1.1", host=b"b"))
bad("absolute-form needs host too", "9112 3.2.2", b"GET http://b/x HTTP/1.1\r\n\r\n")
bad("absolute-form with a bad host field", "9112 3.2", b"GET http://b/x HTTP/1.1\r\nhost: a b\r\n\r\n")
bad("absolute-form with host twice", "9112 3.2", b"GET http://b/x HTTP/1.1\r\nhost: b\r\nhost: b\r\n\r\n")
bad("absolute-form with a fragment", "9110 4.2.5", line(b"GET http://b/x#f HTTP/1.1"))
ok("asterisk-form", "9112 3.2.4", line(b"OPTIONS * HTTP/1.1"), up(line=b"OPTIONS * HTTP/1.1"), on="star")
ok("asterisk-form is below no prefix, as in Envoy", "9110 9.3.7", line(b"OPTIONS * HTTP/1.1"), [],
   b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
bad("asterisk-form with more", "9112 3.2.4", line(b"OPTIONS *x HTTP/1.1"))
bad("authority-form is for CONNECT", "9112 3.2.3", line(b"GET b:80 HTTP/1.1"))

# ---- lines (RFC 9112 section 2.2)
ok("empty line before the request", "9112 2.2", b"\r\n" + GET, up())
ok("two empty lines before the request", "9112 2.2", b"\r\n\r\n" + GET, up())
ok("empty line byte by byte", "9112 2.2", [b"\r", b"\n", b"G", b"ET / HTTP/1.1\r\nhost: a\r", b"\n\r", b"\n"], up())
ok("empty line between requests", "9112 2.2", GET + b"\r\n" + GET, [up(), up()], OK + OK)
bad("LF before the request", "9112 2.2", b"\n" + GET)
bad("CR before the request", "9112 2.2", b"\rGET / HTTP/1.1\r\nhost: a\r\n\r\n")
bad("request line ends with LF", "9112 2.2", b"GET / HTTP/1.1\nhost: a\r\n\r\n")
bad("field ends with LF", "9112 2.2", b"GET / HTTP/1.1\r\nhost: a\n\r\n")
bad("head ends with LF", "9112 2.2", b"GET / HTTP/1.1\r\nhost: a\r\n\n")
bad("only LF", "9112 2.2", b"GET / HTTP/1.1\nhost: a\n\n")
bad("CR CR LF", "9112 2.2", b"GET / HTTP/1.1\r\nhost: a\r\r\n\r\n")
bad("bare CR in a value", "9112 2.2", b"GET / HTTP/1.1\r\nhost: a\rx: b\r\n\r\n")
bad("bare CR ends the request line", "9112 2.2", b"GET / HTTP/1.1\rhost: a\r\n\r\n")
bad("LF in a value", "9110 5.5", get(b"x: a\nb: c"))
bad("TLS to a plain port", "9112 2", b"\x16\x03\x01\x00\x05hello\r\n\r\n")

# ---- fields (RFC 9112 section 5, RFC 9110 section 5)
ok("names become lower case", "9110 5.1", get(b"X-Foo: Bar"), up(b"x-foo: Bar"))
ok("no blank after the colon", "9112 5.1", get(b"x:b"), up(b"x: b"))
ok("blanks around the value", "9112 5.1", get(b"x: \t b c \t "), up(b"x: b c"))
ok("empty value", "9110 5.5", get(b"x:"), up(b"x: "))
ok("value of blanks", "9110 5.5", get(b"x:  \t "), up(b"x: "))
ok("value with a colon", "9112 5.1", get(b"x: a: b:"), up(b"x: a: b:"))
ok("high bytes in a value", "9110 5.5", get(b"x: \x80\xff\xc3\xa4"), up(b"x: \x80\xff\xc3\xa4"))
ok("tab within a value", "9110 5.5", get(b"x: a\tb"), up(b"x: a\tb"))
ok("order of equal names is kept", "9110 5.2", get(b"x: 1", b"y: 2", b"x: 3"), up(b"x: 1", b"y: 2", b"x: 3"))
ok("all bytes of a token in a name", "9110 5.1", get(b"!#$%&'*+-.^_`|~1: v"), up(b"!#$%&'*+-.^_`|~1: v"))
ok("cookies stay apart", "9110 5.3", get(b"cookie: a=1", b"cookie: b=2"), up(b"cookie: a=1", b"cookie: b=2"))
bad("blank before the colon", "9112 5.1", get(b"x : b"))
bad("tab before the colon", "9112 5.1", get(b"x\t: b"))
bad("blank in a name", "9112 5.1", get(b"x y: b"))
bad("no colon", "9112 5", get(b"x"))
bad("no name", "9112 5", get(b": b"))
bad("line folding", "9112 5.2", get(b"x: a", b" b"))
bad("line folding by tab", "9112 5.2", get(b"x: a", b"\tb"))
bad("line folding of host", "9112 5.2", b"GET / HTTP/1.1\r\nhost: a\r\n b\r\n\r\n")
bad("blank before the first field", "9112 2.2", b"GET / HTTP/1.1\r\n host: a\r\n\r\n")
bad("blank line of blanks", "9112 2.2", get(b" "))
for byte in (b"\0", b"\x01", b"\x08", b"\x0b", b"\x0c", b"\x1b", b"\x7f"):
    bad(f"value with {byte!r}", "9110 5.5", get(b"x: a" + byte + b"b"))
for byte in (b"\0", b"\x01", b"\x80", b"(", b"{", b"@", b"/", b'"', b"\\", b"\x7f", b"[", b",", b";", b"="):
    bad(f"name with {byte!r}", "9110 5.1", get(b"x" + byte + b"y: b"))

# ---- Host (RFC 9112 section 3.2, RFC 9110 section 7.2)


def host(*values):
    return b"GET / HTTP/1.1\r\n" + b"".join(b"Host:" + v + b"\r\n" for v in values) + b"\r\n"


for value in (b"a.example", b"a.example:8080", b"127.0.0.1", b"127.0.0.1:80", b"[::1]", b"[::1]:80", b"A.Example", b"a_b",
              b"a-b.", b"xn--a", b"a;b", b"a%20b", b"a~b!$&'()*+="):
    ok(f"host {value.decode()}", "9110 7.2", host(b" " + value), up(host=value))
bad("no host", "9112 3.2", b"GET / HTTP/1.1\r\n\r\n")
bad("host twice", "9112 3.2", host(b" a", b" a"))
bad("host twice and different", "9112 3.2", host(b" a", b" b"))
bad("host is empty", "9112 3.2", host(b""))
bad("host is blank", "9112 3.2", host(b"  "))
for value in (b"a b", b"a,b", b"a, b", b"u@a", b"a/b", b"http://a", b"a?b", b"a#b", b"a:b", b"a:-1", b"a:80:80", b"[::1",
              b"::1", b"[]", b"[x]", b"a:99999", b":80", b"a\\b", b"a\x80", b'"a"', b"a%", b"a%2", b"a%zz", b"[fe80::1%25eth0]", b"a^b", b"a`", b"{a}"):
    bad(f"host {value!r}", "9112 3.2", host(b" " + value))
bad("blank before host's colon", "9112 5.1", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
assert KEPT
