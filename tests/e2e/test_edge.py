"""What an edge does to messages: compression, paths before policies."""
import zlib

import httpx
import pytest
from harness import config
from harness.client import Http, Raw
from harness.origin import PIECE

GZIP = {"name": "envoy.filters.http.compressor", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor",
    "compressor_library": {"name": "gzip", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"}}}}
SIZES = (30, 31, 1000, 8191, 8192, 8193, 16384, 65535, 65536, 65537, 200_000, 1 << 20)


def text(size):
    return (PIECE * (size // len(PIECE) + 1))[:size]


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_compressed_bodies_are_the_same(lab, http2):
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port, filters=[GZIP])
    with httpx.Client(http1=not http2, http2=http2, base_url=f"http://127.0.0.1:{port}", timeout=20) as c:
        for size in (0, 29):
            a = c.get(f"/bytes/{size}")
            assert "content-encoding" not in a.headers and a.content == text(size)
        for size in SIZES:
            a = c.get(f"/bytes/{size}")  # httpx asks for gzip, and unpacks
            assert a.headers["content-encoding"] == "gzip" and a.content == text(size), size
        for size in (0, 1, 999, 1001, 100_000):
            a = c.get(f"/chunked/{size}")
            assert a.headers["content-encoding"] == "gzip"
            assert a.content == b"".join(PIECE[:min(1000, size - at)] for at in range(0, size, 1000)), size
        a = c.get("/bytes/1000", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in a.headers and a.content == text(1000)
    assert proxy.stat("http.http.compressor_compressed") == len(SIZES) + 5
    assert proxy.stat("http.http.compressor_total_uncompressed_bytes") == sum(SIZES) + 102_001


def test_what_has_come_is_not_held_back(lab):
    app = lab.http_origin()
    _, port = lab.http_front(app.port, filters=[GZIP], hcm={})
    with Raw(port) as c:
        # 10 bytes declared are under the least length: with a least length of 1 they are not.
        c.send(b"GET /gate/body HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
        assert b"content-encoding" not in c.until(b"\r\n\r\n")
    app.open_gate()
    low = {**GZIP, "typed_config": {**GZIP["typed_config"], "response_direction_config": {
        "common_config": {"min_content_length": 1}}}}
    app = lab.http_origin()
    _, port = lab.http_front(app.port, filters=[low])
    with Raw(port) as c:
        c.send(b"GET /gate/body HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
        assert b"content-encoding: gzip" in c.until(b"\r\n\r\n")
        z = zlib.decompressobj(31)
        got = b""
        while len(got) < 5:
            got += z.decompress(chunk(c))
        assert got == b"01234"
        app.open_gate()
        while True:
            piece = chunk(c)
            if not piece:
                break
            got += z.decompress(piece)
        assert got == b"0123456789" and z.eof


def chunk(c):
    size = int(c.until(b"\r\n"), 16)
    data = c.exactly(size)
    c.exactly(2)
    return data


# ---- paths, before a policy that denies /admin

DENY_ADMIN = config.rbac_http({"admin": config.policy(permissions=[
    {"url_path": {"path": {"prefix": "/admin"}}}])}, "DENY")
NONE = {}
BASE = {"normalize_path": True}
MERGE = {"normalize_path": True, "merge_slashes": True}
DECODE = {"normalize_path": True, "merge_slashes": True, "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD"}

# target: what reaches the application (403: denied, 400: refused) with NONE, BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES
PATHS = [
    ("/admin", 403, 403, 403, 403),
    ("/admin/", 403, 403, 403, 403),
    ("/admin?x=1", 403, 403, 403, 403),
    ("/%61dmin", "/%61dmin", 403, 403, 403),
    ("/x/../admin", "/x/../admin", 403, 403, 403),
    ("/./admin", "/./admin", 403, 403, 403),
    ("/x/%2e%2e/admin", "/x/%2e%2e/admin", 403, 403, 403),
    ("/x/.%2E/admin", "/x/.%2E/admin", 403, 403, 403),
    ("/\\admin", "/\\admin", "//admin", 403, 403),
    ("//admin", "//admin", "//admin", 403, 403),
    ("///x/..//admin", "///x/..//admin", "////admin", 403, 403),
    ("/%2fadmin", "/%2fadmin", "/%2fadmin", "/%2fadmin", 403),
    ("/%5cadmin", "/%5cadmin", "/%5cadmin", "/%5cadmin", 403),
    ("/x/..%2fadmin", "/x/..%2fadmin", "/x/..%2fadmin", "/x/..%2fadmin", 403),
    ("/x%2f../admin", "/x%2f../admin", "/x%2f../admin", "/x%2f../admin", 403),
    ("/admin%2fusers", 403, 403, 403, 403),
    ("/admin;x=1", 403, 403, 403, 403),
    ("/admin%00", 403, 400, 400, 400),
    ("/x%00", "/x%00", 400, 400, 400),
    ("/%zz", "/%zz", 400, 400, 400),
    ("/ok", "/ok", "/ok", "/ok", "/ok"),
    ("/ok/./a//b?p=//../%2e", "/ok/./a//b?p=//../%2e", "/ok/a//b?p=//../%2e", "/ok/a/b?p=//../%2e",
     "/ok/a/b?p=//../%2e"),
    ("/a%20b%7e%C3%A9", "/a%20b%7e%C3%A9", "/a%20b~%C3%A9", "/a%20b~%C3%A9", "/a%20b~%C3%A9"),
    ("/%252e%252e/admin", "/%252e%252e/admin", "/%252e%252e/admin", "/%252e%252e/admin", "/%252e%252e/admin"),
]


@pytest.mark.parametrize("column,options", [(1, NONE), (2, BASE), (3, MERGE), (4, DECODE)],
                         ids=["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"])
def test_paths_before_policies(lab, column, options):
    app = lab.http_origin()
    _, port = lab.http_front(app.port, filters=[DENY_ADMIN], hcm=options)
    wrong = []
    for row in PATHS:
        target, want = row[0], row[column]
        count = len(app.seen)
        with Raw(port) as c:
            c.send(b"GET %s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" % target.encode())
            status = int(c.until(b"\r\n").split()[1])
        got = app.seen[-1].target if len(app.seen) > count else status
        if got != want:
            wrong.append((target, got, want))
    assert not wrong
