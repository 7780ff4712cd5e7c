"""gRPC-Web, frame by frame: binary and base64, HTTP/1.1 and HTTP/2, from the service and from us.
Source: gRPC's PROTOCOL-WEB; Envoy's filter envoy.filters.http.grpc_web."""
import base64
import json
import struct

import httpx
import pytest
from harness import config
from harness.client import Raw

TYPE = "application/grpc-web"
FILTER = {"name": "envoy.filters.http.grpc_web", "typed_config": {
    "@type": config.TYPE + "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"}}


def frame(message, flags=0):
    return struct.pack(">BI", flags, len(message)) + message


def frames(body):
    """[(flags, bytes)]"""
    got = []
    while body:
        flags, length = struct.unpack(">BI", body[:5])
        assert len(body) >= 5 + length, body
        got.append((flags, body[5:5 + length]))
        body = body[5 + length:]
    return got


def trailers(body):
    flags, text = frames(body)[-1]
    assert flags == 0x80
    return dict(line.split(":", 1) for line in text.decode().split("\r\n") if line)


def plain(text):
    """Base64 whose pieces may be padded anywhere."""
    return b"".join(base64.b64decode(text[i:i + 4], validate=True) for i in range(0, len(text), 4))


class Web:
    def __init__(self, port, http2, text):
        self.client = httpx.Client(http1=not http2, http2=http2, timeout=20, trust_env=False)
        self.url = f"http://127.0.0.1:{port}/test.Echo/"
        self.text = text

    def call(self, method, *messages, **headers):
        kind = TYPE + ("-text" if self.text else "") + "+proto"
        body = b"".join(frame(m) for m in messages)
        body = base64.b64encode(body) if self.text else body
        answer = self.client.post(self.url + method, content=body, headers={
            "content-type": kind, "accept": kind, "x-grpc-web": "1", **{k.replace("_", "-"): v for k, v in headers.items()}})
        assert answer.headers["content-type"] == kind
        answer.frames = plain(answer.content) if self.text else answer.content
        return answer


def front(lab, *ports, http2=True, routes=None, filters=(FILTER,), **more):
    return lab.http_front(clusters=[config.cluster("app", *ports, http2=http2, **more)], filters=filters,
                          routes=routes or config.routes_to("app", timeout="0s"))[1]


@pytest.fixture(params=[(h, t) for h in ("HTTP/1.1", "HTTP/2") for t in ("binary", "text")], ids="-".join)
def form(request):
    return request.param[0] == "HTTP/2", request.param[1] == "text"


@pytest.fixture
def web(lab, form):
    web = Web(front(lab, lab.grpc_origin().port), *form)
    yield web
    web.client.close()


def test_unary(web):
    for size in (0, 1, 2, 3, 1000, 100000, 1000000):
        message = bytes(i & 255 for i in range(size))
        answer = web.call("Unary", message)
        assert answer.status_code == 200 and "content-length" not in answer.headers
        assert [f for f, _ in frames(answer.frames)] == [0, 0x80] and frames(answer.frames)[0][1] == message
        assert trailers(answer.frames)["grpc-status"] == "0" and "grpc-status" not in answer.headers


def test_server_stream(web):
    got = frames(web.call("Down", b"500").frames)
    assert [m for f, m in got if f == 0] == [b"%d" % i for i in range(500)] and got[-1][0] == 0x80


def test_status_and_trailing_metadata(web):
    told = web.call("Fail", "zu viel: 100 %".encode())
    found = dict(told.headers) if "grpc-status" in told.headers else trailers(told.frames)
    assert found["grpc-status"] == "8" and found["x-why"] == "as asked"
    assert found["grpc-message"].replace("%20", " ") == "zu viel: 100 %25"


def test_metadata(web):
    answer = web.call("Meta", b"", x_mine="1")
    assert answer.headers["x-first"] == "1" and trailers(answer.frames)["x-last"] == "2"
    seen = dict(map(tuple, json.loads(frames(answer.frames)[0][1])))
    assert seen["x-mine"] == "1" and seen["x-grpc-web"] == "1"


