"""The rows of the HTTP/2 table: (rule, name, origin, steps), see h2_wire.Play. `origin` is "1" or "2", the version that the service
speaks, or "12": the row is played against both. The rule is "RFC-section".
Error codes (RFC 9113 section 7): 1 PROTOCOL, 3 FLOW_CONTROL, 5 STREAM_CLOSED, 6 FRAME_SIZE, 7 REFUSED, 8 CANCEL, 9 COMPRESSION,
11 ENHANCE_YOUR_CALM."""

OK1 = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
OK2 = "H1 :status=200|content-length=2;D1e ok"
GOT_OK = "200 #2 [ok]"
GET1 = "TGET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = ":method=POST|:scheme=http|:path=/|:authority=a"
ROWS = []


def row(rule, name, origin, *steps):
    ROWS.append((rule, name, origin, steps))


def carried(rule, name, sent, seen, back=GOT_OK, origin="12"):
    """A request that both kinds of service get, and answer with two bytes."""
    for version in origin:
        there = seen if version == "1" else seen.replace(" chunked", "")
        row(rule, name, version, ("C>", sent), ("O<", there), ("O>", OK1 if version == "1" else OK2), ("C<", back))


def refused(rule, name, sent, back="R=1"):
    """A request that nobody gets: the stream is reset or answered, and the connection goes on."""
    row(rule, name, "1", ("C>", sent), ("C<", back), ("O<", ""), ("C>", "H101e Q"), ("O<", "GET / a"), ("O>", OK1),
        ("C<", f"{back}; 101: {GOT_OK}"))


def ends(rule, name, sent, back="G=1"):
    """An error of the connection: GOAWAY, and it ends."""
    row(rule, name, "1", ("C>", sent), ("C<.", back), ("O<", ""))


def cut(rule, name, sent, seen, more, back, origin="12"):
    """A request that began well, reached the service (`seen` so far) and then broke a rule: the service sees it end early."""
    for version in origin:
        there = seen if version == "1" else seen.replace(" chunked", "")
        end = ("O<.", there) if version == "1" else ("O<", there + " R=8")
        row(rule, name, version, ("C>", sent), ("O<", there), ("C>", more), ("C<", back), end)


def answered(rule, name, origin, answer, back, sent="H1e Q", seen="GET / a"):
    row(rule, name, origin, ("C>", sent), ("O<", seen), ("O>", answer), ("C<", back))


# ---- requests that pass ----
carried("9113-8.1", "get", "H1e Q", "GET / a")
carried("9113-8.1", "fields in order, doubles kept", "H1e Q|x=1|y=2|x=3", "GET / a x=1 y=2 x=3")
carried("9113-8.1", "empty value", "H1e Q|x=", "GET / a x=")
carried("9113-8.1", "body without a length", f"H1 {POST};D1e hello", "POST / a chunked [hello]")
carried("9113-8.1", "body with its length", f"H1 {POST}|content-length=5;D1e hello", "POST / a #5 [hello]")
carried("9113-8.1", "body in pieces", f"H1 {POST}|content-length=5;D1 he;D1 llo;D1e", "POST / a #5 [hello]")
carried("9113-8.1", "length zero, no DATA", f"H1e {POST}|content-length=0", "POST / a #0")
carried("9113-8.1", "length zero, empty DATA", f"H1 {POST}|content-length=0;D1e", "POST / a #0")
carried("9113-8.1", "trailers", f"H1 {POST};D1 hello;H1e x-sum=9", "POST / a chunked [hello] +x-sum=9")
carried("9113-8.1", "trailers with no DATA", f"H1 {POST};H1e x-sum=9", "POST / a chunked +x-sum=9")
carried("9113-8.1", "a method of one's own", "H1e :method=BREW|:scheme=http|:path=/pot?x|:authority=a:1", "BREW /pot?x a:1")
carried("9113-8.1", "a body of 40000 bytes", f"H1 {POST};D1 *16384;D1 *16384;D1e *7232", "POST / a chunked [*40000]")
carried("9113-8.1.1", "content-length with leading zeros", f"H1 {POST}|content-length=005;D1e hello", "POST / a #5 [hello]")
carried("9113-8.3.1", "host in the place of :authority", "H1e :method=GET|:scheme=http|:path=/|host=b", "GET / b")
carried("9113-8.3.1", "host that equals :authority", "H1e Q|host=a", "GET / a")
carried("9113-8.3.1", "host that equals it but for case", "H1e Q|host=A", "GET / A")
carried("9113-8.3.1", "pseudo-headers in any order", "H1e :authority=a|:path=/|:scheme=http|:method=GET", "GET / a")
carried("9113-8.3.1", "an IPv6 authority", "H1e :method=GET|:scheme=http|:path=/|:authority=[::1]:80", "GET / [::1]:80")
carried("9113-8.3.1", "percent and query stay", "H1e :method=GET|:scheme=http|:path=/a%20b?c=%2F|:authority=a", "GET /a%20b?c=%2F a")
carried("9113-8.2.3", "crumbs of Cookie are one", "H1e Q|cookie=a=b|cookie=c=d|cookie=e=f", "GET / a cookie=a=b; c=d; e=f")
carried("9113-8.2.3", "crumbs with others between", "H1e Q|cookie=a=b|x=1|cookie=c=d", "GET / a x=1 cookie=a=b; c=d")
carried("9113-8.2.1", "bytes above 127 in a value", "H1e Q|x=\xe9", "GET / a x=\xe9")
carried("9113-8.2.1", "a tab within a value", "H1e Q|x=a\tb", "GET / a x=a\tb")
carried("9113-8.2.1", "all characters of a token in a name", "H1e Q|!#$%&'*+-.^_`~09az=1", "GET / a !#$%&'*+-.^_`~09az=1")
carried("9113-6.1", "padded DATA", f"H1 {POST}|content-length=2;X0.9.1 0368690000" + "00", "POST / a #2 [hi]")
carried("9113-6.1", "DATA that is padding alone", f"H1 {POST};X0.8.1 020000;D1e hi", "POST / a chunked [hi]")
carried("9113-6.2", "priority in HEADERS",
        "X1.37.1 0000000310" + "828684" + "410161", "GET / a")
