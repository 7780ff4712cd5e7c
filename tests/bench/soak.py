#!/usr/bin/env python3
"""A sidecar pair under mixed load for a long time: memory stays where it is, and nothing unexpected is answered.

    soak.py [--secs 1800] [--out build/bench]          MESH_BIN=build/asan/mesh for the sanitizers' run

People of several kinds at once, each on its own thread: requests that keep their connection, requests with a new one
each, large and chunked bodies both ways, HTTP/2 with many streams, streams given up in the middle, connections reset in
the middle of a head, a body, an answer, and readers that are slow. The two proxies' memory is read every second.
Fails when a request that was not meant to break breaks, when a proxy or a sanitizer complains, or when the median memory
of the last quarter is more than 1 MiB above that of the second. Writes soak.json."""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import httpx  # noqa: E402
from harness import config  # noqa: E402
from harness.client import Http, Raw  # noqa: E402
from harness.lab import Lab  # noqa: E402
from harness.proc import REPO  # noqa: E402

GROWTH_KB = 1024
BODY = bytes(range(256)) * 1200  # 300 KiB


class People:
    """Threads that do one thing over and over; `done` counts, `broken` tells what went wrong."""

    def __init__(self, port):
        self.port = port
        self.stop = threading.Event()
        self.done, self.broken = {}, []
        self._threads = []

    def start(self, kind):
        def life():
            while not self.stop.is_set():
                try:
                    kind(self)
                    self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1
                except Exception as error:  # whatever it is, it is the result of this run
                    self.broken.append(f"{kind.__name__}: {type(error).__name__}: {error}")
                    self.stop.wait(0.1)
        self._threads.append(threading.Thread(target=life, daemon=True))
        self._threads[-1].start()

    def end(self):
        self.stop.set()
        for thread in self._threads:
            thread.join(60)


def kept(people):
    with Http(people.port) as c:
        for _ in range(200):
            assert c.get("/").body == b"app"


def anew(people):
    with Http(people.port) as c:
        assert c.get("/").body == b"app"


def large(people):
    with Http(people.port) as c:
        assert c.request("POST", "/mirror", BODY).body == BODY
        assert len(c.get(f"/bytes/{1 << 20}").body) == 1 << 20


def pieces(people):
    with Http(people.port) as c:
        assert c.request("POST", "/mirror", iter([BODY[:1000]] * 20), chunked=True).body == BODY[:1000] * 20
        assert len(c.get("/chunked/50000").body) == 50000


def streams(people):
    with httpx.Client(http1=False, http2=True, timeout=30) as c:
        for i in range(50):
            r = c.get(f"http://127.0.0.1:{people.port}/bytes/{i * 1000}")
            assert r.http_version == "HTTP/2" and len(r.content) == i * 1000


def given_up(people):
    with httpx.Client(http1=False, http2=True, timeout=30) as c:
        for _ in range(10):
            with c.stream("GET", f"http://127.0.0.1:{people.port}/bytes/{1 << 20}") as r:
                assert r.status_code == 200
                next(r.iter_raw())


def cut(people):
    for text in (b"GET / HT", b"GET /bytes/100000 HTTP/1.1\r\nhost: a\r\n\r\n",
                 b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf"):
        c = Raw(people.port)
        c.send(text)
        people.stop.wait(0.01)
        c.reset()


def slow(people):
    with Raw(people.port, rcvbuf=4096, timeout_s=30) as c:
        c.send(b"GET /bytes/2000000 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        people.stop.wait(1)
        assert len(c.all()) > 2000000


KINDS = (kept, kept, anew, anew, large, pieces, streams, given_up, cut, slow)


def drift_kb(samples):
    """The last quarter's median above that of the second: the first is for warming up."""
    quarter = len(samples) // 4
    return statistics.median(samples[-quarter:]) - statistics.median(samples[quarter:2 * quarter])


def watch(lab, people, app, proxies, secs):
    samples = {p.name: [] for p in proxies}
    end = time.monotonic() + secs
    told = 0.0
    while time.monotonic() < end and all(p.alive() for p in proxies):
        time.sleep(1)
        app.seen.clear()
        for p in proxies:
            samples[p.name].append(p.rss_kb())
        if time.monotonic() - told > 30:
            told = time.monotonic()
            print(f"{end - told:6.0f} s left, {sum(people.done.values())} rounds, {len(people.broken)} broken, "
                  + ", ".join(f"{name} {s[-1]} KiB" for name, s in samples.items()), flush=True)
    return samples


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--secs", type=int, default=1800)
    options.add_argument("--out", type=Path, default=REPO / "build" / "bench")
    args = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mesh-soak-") as tmp:
        lab = Lab(Path(tmp))
        app = lab.http_origin()
        pair = lab.pair(app.port, app_more={"circuit_breakers": config.NO_LIMITS},
                        server_more={"circuit_breakers": config.NO_LIMITS})
        proxies = [pair.outer, pair.inner]
        people = People(pair.port)
        for kind in KINDS:
            people.start(kind)
        samples = watch(lab, people, app, proxies, args.secs)
        alive = all(p.alive() for p in proxies)
        people.end()
        lab.close()  # fails where a sanitizer had something to say
    drift = {name: drift_kb(s) for name, s in samples.items()}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "soak.json").write_text(json.dumps({
        "secs": args.secs, "done": people.done, "broken": people.broken[:100], "drift_kb": drift,
        "peak_kb": {name: max(s) for name, s in samples.items()}, "samples_kb": samples}) + "\n")
    print(f"rounds: {people.done}\ndrift: {drift} KiB, peak: { {n: max(s) for n, s in samples.items()} } KiB")
    for line in people.broken[:20]:
        print("broken:", line)
    failed = not alive or people.broken or any(d > GROWTH_KB for d in drift.values())
    print("failed" if failed else "held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
