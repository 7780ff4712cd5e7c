"""WebSocket with real ends: Python's websockets as client, it and node's ws as servers, through one proxy and through two
sidecars with mutual TLS. Autobahn's suite needs Python 2, which is not to be had."""
import asyncio
import os

import pytest
import websockets
from harness import config
from harness.lab import Lab
from harness.proc import Process
from tools import need, node_packages
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.frames import CloseCode

UPGRADE = {"upgrade_configs": [{"upgrade_type": "websocket"}]}
MOST = 8 << 20


async def _echo(ws):
    """Messages come back as they came; "close CODE" closes, "fragments" answers in four frames, "tell" tells of the handshake."""
    async for message in ws:
        if isinstance(message, str) and message.startswith("close "):
            await ws.close(int(message.split()[1]), "as asked")
        elif message == "fragments":
            await ws.send(iter(["a", "bb", "", "ccc"]))
        elif message == "tell":
            await ws.send(f"{ws.request.path} {ws.subprotocol} {ws.request.headers.get('sec-websocket-extensions', '')}")
        else:
            await ws.send(message)


class World:
    def __init__(self, lab):
        async def begin():
            return await serve(_echo, "127.0.0.1", 0, max_size=MOST, select_subprotocol=(
                lambda _, offered: "chat" if "chat" in offered else None))
        server = lab.background.run(begin())
        lab.at_end(lambda: lab.background.run(self._end(server)))
        self.servers = {"python": server.sockets[0].getsockname()[1]}
        try:
            node = Process([need("node"), node_packages() / "server.mjs"], lab.folder / "node.log")
            lab.at_end(node.stop)
            self.servers["node"] = node.wait_ready_line()
        except pytest.skip.Exception:
            pass  # the tests with it say so
        self.roads = {}
        for name, port in self.servers.items():
            _, self.roads[name, "plain"] = lab.http_front(port, hcm=UPGRADE)
            self.roads[name, "pair"] = lab.pair(port, outer_hcm=UPGRADE, inner_hcm=UPGRADE).port

    @staticmethod
    async def _end(server):
        server.close()
        await server.wait_closed()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("websocket"))
    try:
        yield World(lab)
    finally:
        lab.close()


@pytest.fixture(params=["plain", "pair"])
def road(request):
    return request.param


@pytest.fixture(params=["python", "node"])
def port(request, world, road):
    if request.param not in world.servers:
        node_packages()
    return world.roads[request.param, road]


def play(port, act, path="/ws", **options):
    async def run():
        async with asyncio.timeout(20):
            async with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, max_size=MOST, **options) as ws:
                return await act(ws)
    return asyncio.run(run())


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_of_every_kind_and_size(port, compression):
    async def act(ws):
        assert ("permessage-deflate" in ws.response.headers.get("sec-websocket-extensions", "")) == (compression is not None)
        # 125, 126 and 65535, 65536: where the length takes another form (RFC 6455 section 5.2).
        for size in (0, 1, 125, 126, 127, 65535, 65536, 1 << 20):
            for message in ("\u20ac" * (size // 3) + "x" * (size % 3), os.urandom(size)):
                await ws.send(message)
                assert await ws.recv() == message
    play(port, act, compression=compression)


def test_fragments(port):
    """RFC 6455 section 5.4, with a ping in the middle."""
    async def act(ws):
        async def pieces():
            for i in range(50):
                yield b"%d," % i
                if i == 25:
                    await (await ws.ping(b"between"))
        await ws.send(pieces())
        assert await ws.recv() == b"".join(b"%d," % i for i in range(50))
    play(port, act)


def test_ping_and_pong(port):
    async def act(ws):
        for data in (b"", b"x", os.urandom(125)):
            await (await ws.ping(data))
        await ws.pong(b"unasked")
        await ws.send("still")
        assert await ws.recv() == "still"
    play(port, act)


def test_many_at_once(port):
    async def act(ws):
        async def send():
            for i in range(2000):
                await ws.send(str(i))
        sending = asyncio.create_task(send())
        assert [await ws.recv() for _ in range(2000)] == [str(i) for i in range(2000)]
        await sending
    play(port, act)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 3000, 4999])
def test_close_by_the_client(port, code):
    async def act(ws):
        await ws.close(code, "enough")
        assert (ws.close_code, ws.protocol.close_rcvd.code) == (code, code)
    play(port, act)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_close_by_the_service(world, road, code):
    async def act(ws):
        await ws.send(f"close {code}")
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await ws.recv()
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, "as asked")
    play(world.roads["python", road], act)


def test_fragments_of_the_service(world, road):
    async def act(ws):
        await ws.send("fragments")
        got = [piece async for piece in ws.recv_streaming()]
        assert got == ["a", "bb", "", "ccc", ""]
    play(world.roads["python", road], act, compression=None)


def test_the_handshake_passes(world, road):
    async def act(ws):
        await ws.send("tell")
        path, subprotocol, extensions = (await ws.recv()).split(" ", 2)
        assert (path, subprotocol, ws.subprotocol) == ("/ws?a=b%20c", "chat", "chat")
        assert extensions.startswith("permessage-deflate")
    play(world.roads["python", road], act, path="/ws?a=b%20c", subprotocols=["other", "chat"])


def test_a_client_that_breaks_the_protocol(world, road):
    """What is wrong inside is for the service to judge: its close frame comes back."""
    async def act(ws):
        ws.transport.write(b"\x83\x80\0\0\0\0")  # a reserved opcode
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.rcvd.code == CloseCode.PROTOCOL_ERROR
    play(world.roads["python", road], act)


def test_without_upgrades_it_is_refused(lab, world):
    _, port = lab.http_front(world.servers["python"])
    with pytest.raises(websockets.InvalidStatus) as caught:
        play(port, None)
    assert caught.value.response.status_code == 403