carried("9113-6.2", "padded HEADERS", "X1.13.1 02" + "828684" + "410161" + "0000", "GET / a")
carried("9113-6.10", "HEADERS and CONTINUATION", "H1e- :method=GET|:scheme=http;C1- :path=/;C1 :authority=a", "GET / a")
carried("9113-6.10", "an empty CONTINUATION", "H1e- Q;C1", "GET / a")
carried("9113-6.10", "a field cut in two", "X1.1.1 828684;X9.4.1 410161", "GET / a")
carried("9113-5.5", "an unknown frame", "X250.255.0 00ff;H1e Q", "GET / a")
carried("9113-5.5", "an unknown frame on a stream", f"H1 {POST};X250.0.1 00;D1e hi", "POST / a chunked [hi]")
carried("9113-6.5.2", "an unknown setting", "S 4096=1;H1e Q", "GET / a")
carried("9113-6.5", "settings again", "S 4=65535|3=10;S;H1e Q", "GET / a")
carried("9113-6.3", "PRIORITY before and after", "Y1 3;H1e Q;Y1 5", "GET / a")
carried("9113-6.9", "windows grow", "W0 1000;H1e Q;W1 1000", "GET / a")
carried("9113-5.1.1", "a stream id far ahead", "H1e Q", "GET / a")
carried("9110-10.1.4", "te: trailers", "H1e Q|te=trailers", "GET / a te=trailers connection=te", origin="1")
carried("9110-10.1.4", "te: trailers", "H1e Q|te=trailers", "GET / a te=trailers", origin="2")
carried("9113-8.4", "a client's ENABLE_PUSH is no matter", "S 2=0;H1e Q", "GET / a")
carried("9113-4.1", "reserved bits are ignored", f"H1 {POST};X0.241.1 6869", "POST / a chunked [hi]")
carried("7541-6.1", "indexed fields", "X1.5.1 828684410161", "GET / a")
carried("7541-5.2", "Huffman", "X1.5.1 82868441" + "8cf1e3c2e5f23a6ba0ab90f4ff", "GET / www.example.com")
carried("7541-6.2.1", "a field indexed and named again", "X1.5.1 828684410161400178017abe", "GET / a x=z x=z")
carried("7541-6.2.3", "a field never to be indexed", "X1.5.1 8286844101611001780179", "GET / a x=y")
carried("7541-6.3", "the table is made small first", "X1.5.1 20828684410161", "GET / a")
row("9113-6.7", "PING is answered, with its bytes", "1", ("C>", "P;H1e Q"), ("C<", "Pa"), ("O<", "GET / a"), ("O>", OK1),
    ("C<", f"Pa; {GOT_OK}"))
row("9113-6.7", "an answer to no PING", "1", ("C>", "Pa;H1e Q"), ("O<", "GET / a"), ("O>", OK1), ("C<", GOT_OK))
row("9113-5.1.2", "streams at once", "2", ("C>", "H1e Q|n=1;H3e Q|n=3;H5e Q|n=5"),
    ("O<", "GET / a n=1; GET / a n=3; GET / a n=5"), ("O>", "H5e :status=205;H3e :status=203;H1e :status=201"),
    ("C<", "5: 205; 3: 203; 201"))
