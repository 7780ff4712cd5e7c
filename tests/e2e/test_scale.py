"""Many at once: connections, handshakes, pushes. What they cost is printed with -s."""
import asyncio
import os
import ssl
import threading

import pytest
from harness import config
from harness.client import Http, Raw, get
from harness.proc import wait_until

PUSHES = int(os.environ.get("PUSHES", "10000"))


def client_context(identity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(identity.cert, identity.key)
    return context


async def ask(reader, writer):
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    await reader.readexactly(3)


async def open_many(port, context, count, at_once):
    gate = asyncio.Semaphore(at_once)

    async def one():
        async with gate:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="server"), 60)
            await ask(reader, writer)
            return reader, writer
    return await asyncio.gather(*[one() for _ in range(count)])


def test_two_thousand_tls_connections(lab, record_property):
    """200 handshakes at a time, 2,000 connections held, each used again at the end."""
    app = lab.http_origin()
    pair = lab.pair(app.port, inner_options={"concurrency": 2})
    assert get(pair.port, "/").status == 200
    context = client_context(pair.client)
    before = pair.inner.rss_kb()

    async def run():
        held = await open_many(pair.inner_port, context, 2000, 200)
        rss = pair.inner.rss_kb()
        for reader, writer in held:
            await ask(reader, writer)
        for _, writer in held:
            writer.transport.abort()
        return rss
    per_connection = (asyncio.run(run()) - before) / 2000
    record_property("kib_per_tls_connection", per_connection)
    print(f"{per_connection:.1f} KiB per TLS connection")
    assert per_connection < 100
    wait_until(lambda: pair.inner.stat("http.inbound.downstream_cx_active") <= 1, "all to be gone")


def test_two_hundred_handshakes_at_once(lab):
    app = lab.http_origin()
    pair = lab.pair(app.port)
    context = client_context(pair.client)

    async def run():
        held = await open_many(pair.inner_port, context, 200, 200)
        for _, writer in held:
            writer.transport.abort()
        return len(held)
    assert asyncio.run(run()) == 200


@pytest.mark.parametrize("what", ["endpoints", "routes"])
def test_ten_thousand_pushes_under_open_streams(lab, what, record_property):
    """100 requests stay open meanwhile, others come and go: none fails, and nothing is left behind."""
    apps, ads = [lab.http_origin("a"), lab.http_origin("b")], lab.ads()
    port = lab.ports.take()

    def endpoints(i):
        return config.assignment("app", apps[i % 2].port, typed=True)

    def routes(i):
        body = config.routes_to("app", "routes", timeout="0s")
        body["response_headers_to_add"] = [{"header": {"key": "x-version", "value": str(i)}}]
        return {"@type": config.ROUTES, **body}
    change = endpoints if what == "endpoints" else routes
    ads.put(config.listener("front", port, config.hcm("routes", rds=config.ADS_SOURCE)), routes(0),
            config.cluster("app", eds=config.ADS_SOURCE, circuit_breakers=config.NO_LIMITS), endpoints(0))
    proxy = lab.ads_proxy(ads.port, True)
    proxy.wait_for(lambda: get(port, "/").status == 200, "the first answer")
    held = [Raw(port) for _ in range(100)]
    for c in held:
        c.send(b"GET /gate/body HTTP/1.1\r\nhost: a\r\n\r\n")
        c.until(b"01234")
    failed, over = [], threading.Event()

    def traffic():
        with Http(port) as c:
            while not over.is_set():
                status = c.get("/").status
                if status != 200:
                    failed.append(status)
    side = threading.Thread(target=traffic)
    side.start()
    try:
        for i in range(500):
            ads.wait_taken(ads.put(change(i)))
        before = proxy.rss_kb()
        for i in range(PUSHES):
            ads.wait_taken(ads.put(change(i)))
        growth = proxy.rss_kb() - before
    finally:
        over.set()
        side.join(20)
    for app in apps:
        app.open_gate()
    for c in held:
        assert c.exactly(5) == b"56789"
        c.sock.close()
    record_property("rss_growth_kib", growth)
    print(f"{PUSHES} pushes of {what}: RSS {growth:+} KiB")
    assert failed == [] and ads.refusals == []
    assert growth < (1024 if lab.kind == "mesh" else 65536)
