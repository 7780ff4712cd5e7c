"""The API server's client: requests on kept connections, and stores that follow a kind by list and watch.

    api = Client(load_kubeconfig(path))
    await api.get("/api/v1/nodes")
    pods = Store(api, "/api/v1/pods", on_change)      # on_change(kind_of_change, object)
    await pods.start()
"""
import asyncio
import base64
import contextlib
import json
import os
import ssl
import tempfile
import traceback
import urllib.parse

import yaml

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
CONNECTIONS = 24
REQUEST_TIMEOUT_S = 30
WATCH_S = 1800


class ApiError(Exception):
    """An answer that is no success: .status is the HTTP status, .reason the API's word."""

    def __init__(self, status, reason, message):
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


# What a request may end with when the server, or the way to it, is in trouble; worth another try later.
TROUBLE = (ApiError, OSError, TimeoutError, asyncio.IncompleteReadError)


class Access:
    """Where the API server is and how one is let in."""

    def __init__(self, server, tls, headers, authority=None):
        url = urllib.parse.urlsplit(server)
        self.host, self.port, self.tls = url.hostname, url.port or (443 if tls else 80), tls
        self.authority = authority  # in PEM
        self.headers = {"Host": url.netloc, "User-Agent": "mesh-lab-node", "Accept": "application/json", **headers}


def _material(entry, key, base):
    """The bytes of KEY-data or of the file that KEY names."""
    if entry.get(key + "-data"):
        return base64.b64decode(entry[key + "-data"])
    if entry.get(key):
        with open(os.path.join(base, entry[key]), "rb") as file:
            return file.read()
    return None


def load_kubeconfig(path):
    with open(path, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    base = os.path.dirname(os.path.abspath(path))

    def named(kind, name):
        return next(e[kind] for e in config[kind + "s"] if e["name"] == name) or {}

    chosen = named("context", config["current-context"])
    cluster, user = named("cluster", chosen["cluster"]), named("user", chosen["user"])
    headers = {"Authorization": "Bearer " + user["token"]} if user.get("token") else {}
    if not cluster["server"].startswith("https:"):
        return Access(cluster["server"], None, headers)
    tls = ssl.create_default_context()
    authority = _material(cluster, "certificate-authority", base)
    if authority:
        tls.load_verify_locations(cadata=authority.decode())
    certificate, key = _material(user, "client-certificate", base), _material(user, "client-key", base)
    if certificate and key:
        with tempfile.NamedTemporaryFile() as both:  # ssl takes files only
            both.write(certificate + b"\n" + key)
            both.flush()
            tls.load_cert_chain(both.name)
    return Access(cluster["server"], tls, headers, authority and authority.decode())


class Answer:
    """Status, headers and the body's pieces of one HTTP/1.1 response."""

    def __init__(self, reader):
        self.reader = reader

    async def head(self):
        line = await self.reader.readline()
        if not line:
            raise ConnectionResetError("closed before an answer")
        self.status = int(line.split(b" ", 2)[1])
        self.headers = {}
        while (line := await self.reader.readline()).strip():
            name, _, value = line.partition(b":")
            self.headers[name.strip().lower().decode()] = value.strip().decode()

    async def pieces(self):
        if self.headers.get("transfer-encoding") != "chunked":
            left = int(self.headers.get("content-length", 0))
            yield await self.reader.readexactly(left)
            return
        while size := int((await self.reader.readline()).split(b";")[0] or b"0", 16):
            yield await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()

    async def body(self):
        return b"".join([piece async for piece in self.pieces()])


class Client:
    def __init__(self, access):
        self.access = access
        self.idle = []
        self.gate = asyncio.Semaphore(CONNECTIONS)

    async def connect(self):
        return await asyncio.open_connection(self.access.host, self.access.port, ssl=self.access.tls, limit=1 << 20)

    def write(self, writer, method, path, body, content_type):
        head = [f"{method} {path} HTTP/1.1"] + [f"{n}: {v}" for n, v in self.access.headers.items()]
        if body is not None:
            head += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + (body or b""))

    async def request(self, method, path, content=None, content_type="application/json"):
        body = None if content is None else json.dumps(content).encode()
        async with self.gate:
            while True:
                kept = bool(self.idle)
                reader, writer = self.idle.pop() if kept else await self.connect()
                try:
                    self.write(writer, method, path, body, content_type)
                    answer = Answer(reader)
                    async with asyncio.timeout(REQUEST_TIMEOUT_S):
                        await answer.head()
                        data = await answer.body()
                except BaseException as error:
                    writer.close()
                    # A kept connection may have been closed by the server meanwhile.
                    if kept and isinstance(error, (ConnectionError, asyncio.IncompleteReadError)):
                        continue
                    if isinstance(error, (ValueError, IndexError)):
                        raise ConnectionError(f"no HTTP: {error}") from error
                    raise
                self.idle.append((reader, writer))
                break
        if answer.status >= 300:
            raise self.refusal(answer.status, data)
        try:
            return json.loads(data)
        except ValueError as error:
            raise ConnectionError(f"no JSON: {error}") from error

    @staticmethod
    def refusal(status, data):
        try:
            said = json.loads(data)
            return ApiError(status, said.get("reason", ""), said.get("message", ""))
        except ValueError:
            return ApiError(status, "", data.decode(errors="replace")[:300])

    async def get(self, path):
        return await self.request("GET", path)

    async def post(self, path, content):
        return await self.request("POST", path, content)

    async def put(self, path, content):
        return await self.request("PUT", path, content)

    async def patch(self, path, content, content_type=STRATEGIC):
        return await self.request("PATCH", path, content, content_type)

    async def delete(self, path, content=None):
        return await self.request("DELETE", path, content)

    async def watch(self, path):
        """The events of one watch, until the server ends it."""
        reader, writer = await self.connect()
        try:
            self.write(writer, "GET", path, None, None)
            answer = Answer(reader)
            await answer.head()
            if answer.status >= 300:
                raise self.refusal(answer.status, await answer.body())
            rest = b""
            async for piece in answer.pieces():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield json.loads(line)
        finally:
            writer.close()