row("9113-6.8", "a client's GOAWAY: what runs is answered", "1", ("C>", "H1e Q;G 0.0"), ("O<", "GET / a"), ("O>", OK1), ("C<.", GOT_OK))

# ---- pseudo-header fields ----
refused("9113-8.3", ":status in a request", "H1e Q|:status=200")
refused("9113-8.3", "after a regular field", "H1e :method=GET|:scheme=http|:path=/|x=1|:authority=a")
refused("9113-8.3", "unknown", "H1e Q|:bogus=1")
refused("9113-8.3", "upper case", "H1e :Method=GET|:scheme=http|:path=/|:authority=a")
refused("9113-8.3.1", "no :method", "H1e :scheme=http|:path=/|:authority=a")
refused("9113-8.3.1", "no :scheme", "H1e :method=GET|:path=/|:authority=a")
refused("9113-8.3.1", "no :path", "H1e :method=GET|:scheme=http|:authority=a")
refused("9113-8.3.1", "no authority at all", "H1e :method=GET|:scheme=http|:path=/")
for twice in (":method=GET", ":scheme=http", ":path=/", ":authority=a"):
    refused("9113-8.3", f"{twice.split('=')[0]} twice", f"H1e Q|{twice}")
refused("9113-8.3.1", "empty :method", "H1e :method=|:scheme=http|:path=/|:authority=a")
refused("9113-8.3.1", "empty :path", "H1e :method=GET|:scheme=http|:path=|:authority=a")
refused("9113-8.3.1", "empty :authority", "H1e :method=GET|:scheme=http|:path=/|:authority=")
refused("9113-8.3.1", "OPTIONS * has no route here", "H1e :method=OPTIONS|:scheme=http|:path=*|:authority=a", "404 #0")
refused("9113-8.3.1", "empty :scheme", "H1e :method=GET|:scheme=|:path=/|:authority=a")
refused("9113-8.3.1", "another scheme", "H1e :method=GET|:scheme=ftp|:path=/|:authority=a", "400 #0")
refused("9113-8.3.1", "a path that is no path", "H1e :method=GET|:scheme=http|:path=x|:authority=a")
refused("9113-8.3.1", "* for GET", "H1e :method=GET|:scheme=http|:path=*|:authority=a")
refused("9113-8.3.1", "a fragment", "H1e :method=GET|:scheme=http|:path=/a#b|:authority=a", "400 #0")
refused("9113-8.3.1", "a space in :path", "H1e :method=GET|:scheme=http|:path=/a b|:authority=a")
refused("9113-8.3.1", "a line end in :path", "H1e :method=GET|:scheme=http|:path=/\r\nx:1|:authority=a")
refused("9113-8.3.1", "a space in :method", "H1e :method=GE T|:scheme=http|:path=/|:authority=a")
refused("9113-8.3.1", "user info in :authority", "H1e :method=GET|:scheme=http|:path=/|:authority=u@a")
refused("9113-8.3.1", "two names in :authority", "H1e :method=GET|:scheme=http|:path=/|:authority=a,b", "400 #0")
refused("9113-8.3.1", "a path in :authority", "H1e :method=GET|:scheme=http|:path=/|:authority=a/b")
refused("9113-8.3.1", "host that is not :authority", "H1e Q|host=b")
refused("9113-8.3.1", "two hosts that differ", "H1e :method=GET|:scheme=http|:path=/|host=a|host=b")
refused("9113-8.3.1", "a name with a line end in host", "H1e :method=GET|:scheme=http|:path=/|host=a\r\nx:1")
refused("9113-8.3", ":protocol where it was not offered", "H1 :method=GET|:scheme=http|:path=/|:authority=a|:protocol=websocket")
cut("9113-8.1", "a pseudo-header in trailers", f"H1 {POST};D1 x", "POST / a chunked [x", "H1e :path=/", "R=1")
cut("9113-8.1", "trailers that do not end the stream", f"H1 {POST};D1 x", "POST / a chunked [x", "H1 t=1", "R=1")
cut("9113-8.2.2", "a connection field in trailers", f"H1 {POST};D1 x", "POST / a chunked [x", "H1e connection=close", "R=1")
cut("9113-8.2.1", "upper case in trailers", f"H1 {POST};D1 x", "POST / a chunked [x", "H1e T=1", "R=1")

