"""An API server that misbehaves as told: a reverse proxy (HTTP/2 over TLS, certificate of the cluster's CA) before the real one.

    with FaultProxy(cluster) as proxy:
        config = proxy.kubeconfig(path, token)        # for who shall go through it
        proxy.fail(429, retry_after_s=1, rate=0.5)    # half of all requests
        proxy.fail(500, path="/api/v1/pods")          # whatever matches this expression
        proxy.expire(path="endpointslices")           # watches: an ERROR event 410 at once
        proxy.cut_watches(every_s=2)
        proxy.clear()                                 # as good as the real one

It listens in the cluster's network at the node address, so a pod reaches it as well:
KUBERNETES_SERVICE_HOST=proxy.address, KUBERNETES_SERVICE_PORT=proxy.port. Calls go on with the caller's own token; a client
certificate ends here. Faults apply in the order in which they were made; the first that takes a request decides. `seen` has
every request with the status that it got. A server that does not even accept: cluster.signal("kube-apiserver", SIGSTOP).
"""
import asyncio
import contextlib
import json
import random
import re
import socket
import ssl
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import httpx

from harness.netns import NetNs

from . import pki

REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 429: "TooManyRequests",
           500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
HOP_BY_HOP = {"connection", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "content-length"}
BODY_MAX = 64 << 20


class Seen:
    """A request that came: `status` is 0 until it is answered, `ended` None until that is over."""

    def __init__(self, method, path, watch, fault):
        self.at, self.ended, self.status = time.monotonic(), None, 0
        self.method, self.path, self.watch, self.fault = method, path, watch, fault

    def __repr__(self):
        return f"{self.method} {self.path} -> {self.status}" + (f" ({self.fault})" if self.fault else "")


def status_object(code, message="fault proxy"):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": REASONS.get(code, "Unknown"), "code": code}


class Fault:
    """`what` happens to requests whose method, path and query match: to `rate` of them, and to no more than `count`."""

    def __init__(self, what, path="", method=None, watch=None, rate=1.0, count=None, **how):
        self.what, self.how = what, how
        self._path, self._method, self._watch = re.compile(path), method, watch
        self._rate, self._left = rate, count

    def takes(self, method, path, watch):
        if self._left == 0 or (self._method or method) != method or self._watch not in (None, watch):
            return False
        if not self._path.search(path) or random.random() >= self._rate:
            return False
        if self._left:
            self._left -= 1
        return True


