#!/usr/bin/env python3
"""Instructions per request, user side: what noise can not touch, so a budget can be pinned on it.

    instructions.py [--binary build/mesh] [--case http1-1k]...

The proxy runs under callgrind twice, with few and with more requests on one connection; the difference
divided by the requests between is what one costs. Exits 1 when budget.json is exceeded by more than 2 %."""

import argparse
import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import peers  # noqa: E402
from harness import config  # noqa: E402
from harness.client import Http, Raw  # noqa: E402
from harness.lab import Lab  # noqa: E402
from harness.proc import REPO, Process, find_mesh, find_program, wait_until  # noqa: E402

FEW, MORE = 200, 1200


def responder(lab):
    """The bench's own service: an answer leaves in one write, as that of most does."""
    p = Process([REPO / "build" / "bench" / "responder", 0], lab.folder / "responder.log")
    lab.at_end(p.stop)
    return p.wait_ready_line()


def plain_http(lab, hcm=None):
    port = lab.ports.take()
    return (config.listener("front", port, hcm or config.hcm(config.routes_to("app"))),
            config.cluster("app", responder(lab)), port, http_load("/1k"))


def features_on(lab):
    """As `make bench` has them: a thousand rules, a thousand routes, an identity, a trace."""
    return plain_http(lab, peers.features_on("app"))


def plain_tcp(lab):
    app = lab.tcp_origin()
    port = lab.ports.take()
    return (config.listener("front", port, config.tcp_proxy("app")), config.cluster("app", app.port), port,
            tcp_load)


def http_load(path):
    def load(port, count):
        with Http(port) as c:
            for _ in range(count):
                assert c.get(path).status == 200
    return load


def tcp_load(port, count):
    with Raw(port) as c:
        for _ in range(count):
            c.send(b"x" * 100)
            c.exactly(100)


CASES = {"http1-1k": plain_http, "features-on": features_on, "l4": plain_tcp}


def count(binary, case, requests):
    """Instructions of a whole run with so many requests."""
    with tempfile.TemporaryDirectory(prefix="mesh-instructions-") as tmp:
        lab = Lab(Path(tmp))
        try:
            front, cluster, port, load = CASES[case](lab)
            admin = lab.ports.take()
            boot = config.write_yaml(lab.folder / "boot.yaml", config.bootstrap(admin, [front], [cluster]))
            p = Process([find_program("valgrind"), "--tool=callgrind", "--callgrind-out-file=/dev/null",
                         binary, "proxy", "--config-file", boot, "--concurrency", 1, "--drain-time-s", 0,
                         "--log-level", "warn"], lab.folder / "log")
            lab.at_end(p.stop)
            p.wait_port(port)
            load(port, requests)
            p.signal(signal.SIGTERM)
            wait_until(lambda: not p.alive(), "the proxy to end", 60)
            return int(re.search(r"Collected\s*:\s*(\d+)", p.text()).group(1))
        finally:
            lab.close()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--binary", default=os.environ.get("MESH_BIN") or find_mesh())
    options.add_argument("--case", action="append", choices=CASES)
    args = options.parse_args()
    if not find_program("valgrind"):
        sys.exit("instructions: valgrind is not installed")
    budgets = json.loads((HERE / "budget.json").read_text())
    over = False
    for case in args.case or CASES:
        each = (count(args.binary, case, MORE) - count(args.binary, case, FEW)) / (MORE - FEW)
        budget = budgets.get(case)
        too_much = budget is not None and each > budget * 1.02
        over = over or too_much
        print(f"{case:<10}{each:>10.0f} instructions a request"
              + ("" if budget is None else f"; budget {budget}" + (": exceeded" if too_much else "")))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