# ---- fields ----
refused("9113-8.2.1", "upper case name", "H1e Q|X=1")
refused("9113-8.2.1", "a space in a name", "H1e Q|x y=1")
refused("9113-8.2.1", "a colon in a name", "H1e Q|x:y=1")
refused("9113-8.2.1", "an empty name", "X1.5.1 828684410161" + "00" + "00" + "0131", "R=1")
refused("9113-8.2.1", "NUL in a name", "H1e Q|x\0=1")
refused("9113-8.2.1", "DEL in a name", "H1e Q|x\x7f=1")
refused("9113-8.2.1", "a high byte in a name", "H1e Q|x\xe9=1")
refused("9113-8.2.1", "NUL in a value", "H1e Q|x=a\0b")
refused("9113-8.2.1", "CR in a value", "H1e Q|x=a\rb")
refused("9113-8.2.1", "LF in a value", "H1e Q|x=a\nb")
refused("9113-8.2.1", "a header smuggled in a value", "H1e Q|x=1\r\nhost: evil")
refused("9113-8.2.1", "a value that begins with a space", "H1e Q|x= 1")
refused("9113-8.2.1", "a value that ends with a tab", "H1e Q|x=1\t")
for name, value in (("connection", "close"), ("keep-alive", "1"), ("proxy-connection", "close"), ("transfer-encoding", "chunked"),
                    ("upgrade", "h2c")):
    refused("9113-8.2.2", name, f"H1e Q|{name}={value}")
refused("9113-8.2.2", "te: gzip", "H1e Q|te=gzip")
refused("9113-8.2.2", "te: trailers, deflate", "H1e Q|te=trailers, deflate")
refused("9113-8.2.2", "transfer-encoding with a body", f"H1 {POST}|transfer-encoding=chunked;D1e 0\r\n\r\n")

# ---- content-length against DATA ----
refused("9113-8.1.1", "a length and no body", f"H1e {POST}|content-length=5")
refused("9113-8.1.1", "two lengths", f"H1 {POST}|content-length=5|content-length=5;D1e hello")
refused("9113-8.1.1", "two lengths that differ", f"H1 {POST}|content-length=5|content-length=6;D1e hello")
refused("9113-8.1.1", "a list of lengths", f"H1 {POST}|content-length=5, 5;D1e hello")
for bad in ("x", "+5", "-5", "0x5", "5.0", "", "18446744073709551621", "9223372036854775808"):
    refused("9113-8.1.1", f"content-length {bad!r}", f"H1 {POST}|content-length={bad};D1e hello")
cut("9113-8.1.1", "too little DATA", f"H1 {POST}|content-length=5;D1 he", "POST / a #5 [he", "D1e", "R=1")
cut("9113-8.1.1", "too much DATA", f"H1 {POST}|content-length=5;D1 hell", "POST / a #5 [hell", "D1e o!", "R=1")
cut("9113-8.1.1", "DATA after a length of zero", f"H1 {POST}|content-length=0", "POST / a #0 [", "D1e GET", "R=1", origin="2")
cut("9113-8.1.1", "too little DATA before trailers", f"H1 {POST}|content-length=5;D1 he", "POST / a #5 [he", "H1e t=1", "R=1")

# ---- frames out of place ----
ends("9113-3.4", "no preface but HTTP/1 of its kind", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "")
ends("9113-3.4", "no SETTINGS after the preface", "!M;H1e Q")
ends("9113-5.1.1", "an even stream id", "H2e Q")
ends("9113-5.1.1", "stream 0", "H0e Q")
ends("9113-5.1", "DATA on an idle stream", "D1 x")
ends("9113-5.1", "WINDOW_UPDATE on an idle stream", "W1 1")
ends("9113-5.1", "RST_STREAM on an idle stream", "R1 8")
ends("9113-5.1", "CONTINUATION alone", "C1 x=1")
ends("9113-6.1", "DATA on stream 0", "X0.0.0 00")
ends("9113-6.2", "padding longer than HEADERS", "X1.13.1 09828684")
ends("9113-6.3", "PRIORITY on stream 0", "X2.0.0 0000000010")
ends("9113-6.3", "PRIORITY of four bytes", "X2.0.1 00000000", "G=6")
ends("9113-6.4", "RST_STREAM on stream 0", "R0 8")
ends("9113-6.5", "SETTINGS on a stream", "X4.0.1")
ends("9113-6.5", "SETTINGS of five bytes", "X4.0.0 0000000000", "G=6")
ends("9113-6.5", "an acknowledgement with a payload", "X4.1.0 000000000000", "G=6")
ends("9113-6.5.2", "ENABLE_PUSH 2", "S 2=2")
ends("9113-6.5.2", "INITIAL_WINDOW_SIZE above its limit", "S 4=2147483648", "G=3")
ends("9113-6.5.2", "MAX_FRAME_SIZE too small", "S 5=16383")
ends("9113-6.5.2", "MAX_FRAME_SIZE too large", "S 5=16777216")
ends("8441-3", "ENABLE_CONNECT_PROTOCOL 2", "S 8=2")
ends("9113-6.6", "PUSH_PROMISE of a client", "X5.4.1 00000002828684410161")
ends("9113-6.7", "PING on a stream", "X6.0.1 0000000000000000")
ends("9113-6.7", "PING of seven bytes", "X6.0.0 00000000000000", "G=6")
ends("9113-6.8", "GOAWAY on a stream", "X7.0.1 0000000000000000")
ends("9113-6.9", "WINDOW_UPDATE 0 of the connection", "W0 0")
ends("9113-6.9", "WINDOW_UPDATE of three bytes", "X8.0.0 000001", "G=6")
ends("9113-6.9.1", "the connection's window beyond 2^31-1", "W0 2147483647", "G=3")
ends("9113-6.10", "another frame within a header block", "H1- Q;P")
ends("9113-6.10", "HEADERS of another within a header block", "H1- Q;H3e Q")
ends("9113-6.10", "CONTINUATION of another stream", "H1- Q;C3 x=1")
ends("9113-6.10", "an unknown frame within a header block", "H1- Q;X250.0.1 00")
ends("9113-4.2", "a frame above SETTINGS_MAX_FRAME_SIZE", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5)
     + b"\x00\x40\x01\x00\x00\x00\x00\x00\x01" + bytes(16385), "G=6")
