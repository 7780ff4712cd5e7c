"""What is asked of containers: probes and the handlers of hooks, sent from the node to the pod's address."""
import asyncio
import ssl
import struct
import time

from api import Answer
from spawn import StartError

FREE_TRIES_S = (0.1, 0.3, 0.6, 1, 1, 1, 2)  # the pauses before them; then the last again and again
BODY_MAX = 10 * 1024


class HandlerError(Exception):
    """The handler ran and said no, or could not be reached."""


def port_number(value, container):
    """A port given as a number or by the name of one of the container's."""
    if isinstance(value, int) or str(value).isdigit():
        return int(value)
    for port in container.get("ports") or []:
        if port.get("name") == value:
            return port["containerPort"]
    raise HandlerError(f"there is no port named '{value}'")


def _unverified():
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls


async def http_get(action, container, ip):
    """Status from 200 to 399 is success (kubelet: pkg/probe/http)."""
    host, port = action.get("host") or ip, port_number(action["port"], container)
    tls = _unverified() if action.get("scheme", "HTTP").upper() == "HTTPS" else None
    headers = {"host": f"{host}:{port}", "user-agent": "kube-probe/1.34", "accept": "*/*", "connection": "close"}
    for header in action.get("httpHeaders") or []:
        headers[header["name"].lower()] = header["value"]
    path = "/" + action.get("path", "/").lstrip("/")
    request = [f"GET {path} HTTP/1.1"] + [f"{n.title()}: {v}" for n, v in headers.items()]
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        writer.write("\r\n".join(request).encode() + b"\r\n\r\n")
        answer = Answer(reader)
        await answer.head()
        if not 200 <= answer.status < 400:
            raise HandlerError(f"HTTP probe failed with statuscode: {answer.status}")
    finally:
        writer.transport.abort()


async def tcp_socket(action, container, ip):
    _, writer = await asyncio.open_connection(action.get("host") or ip, port_number(action["port"], container))
    writer.close()


def _h2_frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _h2_field(name, value):
    """A header field, literal, never in a table (RFC 7541, 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


async def grpc_health(action, _container, ip):
    """grpc.health.v1.Health/Check; only the message is looked at: field 1 must be SERVING (1)."""
    service = action.get("service") or ""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check"),
              (":authority", f"{ip}:{action['port']}"), ("content-type", "application/grpc"), ("te", "trailers"),
              ("user-agent", "kube-probe/1.34")]
    message = b"\x0a" + bytes([len(service)]) + service.encode() if service else b""
    reader, writer = await asyncio.open_connection(ip, action["port"])
    try:
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _h2_frame(4, 0, 0, b"")
                     + _h2_frame(1, 4, 1, b"".join(_h2_field(*f) for f in fields))
                     + _h2_frame(0, 1, 1, b"\0" + struct.pack(">I", len(message)) + message))
        while True:
            head = await reader.readexactly(9)
            kind, flags = head[3], head[4]
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if kind == 4 and not flags & 1:
                writer.write(_h2_frame(4, 1, 0, b""))
            elif kind == 6 and not flags & 1:
                writer.write(_h2_frame(6, 1, 0, payload))
            elif kind == 0 and len(payload) > 5:
                if payload[5:7] == b"\x08\x01":
                    return
                raise HandlerError("service unhealthy (responded with a status that is not SERVING)")
            elif kind in (3, 7) or (kind == 1 and flags & 1):
                raise HandlerError("no answer of the health service")
    finally:
        writer.transport.abort()


NETWORK_HANDLERS = {"httpGet": http_get, "tcpSocket": tcp_socket, "grpc": grpc_health}


async def handle(handler, running, timeout_s):
    """One httpGet, tcpSocket, grpc, exec or sleep on a container (container.Container). HandlerError is a no."""
    try:
        if "exec" in handler:
            code, output = await running.run(handler["exec"]["command"], timeout_s)
            if code:
                raise HandlerError(output.decode(errors="replace").strip() or f"command ended with {code}")
        elif "sleep" in handler:
            await asyncio.sleep(handler["sleep"]["seconds"])
        else:
            kind = next(k for k in NETWORK_HANDLERS if k in handler)
            async with asyncio.timeout(timeout_s):
                await NETWORK_HANDLERS[kind](handler[kind], running.spec, running.pod.ip)
    except TimeoutError:
        raise HandlerError(f"no success within {timeout_s} s") from None
    except (OSError, EOFError, ValueError, IndexError, StartError) as error:
        raise HandlerError(str(error) or type(error).__name__) from None


class Probe:
    """One probe of one running container: calls on_result(True | False) when the thresholds are reached.

    Before the first success there are a few tries between the due ones; their failures do not count. So a pod is
    ready soon after it could be, and a failing one still has all the time that its thresholds give it."""

    def __init__(self, kind, spec, running, on_result, on_failure):
        self.kind, self.spec, self.running = kind, spec, running
        self.on_result, self.on_failure = on_result, on_failure
        self.period_s = spec.get("periodSeconds") or 10
        self.timeout_s = spec.get("timeoutSeconds") or 1
        self.tries = 0

    async def attempt(self):
        try:
            await handle(self.spec, self.running, self.timeout_s)
            return True, ""
        except HandlerError as error:
            return False, str(error)

    async def free_tries(self, until):
        """True as soon as one succeeds; False when the next due probe is near."""
        while time.monotonic() + (pause := FREE_TRIES_S[min(self.tries, len(FREE_TRIES_S) - 1)]) < until:
            await asyncio.sleep(pause)
            self.tries += 1
            if (await self.attempt())[0]:
                return True
        return False

    async def run(self):
        successes = failures = 0
        answer = None
        eager = self.kind != "liveness" and (self.spec.get("successThreshold") or 1) == 1
        due = time.monotonic() + (self.spec.get("initialDelaySeconds") or 0)
        await asyncio.sleep(due - time.monotonic())
        while True:
            good, why = await self.attempt()
            successes, failures = (successes + 1, 0) if good else (0, failures + 1)
            if not good:
                self.on_failure(self.kind, why)
            if good and successes >= (self.spec.get("successThreshold") or 1) and answer is not True:
                answer = True
                self.on_result(True)
            elif failures >= (self.spec.get("failureThreshold") or 3) and answer is not False:
                answer = False
                self.on_result(False)
            eager = eager and answer is not True
            due = max(due + self.period_s, time.monotonic())
            if eager and await self.free_tries(due):
                answer, successes, failures, eager = True, 1, 0, False
                self.on_result(True)
            if answer is True and self.kind == "startup":
                return
            await asyncio.sleep(max(0, due - time.monotonic()))