class FaultProxy:
    def __init__(self, cluster, port=0):
        self.cluster = cluster
        self.address, self.port = cluster.address, port
        self.seen = []
        self._faults = []
        self._connections = set()
        self._cut_every_s = None
        self._loop = asyncio.new_event_loop()
        self._flows = True
        self._server = None
        self._upstream = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    # ---- life

    def __enter__(self):
        made = self.cluster.folder / "pki"
        if not (made / "fault-proxy.crt").exists():
            self.cluster.issue("fault-proxy", "fault-proxy", dns=["kubernetes.default.svc", "localhost"],
                               ips=["127.0.0.1", "10.96.0.1", self.address])
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(made / "fault-proxy.crt", made / "fault-proxy.key")
        self._tls.set_alpn_protocols(["h2"])
        self._thread.start()
        self._call(self._begin())
        return self

    def __exit__(self, *_):
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def server(self):
        return f"https://{self.address}:{self.port}"

    def kubeconfig(self, path, token):
        """Writes and answers a kubeconfig that goes through here with this bearer token."""
        path.touch(mode=0o600)
        path.write_text(pki.kubeconfig_of_token(self.cluster.folder / "pki", token, self.server))
        return path

    # ---- faults

    def fail(self, status, retry_after_s=None, **which):
        """Answers with a status, and a Status."""
        self._add(Fault("fail", status=status, retry_after_s=retry_after_s, **which))

    def hang(self, **which):
        """Takes the request and never answers."""
        self._add(Fault("hang", **which))

    def slow(self, first_s=0.0, bytes_per_s=None, **which):
        """Answers after a while, and slowly."""
        self._add(Fault("slow", first_s=first_s, bytes_per_s=bytes_per_s, **which))

    def truncate(self, after_bytes, **which):
        """Breaks the stream off in the middle of the body."""
        self._add(Fault("truncate", after_bytes=after_bytes, **which))

    def expire(self, **which):
        """A watch begins well and its first event is an error 410, as Kubernetes tells of a version that is too old."""
        self._add(Fault("expire", **{"watch": True, **which}))

    def lose_events(self, share=1.0, **which):
        """A watch leaves that share of its events out, bookmarks aside: what must never happen, and what relists are for."""
        self._add(Fault("lose", share=share, **{"watch": True, **which}))

    def cut_watches(self, every_s):
        """Each watch, also one that is open, ends that long after it began, in order; None: no more."""
        self._cut_every_s = every_s

    def cut(self):
        """Every connection breaks now."""
        self._loop.call_soon_threadsafe(lambda: [c.abort() for c in list(self._connections)])

    def refuse(self):
        """Nobody listens any more, and what was open breaks."""
        self._call(self._close())
        self.cut()

    def accept(self):
        """Listens again, at the same port."""
        self._call(self._listen())

    def freeze(self):
        """Nothing moves any more, neither on what is open nor on what is opened, as behind a network that is gone."""
        self._flows = False
        self._loop.call_soon_threadsafe(lambda: [c.flowing.clear() for c in self._connections])

    def strand(self):
        """What is open never moves again, and nobody is told; what is opened is well: a machine between was replaced."""
        self._loop.call_soon_threadsafe(lambda: [c.flowing.clear() for c in self._connections])

    def thaw(self):
        self._flows = True
        self._loop.call_soon_threadsafe(lambda: [c.flowing.set() for c in self._connections])

    def clear(self):
        """No fault of any kind. Streams that have one are cut."""
        self._faults = []
        self._cut_every_s = None
        self.thaw()
        self.accept()
        self.cut()

    # ---- what was seen

    def requests(self, path="", watch=None, since=0.0):
        """Those whose path and query match, since a time.monotonic()."""
        found = re.compile(path)
        return [s for s in list(self.seen) if found.search(s.path) and watch in (None, s.watch) and s.at >= since]

    # ---- how

    def _add(self, fault):
        self._faults = [*self._faults, fault]

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _begin(self):
        trust = ssl.create_default_context(cafile=str(self.cluster.folder / "pki" / "ca.crt"))
        self._upstream = httpx.AsyncClient(
            base_url=self.cluster.server, verify=trust, timeout=None, headers={}, trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20))
        self._upstream.headers.clear()
        await self._listen()

    async def _end(self):
        await self._close()
        for connection in list(self._connections):
            connection.abort()
        # What they still do ends with them.
        while self._connections:
            await asyncio.sleep(0.01)
        await self._upstream.aclose()

    async def _listen(self):
        if self._server:
            return
        network = NetNs(self.cluster.pid("etcd"))
        try:
            with network:  # a socket stays in the network in which it was made
                listener = socket.create_server((self.address, self.port), backlog=256)
        finally:
            network.close()
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=listener, ssl=self._tls)

    async def _close(self):
        if self._server:
            self._server.close()
            self._server = None

    async def _serve(self, reader, writer):
        connection = _Connection(self, reader, writer)
        if self._flows:
            connection.flowing.set()
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            connection.abort()
            self._connections.discard(connection)

    def fault_of(self, method, path, watch):
        return next((f for f in self._faults if f.takes(method, path, watch)), None)


class _Broken(Exception):
    """The stream shall end without an end."""