def key_of(obj):
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


class Store:
    """All objects of one kind, kept up to date: .objects[(namespace, name)].

    on_change("ADDED" | "MODIFIED" | "DELETED", object) is called after the store was changed."""

    def __init__(self, api, path, on_change=None, query=""):
        self.api, self.path, self.query = api, path, query
        self.on_change = on_change or (lambda change, obj: None)
        self.objects = {}
        self.task = None

    async def start(self):
        """The first list is in the store when this returns."""
        version = await self.relist()
        self.task = asyncio.create_task(self.follow(version))

    async def relist(self):
        answer = await self.api.get(f"{self.path}?{self.query}")
        fresh = {key_of(o): o for o in answer.get("items") or []}
        gone = [o for key, o in self.objects.items()
                if key not in fresh or fresh[key]["metadata"]["uid"] != o["metadata"]["uid"]]
        before = dict(self.objects)
        self.objects.clear()
        self.objects.update(fresh)
        for obj in gone:
            self.tell("DELETED", obj)
        for key, obj in fresh.items():
            old = before.get(key)
            if old is None or old["metadata"]["uid"] != obj["metadata"]["uid"]:
                self.tell("ADDED", obj)
            elif old["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self.tell("MODIFIED", obj)
        return answer["metadata"]["resourceVersion"]

    def apply(self, event):
        change, obj = event["type"], event["object"]
        if change == "ERROR":
            raise ApiError(obj.get("code", 500), obj.get("reason", ""), obj.get("message", ""))
        if change != "BOOKMARK":
            if change == "DELETED":
                self.objects.pop(key_of(obj), None)
            else:
                self.objects[key_of(obj)] = obj
            self.tell(change, obj)
        return obj["metadata"]["resourceVersion"]

    def tell(self, change, obj):
        """What goes wrong with one object must not end the watch."""
        try:
            self.on_change(change, obj)
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()

    async def follow(self, version):
        while True:
            try:
                query = f"watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_S}&resourceVersion={version}"
                async with contextlib.aclosing(self.api.watch(f"{self.path}?{self.query}&{query}")) as events:
                    async for event in events:
                        version = self.apply(event)
            except ApiError as error:
                if error.status not in (410, 504, 500):
                    print(f"node: watch of {self.path}: {error}", flush=True)
                version = await self.again()
            except (*TROUBLE, ValueError, IndexError):
                await asyncio.sleep(0.5)

    async def again(self):
        """Lists until it works: the watch's place in history is gone."""
        while True:
            await asyncio.sleep(0.5)
            with contextlib.suppress(*TROUBLE):
                return await self.relist()
