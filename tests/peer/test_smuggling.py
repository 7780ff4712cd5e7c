"""Do we and a service behind us ever see a request's end at different places? Valid pipelined requests are changed
at random, byte by byte, and sent through us to real servers. A hop in between keeps what we forward. For each of its
connections the server must have seen the very requests that the bytes are to a strict reader; our access log must know
them; and each answer must belong to a request of the client that got it.

SECS=60 makes it longer (for each server), SEED=x makes it another run."""

import asyncio
import os
import re
import time

import pytest
import tools
from harness import config
from harness.proc import REPO, Process, wait_until
from smuggling import Hop, Malformed, mutate, read_requests, seed_of, talk, valid

SECS = float(os.environ.get("SECS", 2))
SEED = os.environ.get("SEED", "1")
AT_ONCE = 12
WAIT_S = 0.25  # nothing came for so long: we wait for bytes that the mutation took away
SEEN = REPO / "tests" / "peer" / "programs" / "seen"
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  map $status $whole {{ 200 1; default 0; }}
  log_format seen '$remote_port\\t$request_method\\t$request_uri\\t$http_x_id\\t-\\t-';
  server {{ listen 127.0.0.1:{back}; location / {{ return 200 "ok"; }} }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 100000; client_header_buffer_size 64k;
    access_log {folder}/seen.log seen if=$whole;
    location / {{ add_header x-seen $http_x_id always; proxy_pass http://127.0.0.1:{back}; }}
  }}
}}
"""


class Server:
    """A real server, and the lines that it wrote about what it saw."""

    @staticmethod
    def text(word):
        return bytes.fromhex(word.decode())

    def __init__(self, lab, argv, log=None, port=None):
        self.process = Process(argv, lab.folder / "server.log")
        lab.at_end(self.process.stop)
        self.log = log or lab.folder / "server.log"
        if port is None:
            wait_until(lambda: self.log.read_bytes().strip(), "the server's port")
            port = int(self.log.read_bytes().split()[0])
        self.port = port

    def seen(self):
        """{port of the peer: [(method, target, id, length, crc)]}; None where it does not say."""
        found = {}
        for line in self.log.read_bytes().split(b"\n"):
            words = line.split(b"\t")
            if len(words) == 6:
                number = [None if w == b"-" else int(w) for w in words[4:]]
                found.setdefault(int(words[0]), []).append((words[1], self.text(words[2]), self.text(words[3]), *number))
        return found


class Nginx(Server):
    """It writes \\xHH for what is not printable, and "-" for nothing; its answers have the id as it is."""

    @staticmethod
    def text(word):
        return b"" if word == b"-" else re.sub(rb"\\x([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), word)


def start_node(lab):
    return Server(lab, [tools.need("node"), SEEN / "seen.js"])


def start_python(lab):
    pytest.importorskip("h11")
    import sys
    return Server(lab, [sys.executable, SEEN / "seen.py"])


def start_go(lab):
    return Server(lab, [tools.go_seen()])


def start_nginx(lab):
    nginx = tools.need("nginx", "/usr/sbin/nginx")
    port, back = lab.ports.take(), lab.ports.take()
    conf = lab.folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=lab.folder, port=port, back=back))
    log = lab.folder / "seen.log"
    server = Nginx(lab, [nginx, "-p", lab.folder, "-e", lab.folder / "error.log", "-c", conf], log, port)
    wait_until(log.exists, "nginx")
    return server


def make_case(rng, number):
    """(bytes, id of the last request, which ends the connection)"""
    name = b"c%x-%06x" % (number, rng.getrandbits(24))
    requests = [valid(rng, b"%s-%d" % (name, i)) for i in range(rng.randint(1, 3))]
    which = rng.randrange(len(requests))
    requests[which] = mutate(rng, requests[which])
    last = b"GET /end HTTP/1.1\r\nHost: a\r\nX-Id: %s-end\r\nConnection: close\r\n\r\n" % name
    return b"".join(requests) + last


def check_answers(server, raw, got):
    """The ids of the answers are of this client, in the order in which it sent them."""
    at = 0
    for found in re.finditer(rb"\r\nx-seen: ?([^\r\n]*)\r\n", got):
        name = server.text(found.group(1).strip())
        if name:
            next_at = raw.find(name if name in raw else name.split(b", ")[0], at)
            assert next_at >= 0, f"answer to {name!r} is not for\n{raw!r}\ngot\n{got!r}"
            at = next_at + 1


async def run(front, hop, seconds, cases):
    rng = seed_of(SEED)
    end = time.monotonic() + seconds
    count = 0

    async def worker():
        nonlocal count
        while time.monotonic() < end:
            count += 1
            raw = make_case(rng, count)
            got = await talk(front, raw, WAIT_S)
            cases.append((raw, got))
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def same(ours, theirs):
    """What nginx does not tell is None; of several ids it tells the first or all, as its version is."""
    name = theirs[2] == ours[2] or theirs[2].startswith(ours[2] + b", ")
    return name and all(a == b for a, b in zip(ours, theirs[:2] + ours[2:3] + theirs[3:]) if b is not None)


def check_connection(port, hop, theirs):
    raw = hop.forwarded[port]
    try:
        ours = read_requests(raw)
    except Malformed as bad:
        raise AssertionError(f"we forwarded what may not be: {bad}\n{raw!r}") from bad
    for i, request in enumerate(theirs):
        assert i < len(ours) and same(ours[i], request), (
            f"request {i} of a connection: we {ours[i:i + 1]}, the server {request}\nforwarded {raw!r}")
    if len(theirs) < len(ours):  # it refused one, and reads no more; or we broke off as the client did
        refused = re.search(rb"(^|\n)HTTP/1\.[01] [45]\d\d", hop.answered[port]) is not None
        assert refused or len(ours) - len(theirs) == 1, (
            f"the server has not seen {ours[len(theirs):]}\nforwarded {raw!r}\nanswered {hop.answered[port]!r}")
    return ours


@pytest.mark.parametrize("start", [start_node, start_python, start_go, start_nginx], ids=["node", "python", "go", "nginx"])
def test_no_boundary_is_seen_differently(lab, start):
    server = start(lab)
    hop = Hop(server.port)
    lab.background.run(hop.start())
    log = lab.folder / "access.log"
    port = lab.ports.take()
    front = config.hcm(config.routes_to("app"))
    front["typed_config"]["access_log"] = [config.file_log(log, "%REQ(:METHOD)% %REQ(:PATH)% %REQ(X-ID)%\n")]
    proxy = lab.proxy([config.listener("front", port, front)], [config.cluster("app", hop.port)])
    cases = []
    lab.background.run(run(port, hop, SECS, cases), SECS + 30)
    for raw, got in cases:
        check_answers(server, raw, got)
    proxy.stop()
    lab.background.run(hop.stop())
    total = 0
    logged = {}
    for line in log.read_bytes().split(b"\n"):
        logged[line] = logged.get(line, 0) + 1

    def settled():  # the server writes when it has answered
        seen = server.seen()
        return sum(map(len, seen.values())) == settled.last or setattr(settled, "last", sum(map(len, seen.values())))
    settled.last = -1
    wait_until(settled, "the server to have written all")
    seen = server.seen()
    assert set(seen) <= set(hop.forwarded)
    for number in hop.forwarded:
        for method, target, name, _, _ in check_connection(number, hop, seen.get(number, [])):
            line = b"%s %s %s" % (method, target, name or b"-")
            assert logged.get(line, 0) > 0, f"not in our log: {line!r}"
            logged[line] -= 1
            total += 1
    whole = sum(1 for raw, got in cases if got.count(b"x-seen") > 0)
    print(f"{len(cases)} connections, {whole} with answers; {total} requests on {len(hop.forwarded)} connections")
    assert total > 100 * min(SECS, 2) and whole > len(cases) // 4