class _Connection:
    def __init__(self, proxy, reader, writer):
        self.proxy = proxy
        self._reader, self._writer = reader, writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._streams = {}  # id: (task, queue of body parts)
        self._window = asyncio.Event()
        self.flowing = asyncio.Event()

    def abort(self):
        self.flowing.set()
        self._writer.transport.abort()

    async def run(self):
        self._h2.initiate_connection()
        self._h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 250})
        try:
            while True:
                self._writer.write(self._h2.data_to_send())
                part = await self._reader.read(65536)
                if not part:
                    return
                await self.flowing.wait()
                for event in self._h2.receive_data(part):
                    self._on_event(event)
        except (OSError, ssl.SSLError, h2.exceptions.ProtocolError):
            return
        finally:
            for task, _ in self._streams.values():
                task.cancel()

    def _on_event(self, event):
        if isinstance(event, h2.events.RequestReceived):
            body = asyncio.Queue()
            self._streams[event.stream_id] = (asyncio.ensure_future(self._answer(event, body)), body)
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if event.stream_id in self._streams:
                self._streams[event.stream_id][1].put_nowait(event.data)
        elif isinstance(event, h2.events.StreamEnded):
            if event.stream_id in self._streams:
                self._streams[event.stream_id][1].put_nowait(None)
        elif isinstance(event, h2.events.StreamReset):
            if event.stream_id in self._streams:
                self._streams[event.stream_id][0].cancel()
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            self._window.set()

    async def _answer(self, event, body):
        stream = event.stream_id
        fields = dict(event.headers)
        method, path = fields[":method"], fields[":path"]
        watch = bool(re.search(r"[?&]watch=(1|true)\b", path))
        fault = self.proxy.fault_of(method, path, watch)
        seen = Seen(method, path, watch, fault.what if fault else None)
        self.proxy.seen.append(seen)
        try:
            content = b""
            while (part := await body.get()) is not None and len(content) < BODY_MAX:
                content += part
            headers = [(k, v) for k, v in event.headers if not k.startswith(":") and k not in HOP_BY_HOP]
            request = self.proxy._upstream.build_request(method, path, headers=headers, content=content)
            await self._play(stream, fault, request, seen)
        except (_Broken, httpx.HTTPError, OSError):
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
                self._writer.write(self._h2.data_to_send())
        except h2.exceptions.ProtocolError:
            pass  # the other side was faster
        finally:
            seen.ended = time.monotonic()
            self._streams.pop(stream, None)

    async def _play(self, stream, fault, request, seen):
        """One exchange with its fault."""
        what, how = (fault.what, fault.how) if fault else (None, {})
        if what == "hang":
            await asyncio.Event().wait()
        if what == "fail":
            more = [] if how["retry_after_s"] is None else [("retry-after", str(how["retry_after_s"]))]
            seen.status = how["status"]
            return await self._simple(stream, how["status"], status_object(how["status"]), more)
        if what == "expire":
            event = {"type": "ERROR", "object": status_object(410, "too old resource version: 1 (2)")}
            seen.status = 200
            return await self._simple(stream, 200, event, [])
        if what == "slow":
            await asyncio.sleep(how["first_s"])
        answer = await self.proxy._upstream.send(request, stream=True)
        try:
            seen.status = answer.status_code
            fields = [(k, v) for k, v in answer.headers.items() if k not in HOP_BY_HOP]
            self._head(stream, answer.status_code, fields)
            await self._until_cut(seen, self._body(stream, self._changed(what, how, answer)))
            self._h2.end_stream(stream)
            self._writer.write(self._h2.data_to_send())
        finally:
            await answer.aclose()

    async def _until_cut(self, seen, body):
        """To the end of a body, or for as long as a watch may last; that may be told meanwhile."""
        task = asyncio.ensure_future(body)
        try:
            while not (await asyncio.wait([task], timeout=0.1 if seen.watch else None))[0]:
                every_s = self.proxy._cut_every_s
                if every_s is not None and time.monotonic() - seen.at >= every_s:
                    return
            task.result()
        finally:
            task.cancel()

    async def _changed(self, what, how, answer):
        """The parts of the body as the fault makes them."""
        if what == "lose":
            async for line in answer.aiter_lines():
                if '"type":"BOOKMARK"' in line[:40] or random.random() >= how["share"]:
                    yield line.encode() + b"\n"
            return
        left = how["after_bytes"] if what == "truncate" else None
        async for part in answer.aiter_raw():
            if left is not None and len(part) >= left:
                yield part[:left]
                raise _Broken
            left = None if left is None else left - len(part)
            if what == "slow" and how["bytes_per_s"]:
                for at in range(0, len(part), 4096):
                    yield part[at:at + 4096]
                    await asyncio.sleep(len(part[at:at + 4096]) / how["bytes_per_s"])
            else:
                yield part

    async def _simple(self, stream, status, content, more):
        self._head(stream, status, [("content-type", "application/json"), *more])
        text = json.dumps(content, separators=(",", ":")).encode() + b"\n"

        async def parts():
            yield text

        await self._body(stream, parts())
        self._h2.end_stream(stream)
        self._writer.write(self._h2.data_to_send())

    def _head(self, stream, status, fields):
        self._h2.send_headers(stream, [(":status", str(status)), *fields])
        self._writer.write(self._h2.data_to_send())

    async def _body(self, stream, parts):
        async for part in parts:
            while part:
                await self.flowing.wait()
                room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
                if room == 0:
                    self._window.clear()
                    await self._window.wait()
                    continue
                self._h2.send_data(stream, part[:room])
                part = part[room:]
                self._writer.write(self._h2.data_to_send())
                await self._writer.drain()