ends("9113-4.3", "a header block above it all, unknown index", "X1.5.1 ff80808001", "G=9")
ends("7541-2.3.3", "index 0", "X1.5.1 80", "G=9")
ends("7541-2.3.3", "an index beyond the tables", "X1.5.1 be", "G=9")
ends("7541-5.1", "an integer without an end", "X1.5.1 7fffffffffffffffffff", "G=9")
ends("7541-5.2", "a string longer than the block", "X1.5.1 0005", "G=9")
ends("7541-5.2", "Huffman padding of zeros", "X1.5.1 828684" + "4101" + "61" + "0001788118", "G=9")
ends("7541-5.2", "Huffman with EOS", "X1.5.1 82868441016100017884ffffffff", "G=9")
ends("7541-4.2", "a table size above the limit", "X1.5.1 3fe21f828684410161", "G=9")
ends("7541-4.2", "a table size in the middle", "X1.5.1 82868420410161", "G=9")

# ---- streams that are closed, half closed, or new; section 5.4.1 lets an endpoint end the connection for an error of a stream ----
for v in "12":
    ok = OK1 if v == "1" else OK2
    row("9113-5.1", "DATA after END_STREAM", v, ("C>", "H1e Q"), ("O<", "GET / a"), ("C>", "D1 x"), ("C<.", "G=5"))
    row("9113-5.1", "HEADERS after END_STREAM", v, ("C>", "H1e Q"), ("O<", "GET / a"), ("C>", "H1e t=1"), ("C<.", "G=5"))
    row("9113-5.1", "DATA on a closed stream", v, ("C>", "H1e Q"), ("O<", "GET / a"), ("O>", ok), ("C<", GOT_OK), ("C>", "D1 x"),
        ("C<.", f"{GOT_OK}; G=5"))
    row("9113-5.1", "WINDOW_UPDATE and PRIORITY on a closed stream", v, ("C>", "H1e Q"), ("O<", "GET / a"), ("O>", ok),
        ("C<", GOT_OK), ("C>", "W1 1;Y1 3;P"), ("C<", f"{GOT_OK}; Pa"))
    row("9113-5.1", "RST_STREAM on a closed stream", v, ("C>", "H1e Q"), ("O<", "GET / a"), ("O>", ok),
        ("C<", GOT_OK), ("C>", "R1 8;P"), ("C<", f"{GOT_OK}; Pa"))
row("9113-5.1.1", "an id below the last", "2", ("C>", "H5e Q"), ("O<", "GET / a"), ("C>", "H3e Q"), ("C<.", "G=1"))
row("9113-5.1.1", "ids may be left out", "2", ("C>", "H7e Q"), ("O<", "GET / a"), ("O>", OK2), ("C<", f"7: {GOT_OK}"))
row("9113-6.4", "a client resets: HTTP/1 behind", "1", ("C>", "H1e Q"), ("O<", "GET / a"), ("C>", "R1 8"), ("O<.", "GET / a"))
row("9113-6.4", "a client resets: HTTP/2 behind", "2", ("C>", "H1e Q"), ("O<", "GET / a"), ("C>", "R1 8"), ("O<", "GET / a R=8"))
row("9113-6.4", "a client resets in its body", "2", ("C>", f"H1 {POST};D1 he"), ("O<", "POST / a [he"), ("C>", "R1 8"),
    ("O<", "POST / a [he R=8"))
