"""What the API server asks of a node: logs, exec and port-forward of kubectl. HTTPS on every node's address; only those
with a client certificate of the cluster's CA for system:masters are let in, as the API server has one.

Source: kubelet's API (pkg/kubelet/server), protocol v4.channel.k8s.io on SPDY/3.1 streams."""
import asyncio
import fcntl
import json
import os
import socket
import ssl
import struct
import subprocess
import termios
import urllib.parse

import kernel
from spawn import StartError
from spdy import Session

PORT = 10250
PROTOCOLS = ("v4.channel.k8s.io", "portforward.k8s.io")
FOLLOW_S = 0.1
STREAMS_WAIT_S = 30
HEAD_MAX = 64 * 1024


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def _success():
    return {"metadata": {}, "status": "Success"}


def _failure(message, code=None):
    status = {"metadata": {}, "status": "Failure", "message": message}
    if code is not None:
        causes = [{"reason": "ExitCode", "message": str(code)}]
        status.update(reason="NonZeroExitCode", details={"causes": causes})
    return status


class Kubelet:
    def __init__(self, host, folder):
        self.host, self.folder = host, folder

    async def start(self, addresses, authority):
        """authority: the CA's certificates in PEM; None admits everybody (an API server without TLS)."""
        files = [f"{self.folder}/kubelet.crt", f"{self.folder}/kubelet.key"]
        # The API server does not verify it.
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=node"
        subprocess.run([*command.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*files)
        if authority:
            tls.verify_mode = ssl.CERT_REQUIRED
            tls.load_verify_locations(cadata=authority)
        self.demands_certificate = bool(authority)
        await asyncio.start_server(self.serve, addresses, PORT, ssl=tls)

    # HTTP

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = [(n.strip().lower(), v.strip()) for n, _, v in (line.partition(":") for line in head[1:] if line)]
            try:
                self.admit(writer)
                await self.route(method, target, headers, reader, writer)
            except Refused as error:
                self.answer(writer, error.status, str(error).encode())
            await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def admit(self, writer):
        if not self.demands_certificate:
            return
        certificate = writer.get_extra_info("peercert") or {}
        names = [pair for part in certificate.get("subject", ()) for pair in part]
        if ("organizationName", "system:masters") not in names:
            raise Refused(403, "the client's certificate is not of system:masters")

    @staticmethod
    def answer(writer, status, body):
        writer.write(f"HTTP/1.1 {status} .\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
                     "Connection: close\r\n\r\n".encode() + body)

    async def route(self, _method, target, headers, reader, writer):
        url = urllib.parse.urlsplit(target)
        query = urllib.parse.parse_qs(url.query)
        words = url.path.strip("/").split("/")
        if words == ["healthz"]:
            self.answer(writer, 200, b"ok")
        elif words[0] == "containerLogs" and len(words) == 4:
            await self.logs(self.find(*words[1:]), query, writer)
        elif words[0] == "exec" and len(words) in (4, 5):
            await self.upgraded(headers, reader, writer, self.execute, self.find(words[1], words[2], words[-1]), query)
        elif words[0] == "portForward" and len(words) in (3, 4):
            await self.upgraded(headers, reader, writer, self.forward, self.find_pod(words[1], words[2]), query)
        else:
            raise Refused(404, f"there is no {url.path} here")

    def find_pod(self, namespace, name):
        for pod in self.host.pods.values():
            if (pod.namespace, pod.name) == (namespace, name):
                return pod
        raise Refused(404, f'pod "{name}" is not here')

    def find(self, namespace, name, container):
        for one in self.find_pod(namespace, name).containers:
            if one.name == container:
                return one
        raise Refused(404, f'there is no container "{container}" in pod "{name}"')

    # Logs

    async def logs(self, container, query, writer):
        def number(name):
            return int(query[name][0]) if name in query else None

        if query.get("previous") == ["true"]:
            if container.previous_log is None:
                raise Refused(400, f'previous terminated container "{container.name}" not found')
            start, end = container.previous_log
        else:
            start, end = container.log_start, None
        if not os.path.exists(container.log_path):
            raise Refused(400, f'container "{container.name}" is waiting to start')
        with open(container.log_path, "rb") as file:
            file.seek(start)
            data = file.read() if end is None else file.read(end - start)
            if number("tailLines") is not None:
                lines = data.splitlines(keepends=True)
                data = b"".join(lines[len(lines) - min(len(lines), number("tailLines")):])
            if number("limitBytes") is not None:
                data = data[:number("limitBytes")]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
                         b"Connection: close\r\n\r\n")
            follow = query.get("follow") == ["true"]
            while True:
                if data:
                    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                    await writer.drain()
                ended = container.over.is_set()
                data = file.read() if end is None else b""
                if not data and (not follow or ended or writer.is_closing()):
                    break
                if not data:
                    await asyncio.sleep(FOLLOW_S)
        writer.write(b"0\r\n\r\n")

    # Streams

    async def upgraded(self, headers, reader, writer, action, subject, query):
        if ("upgrade", "SPDY/3.1") not in headers:
            raise Refused(400, "only SPDY/3.1 streams are served")
        offered = [w.strip() for n, v in headers if n == "x-stream-protocol-version" for w in v.split(",")]
        chosen = next((p for p in PROTOCOLS if p in offered), None)
        if chosen is None:
            raise Refused(403, f"only {' and '.join(PROTOCOLS)} are served")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n"
                     b"X-Stream-Protocol-Version: " + chosen.encode() + b"\r\n\r\n")
        streams = asyncio.Queue()
        session = Session(reader, writer, streams.put_nowait)
        task = asyncio.create_task(action(subject, query, streams))
        running = asyncio.create_task(session.run())
        await asyncio.wait([task, running], return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.exception():
            await writer.drain()
            # The other side closes when it has read everything.
            await asyncio.wait([running], timeout=5)
        task.cancel()
        running.cancel()

    async def execute(self, container, query, streams):
        terminal = query.get("tty") == ["1"]
        wanted = {"error"}
        wanted |= {name for name, key in (("stdin", "input"), ("stdout", "output")) if query.get(key) == ["1"]}
        wanted |= {"resize"} if terminal else {"stderr"} if query.get("error") == ["1"] else set()
        got = {}
        async with asyncio.timeout(STREAMS_WAIT_S):
            while set(got) != wanted:
                stream = await streams.get()
                got[stream.headers.get("streamtype")] = stream
        try:
            code = await Execution(self.host, container, got).run(query.get("command") or [], terminal)
            result = _failure(f"command terminated with exit code {code}", code) if code else _success()
        except (StartError, OSError) as error:
            result = _failure(str(error))
        await got["error"].write(json.dumps(result).encode())
        for stream in got.values():
            stream.close()

    async def forward(self, pod, _query, streams):
        """Pairs of streams, one for data and one for errors, for each connection."""
        waiting, connections = {}, set()
        while True:
            stream = await streams.get()
            pair = waiting.setdefault(stream.headers.get("requestid"), {})
            pair[stream.headers.get("streamtype")] = stream
            if len(pair) == 2:
                del waiting[stream.headers.get("requestid")]
                task = asyncio.create_task(self.connection(pod, pair["data"], pair["error"]))
                connections.add(task)
                task.add_done_callback(connections.discard)

    async def connection(self, pod, data, error):
        try:
            client = self.socket_in(pod)
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", int(data.headers["port"])))
            reader, writer = await asyncio.open_connection(sock=client)
        except OSError as problem:
            await error.write(f"port {data.headers['port']} of the pod: {problem}".encode())
            error.close()
            data.close()
            return

        async def upward():
            while piece := await data.read():
                writer.write(piece)
                await writer.drain()
            writer.write_eof()

        async def downward():
            while piece := await reader.read(65536):
                await data.write(piece)
            data.close()

        await asyncio.gather(upward(), downward(), return_exceptions=True)
        writer.close()
        error.close()

    def socket_in(self, pod):
        fds = pod.sandbox.fds if pod.sandbox else {}
        if kernel.CLONE_NEWNET not in fds:
            return socket.socket()
        kernel.setns(fds[kernel.CLONE_NEWNET], kernel.CLONE_NEWNET)
        try:
            return socket.socket()
        finally:
            self.host.home.back(kernel.CLONE_NEWNET)


class Execution:
    """One command of kubectl exec, its descriptors joined to streams."""

    def __init__(self, host, container, streams):
        self.host, self.container, self.streams = host, container, streams

    async def run(self, argv, terminal):
        if self.container.process is None or self.container.process.code is not None:
            raise StartError("container not found")
        return await (self.with_terminal(argv) if terminal else self.with_pipes(argv))

    def enter(self, argv, *fds, terminal=None):
        return self.host.spawner.enter(self.container.process, self.container.launch, argv, *fds, terminal=terminal)

    async def with_pipes(self, argv):
        theirs, tasks, feeder = [None, None, None], [], None
        for place, name in ((1, "stdout"), (2, "stderr")):
            if name in self.streams:
                ours, theirs[place] = os.pipe2(os.O_CLOEXEC)
                tasks.append(asyncio.create_task(self.send(ours, self.streams[name])))
        if "stdin" in self.streams:
            theirs[0], ours = os.pipe2(os.O_CLOEXEC)
            feeder = asyncio.create_task(self.feed(ours, self.streams["stdin"]))
        try:
            process = await self.enter(argv, *theirs)
        finally:
            for fd in theirs:
                if fd is not None:
                    os.close(fd)
        return await self.finish(process, tasks, feeder)

    async def with_terminal(self, argv):
        ours, theirs = os.openpty()
        tasks = [asyncio.create_task(self.send(os.dup(ours), self.streams["stdout"]))]
        feeder = None
        if "stdin" in self.streams:
            feeder = asyncio.create_task(self.feed(os.dup(ours), self.streams["stdin"]))
        resizer = asyncio.create_task(self.resize(ours, self.streams["resize"]))
        try:
            process = await self.enter(argv, theirs, theirs, theirs,
                                       terminal=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        finally:
            os.close(theirs)
        try:
            return await self.finish(process, tasks, feeder)
        finally:
            resizer.cancel()
            os.close(ours)

    @staticmethod
    async def finish(process, tasks, feeder):
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.kill(1)
            process.kill()
            raise
        finally:
            if feeder:
                feeder.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        return code

    @staticmethod
    async def send(fd, stream):
        """What comes out of the descriptor, to the stream."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0))
        try:
            while data := await reader.read(65536):
                await stream.write(data)
        except OSError:
            pass  # a terminal ends with EIO
        finally:
            transport.close()

    @staticmethod
    async def feed(fd, stream):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(fd, "wb", 0))
        try:
            while data := await stream.read():
                transport.write(data)
        finally:
            transport.close()

    @staticmethod
    async def resize(fd, stream):
        while data := await stream.read():
            try:
                size = json.loads(data)
                fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", size["Height"], size["Width"], 0, 0))
            except (ValueError, KeyError, OSError):
                pass