def test_answers_of_ours(lab, form):
    """The status stays, and what gRPC wants to know is in the head: nothing there, denied, no route."""
    denied = config.rbac_http({"none": config.policy(config.principal("spiffe://x"))})
    nowhere = {"name": "local", "virtual_hosts": [config.vhost("all", ["*"], config.route("/else", "app"))]}
    for port, status, told in (
            (front(lab, lab.dead_port()), 503, "14"),
            (front(lab, lab.dead_port(), filters=(FILTER, denied)), 403, "7"),
            (front(lab, lab.dead_port(), routes=nowhere), 404, "12")):
        answer = Web(port, *form).call("Unary", b"")
        assert (answer.status_code, answer.headers["grpc-status"], answer.content) == (status, told, b"")
        assert answer.headers["content-length"] == "0"


def test_an_answer_that_is_not_grpc(lab, form):
    """It ends with trailers that say what came."""
    web = Web(front(lab, lab.http_origin("sorry").port, http2=False), *form)
    assert trailers(web.call("Unary", b"").frames) == {"grpc-status": "2", "grpc-message": "sorry"}
    web.url = web.url.replace("test.Echo/", "status/503/")
    answer = web.call("Unary", b"")
    assert answer.status_code == 503 and trailers(answer.frames) == {"grpc-status": "14", "grpc-message": "status"}


def test_what_reaches_the_service(lab, form):
    app = lab.http_origin()
    web = Web(front(lab, app.port, http2=False), *form)
    web.call("Unary", b"abc")
    seen = app.last()
    assert (seen.get("content-type"), seen.get("te"), seen.get("grpc-accept-encoding")) == ("application/grpc", "trailers", "identity")
    assert seen.body_bytes == 8
    web.call("Unary", b"abc", grpc_accept_encoding="gzip")
    assert app.last().all("grpc-accept-encoding") == ["gzip"]


def test_other_requests_pass_as_they_are(lab):
    app = lab.http_origin()
    port = front(lab, app.port, http2=False)
    for kind in ("application/grpc-webx", "text/plain", "application/json"):
        answer = httpx.post(f"http://127.0.0.1:{port}/x", content=b"abc", headers={"content-type": kind}, trust_env=False)
        assert answer.text == "app" and app.last().get("content-type") == kind


def test_without_the_filter(lab):
    app = lab.http_origin()
    port = front(lab, app.port, http2=False, filters=())
    assert httpx.post(f"http://127.0.0.1:{port}/x", content=b"abc", headers={"content-type": TYPE}, trust_env=False).text == "app"
    assert app.last().get("content-type") == TYPE


def test_text_in_any_pieces(lab):
    """Each byte in a chunk of its own, padded in the middle."""
    port = front(lab, lab.grpc_origin().port)
    message = frame(b"0123456789")
    text = base64.b64encode(message[:4]) + base64.b64encode(message[4:9]) + base64.b64encode(message[9:])
    with Raw(port) as c:
        c.send(f"POST /test.Echo/Unary HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {TYPE}-text\r\n"
               f"accept: {TYPE}-text\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        for i in range(len(text)):
            c.send(b"1\r\n%s\r\n" % text[i:i + 1])
        c.send(b"0\r\n\r\n")
        said = c.all()
    assert said.startswith(b"HTTP/1.1 200") and base64.b64encode(message) in said


def test_bad_base64(lab):
    port = front(lab, lab.grpc_origin().port)
    for bad in (b"AAAAAA", b"AAAA====", b"!!!!", b"AAA", b"A=AA"):
        answer = httpx.post(f"http://127.0.0.1:{port}/test.Echo/Unary", content=bad, headers={
            "content-type": TYPE + "-text", "accept": TYPE + "-text"}, trust_env=False)
        assert (answer.status_code, answer.headers["grpc-status"]) == (400, "13"), bad


def test_through_the_pair(lab):
    """The sidecar of the service turns it into gRPC; between the sidecars it is as the browser sent it."""
    pair = lab.pair(lab.grpc_origin().port, app_http2=True, inner_filters=[FILTER])
    for text in (False, True):
        answer = Web(pair.port, False, text).call("Unary", b"x" * 100000)
        assert frames(answer.frames)[0][1] == b"x" * 100000 and trailers(answer.frames)["grpc-status"] == "0"