row("9113-6.4", "DATA after a reset of ours is let pass", "1", ("C>", "H1 Q|x=1|X=2;D1 abc;D1e;P"), ("C<", "Pa; R=1"), ("O<", ""))
row("9113-5.4.2", "an error of one stream leaves the others", "2", ("C>", "H1e Q|X=1;H3e Q"), ("O<", "GET / a"), ("O>", OK2),
    ("C<", f"R=1; 3: {GOT_OK}"))
for v in "12":
    chunked = " chunked" if v == "1" else ""
    for rule, name, frame, code in (("6.9", "WINDOW_UPDATE 0 of a stream", "W1 0", 1), ("6.1", "padding longer than DATA", "X0.8.1 05", 1),
                                    ("6.4", "RST_STREAM of three bytes", "X3.0.1 000000", 6), ("6.3", "PRIORITY of six bytes", "X2.0.1 000000000000", 6)):
        row(f"9113-{rule}", name, v, ("C>", f"H1 {POST};D1 x"), ("O<", f"POST / a{chunked} [x"), ("C>", frame), ("C<.", f"G={code}"),
            ("O<." if v == "1" else "O<", f"POST / a{chunked} [x" + ("" if v == "1" else " R=8")))
cut("9113-6.9.1", "a stream's window beyond 2^31-1", f"H1 {POST};D1 x", "POST / a chunked [x", "W1 2147483647", "R=3")
ends("7540-5.3.1", "PRIORITY on itself", "Y1 1")
ends("7540-5.3.1", "HEADERS that depend on themselves", "X1.37.1 0000000110828684410161")
row("9113-5.1.2", "more streams than we allow", "2", ("C>", ";".join(f"H{n}e Q" for n in range(1, 203, 2))), ("C<", "201: R=7"))

# ---- CONNECT ----
refused("9113-8.5", "CONNECT without a port", "H1 :method=CONNECT|:authority=b", "400 #0 R=0")
refused("9113-8.5", "CONNECT with :path", "H1 :method=CONNECT|:authority=b:1|:path=/")
refused("9113-8.5", "CONNECT with :scheme", "H1 :method=CONNECT|:authority=b:1|:scheme=http")
refused("9113-8.5", "CONNECT without an authority", "H1 :method=CONNECT")

# ---- answers ----
for status in (204, 304):
    answered("9110-15.3.5", f"{status} has no body", "1", f"HTTP/1.1 {status} x\r\nx: 1\r\n\r\n", f"{status} x=1")
    answered("9110-15.3.5", f"{status} has no body", "2", f"H1e :status={status}|x=1", f"{status} x=1")
answered("9110-15.4.5", "304 with the length of what it stands for", "1", "HTTP/1.1 304 x\r\ncontent-length: 5\r\n\r\n", "304 #5")
answered("9110-15.4.5", "304 with the length of what it stands for", "2", "H1e :status=304|content-length=5", "304 #5")
HEAD = "H1e :method=HEAD|:scheme=http|:path=/|:authority=a"
answered("9110-9.3.2", "HEAD with a length", "1", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "200 #5", HEAD, "HEAD / a")
answered("9110-9.3.2", "HEAD with a length", "2", "H1e :status=200|content-length=5", "200 #5", HEAD, "HEAD / a")
answered("9110-9.3.2", "HEAD of a chunked answer", "1", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "200", HEAD, "HEAD / a")
answered("9110-9.3.2", "a HEAD answer with DATA after all", "2", "H1 :status=200|content-length=5;D1e hello", "200 #5", HEAD, "HEAD / a")
answered("9112-7.1", "chunked", "1", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "200 [hello]")
answered("9112-7.1.2", "chunked with trailers", "1",
         "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n", "200 [hello] +x-sum=9")
answered("9113-8.1", "trailers", "2", "H1 :status=200;D1 hello;H1e x-sum=9", "200 [hello] +x-sum=9")
answered("9113-8.1", "trailers alone", "2", "H1 :status=200;H1e x-sum=9", "200 +x-sum=9")
answered("9113-8.1", "empty DATA ends", "2", "H1 :status=200;D1 hello;D1e", "200 [hello]")
answered("9113-8.1", "no body", "2", "H1e :status=200", "200")
answered("9113-8.1", "103, then the answer", "2", "H1 :status=103|link=x;" + OK2, f"103 link=x [ {GOT_OK}")
answered("9110-15.2", "103, then the answer", "1", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK1, f"103 link=x [ {GOT_OK}")
answered("9112-9.3", "until close", "1", "HTTP/1.0 200 OK\r\n\r\nhello", "200 [hello")
answered("9110-7.6.1", "connection fields are dropped", "1",
         "HTTP/1.1 200 OK\r\nconnection: close, x-mine\r\nx-mine: 1\r\nkeep-alive: 5\r\nproxy-connection: x\r\ncontent-length: 0\r\n\r\n",
         "200 #0")
answered("9112-3.1", "a reason does not matter", "1", "HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n", "299 #0")
row("9110-10.1.1", "100-continue goes there and back", "1", ("C>", f"H1 {POST}|expect=100-continue|content-length=2"),
    ("O<", "POST / a expect=100-continue #2 ["), ("O>", "HTTP/1.1 100 Continue\r\n\r\n"), ("C<", "100 ["), ("C>", "D1e hi"),
    ("O<", "POST / a expect=100-continue #2 [hi]"), ("O>", OK1), ("C<", f"100 [ {GOT_OK}"))
for v in "12":
    early = "HTTP/1.1 413 x\r\ncontent-length: 0\r\n\r\n" if v == "1" else "H1e :status=413|content-length=0"
    row("9113-8.1", "an answer before the whole request", v, ("C>", f"H1 {POST};D1 he"),
        ("O<", "POST / a chunked [he" if v == "1" else "POST / a [he"), ("O>", early), ("C<", "413 #0 R=0"))

# ---- HTTP/1 in, HTTP/2 behind ----
def up(rule, name, sent, seen, answer=OK2, back=GOT_OK):
    row(rule, name, "2", ("C>", "T" + sent), ("O<", seen), ("O>", answer), ("C<", back))


up("9113-8.3.1", "host is :authority", "GET /p?q HTTP/1.1\r\nhost: a:80\r\n\r\n", "GET /p?q a:80")
up("9113-8.3.1", "absolute form", "GET http://b/p HTTP/1.1\r\nhost: b\r\n\r\n", "GET /p b")
up("9113-8.2.1", "names are made lower case", "GET / HTTP/1.1\r\nHost: a\r\nX-Mine: B\r\n\r\n", "GET / a x-mine=B")
up("9113-8.2.2", "connection fields are dropped",
   "GET / HTTP/1.1\r\nhost: a\r\nconnection: x-mine\r\nx-mine: 1\r\nkeep-alive: 5\r\nproxy-connection: x\r\nte: gzip\r\n\r\n", "GET / a")
up("9113-8.2.2", "chunked is DATA", "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST / a [hello]")
up("9113-8.1", "chunked trailers are trailers",
   "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n", "POST / a [hello] +x-sum=9")
up("9113-8.1.1", "a length stays", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", "POST / a #5 [hello]")
up("9112-7.1", "an answer without a length is chunked", "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET / a",
   "H1 :status=200;D1e hello", "200 chunked [hello]")
up("9112-7.1.2", "trailers of an answer are chunked trailers", "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\r\n", "GET / a te=trailers",
   "H1 :status=200;D1 hello;H1e x-sum=9", "200 chunked [hello] +x-sum=9")
up("9112-6.3", "204", "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET / a", "H1e :status=204", "204")
up("9112-6.3", "an answer that ends with its head", "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET / a", "H1e :status=200", "200 #0")
up("9110-9.3.2", "HEAD", "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", "HEAD / a", "H1e :status=200|content-length=5", "200 #5")
up("9110-15.2", "103", "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET / a", "H1 :status=103|link=x;" + OK2, f"103 link=x; {GOT_OK}")

# ---- origins that misbehave ----
BAD = "502 #87 [*87]"
RESET = "503 #85 [*85]"
def bad(rule, name, answer, back, origin="2", sent="H1e Q", seen="GET / a"):
    row(rule, name, origin, ("C>", sent), ("O<", seen), ("O>", answer), ("C<", back))


bad("9113-8.3.2", "no :status", "H1e x=1", BAD)
bad("9113-8.3.2", ":status of two digits", "H1e :status=20", BAD)
bad("9113-8.3.2", ":status of letters", "H1e :status=abc", BAD)
bad("9113-8.3.2", ":status twice", "H1e :status=200|:status=200", BAD)
bad("9113-8.3.2", ":path in an answer", "H1e :status=200|:path=/", BAD)
bad("9113-8.6", "101", "H1e :status=101", BAD)
bad("9113-8.1", "103 that ends the stream", "H1e :status=103", BAD)
bad("9113-8.2.1", "upper case name", "H1e :status=200|X=1", BAD)
bad("9113-8.2.1", "a line end in a value", "H1e :status=200|x=1\r\ny: 2", BAD)
bad("9113-8.2.2", "connection", "H1e :status=200|connection=close", BAD)
bad("9113-8.2.2", "transfer-encoding", "H1 :status=200|transfer-encoding=chunked;D1e x", BAD)
bad("9113-8.1.1", "a length and no DATA", "H1e :status=200|content-length=5", BAD)
bad("9113-8.1.1", "two lengths", "H1 :status=200|content-length=2|content-length=2;D1e ok", BAD)
bad("9113-8.1.1", "a length of letters", "H1 :status=200|content-length=x;D1e ok", BAD)
bad("9113-8.1.1", "less DATA than its length", "H1 :status=200|content-length=5;D1e ok", "200 #5 [ok R=2")
bad("9113-8.1.1", "more DATA than its length", "H1 :status=200|content-length=1;D1e ok", "200 #1 [ R=2")
bad("9113-8.1", "trailers that do not end", "H1 :status=200;D1 x;H1 t=1", "200 [x R=2")
bad("9113-8.1", "DATA before the head", "D1 x", BAD)
bad("9113-8.1", "a second head", "H1 :status=200;H1 :status=200", "200 [ R=2")
bad("9113-6.4", "RST before the answer", "R1 2", RESET)
bad("9113-6.4", "RST after the head", "H1 :status=200;R1 2", "200 [ R=2")
bad("9113-6.4", "RST in the body", "H1 :status=200|content-length=5;D1 he;R1 8", "200 #5 [he R=2")
bad("9113-8.1", "RST NO_ERROR after the whole answer", "H1 :status=200|content-length=2;D1e ok;R1 0", GOT_OK)
bad("9113-6.8", "GOAWAY that keeps the stream", "G 1.0;" + OK2, GOT_OK)
bad("9113-5.1", "DATA after the end", OK2 + ";D1 more", GOT_OK)
bad("9113-8.4", "PUSH_PROMISE", "X5.4.1 00000002828684410161;" + OK2, BAD)
bad("9113-5.1.1", "an answer on a stream nobody asked for", "H2e :status=200", BAD)
bad("9113-5.1", "an answer on an idle stream", "H3e :status=200", BAD)
bad("9113-6.5.2", "MAX_FRAME_SIZE 1", "!S 5=1", BAD)
bad("9113-6.9", "WINDOW_UPDATE 0", "W0 0", BAD)
bad("9113-4.3", "a header block that is no HPACK", "X1.5.1 80", BAD)
bad("9113-3.4", "HTTP/1 instead of HTTP/2", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", BAD)
bad("9113-3.4", "no SETTINGS first", "!" + OK2, BAD)
bad("9113-6.7", "PINGs and settings between", "P;S 4=100000;" + OK2, GOT_OK)
row("9113-6.5.2", "a small window of the origin: the body waits", "2", ("C>", f"H1 {POST};D1 x"), ("O<", "POST / a [x"),
    ("O>", "S 4=3"), ("C>", "D1e yzabcde"), ("O<", "POST / a [xyz"), ("O>", "W1 2"), ("O<", "POST / a [xyzab"), ("O>", "W1 10"),
    ("O<", "POST / a [xyzabcde]"), ("O>", OK2), ("C<", GOT_OK))
row("9113-6.9", "a small window of the client: the answer waits", "1", ("C>", "!M;S 4=3;H1e Q"), ("O<", "GET / a"),
    ("O>", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"), ("C<", "200 #5 [hel"), ("C>", "W1 1"), ("C<", "200 #5 [hell"),
    ("C>", "S 4=10"), ("C<", "200 #5 [hello]"))
for body, back in (("content-length: 5\r\n\r\nok", "200 #5 [ok R=2"), ("transfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "200 [ok R=2"),
                   ("transfer-encoding: chunked\r\n\r\nzz\r\n", "R=2"), ("content-length: 5, 5\r\n\r\n", BAD),
                   ("content-length: x\r\n\r\n", BAD)):
    row("9112-6.3", f"HTTP/1 answers {body!r} and ends", "1", ("C>", "H1e Q"), ("O<", "GET / a"), ("O>", "HTTP/1.1 200 OK\r\n" + body), ("O.", None),
        ("C<", back))
row("9112-9.3", "until close, closed", "1", ("C>", "H1e Q"), ("O<", "GET / a"), ("O>", "HTTP/1.0 200 OK\r\n\r\nhello"), ("O.", None),
    ("C<", "200 [hello]"))
row("9112-9.5", "HTTP/1 ends without an answer", "1", ("C>", "H1e Q"), ("O<", "GET / a"), ("O.", None), ("C<", "503 #95 [*95]"))
row("9113-6.8", "GOAWAY that names the stream as not taken", "2", ("C>", "H1e Q"), ("O<", "GET / a"), ("O>", "G 0.0"), ("C<", RESET))
