#!/usr/bin/env python3
"""The benchmark: mesh beside its peers and the floors, in one run on one machine.

    bench.py [--quick] [--case NAME]... [--peer NAME]... [--out build/bench]

All set-ups of a case are started, then measured in turn, round after round (A B C, C A B, ...), so that
what the machine does meanwhile hits all alike. A ratio is ours over theirs within one round; what is
reported is the median over the rounds, with the quartiles. Everything runs on one CPU: no wake-up crosses
CPUs, so the CPU time of the proxies is what they cost. HTTP/1.1 is measured with one connection; a full run
adds 10 and 100. Writes results.json, connections.json and a plot a metric; exits 1 when a bar is missed: the
25th percentile of the ratios is above it."""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import peers  # noqa: E402
import plots  # noqa: E402
from harness.pki import TrustDomain  # noqa: E402
from harness.proc import REPO, Ports, Process, find_mesh  # noqa: E402

H1, H2, GRPC, IDLE = "h1", "h2", "grpc", "idle"
# name -> set-ups, path, who makes the load
CASES = {
    "http1-1k": (peers.HTTP, "/1k", H1),
    "http1-100k": (peers.HTTP, "/100k", H1),
    "l4-100k": (peers.TCP, "/100k", H1),
    "pair-1k": (peers.PAIR, "/1k", H1),
    "pair-100k": (peers.PAIR, "/100k", H1),
    "h2-1k": (peers.H2, "/1k", H2),
    "grpc": (peers.GRPC, "/bench.Bench/Call", GRPC),
    "pair-h2-1k": (peers.PAIR_H2, "/1k", H2),
    "features-on": (peers.FEATURES, "/1k", H1),
    "idle-10k": (peers.IDLE, "/1k", IDLE),
}
CPU, P50, P99, RSS = METRICS = ("cpu_us_per_request", "added_p50_us", "added_p99_us", "rss_kb")
TITLES = {CPU: "CPU us/request", P50: "added p50 us", P99: "added p99 us", RSS: "RSS KiB"}
# case, peer, metric -> the most that ours may be of theirs
BARS = {
    ("http1-1k", "floor", CPU): 1.15,
    ("http1-1k", "nginx", CPU): 1.0,
    ("http1-1k", "envoy", CPU): 0.6,
    ("http1-1k", "nginx", P99): 1.0,
    ("http1-1k", "envoy", P99): 0.7,
    ("http1-100k", "floor", CPU): 1.15,
    ("http1-100k", "nginx", CPU): 0.85,
    ("l4-100k", "floor", CPU): 1.05,
    ("h2-1k", "haproxy", CPU): 1.0,
    ("h2-1k", "envoy", CPU): 0.6,
    ("features-on", "features-off", CPU): 1.10,
}
# of ours alone: when nobody is connected, and with as many idle clients
IDLE_CONNECTIONS = 10000
IDLE_RSS_KB, BUSY_RSS_KB = 5 * 1024, 40 * 1024
OPEN_LOOP_CASES = ("http1-1k", "pair-1k")
OPEN_LOOP_RATE = 1500
OPEN_LOOP_CONNECTIONS = 10
MORE_CONNECTIONS = (10, 100)


class Effort:
    def __init__(self, quick):
        self.rounds = 3 if quick else 15
        self.closed_ms = (60, 150) if quick else (500, 2000)
        self.open_ms = (80, 250) if quick else (1000, 10000)
        # Too few answers have no 99th percentile worth the name.
        self.quantiles = ("p50",) if quick else ("p50", "p99")
        self.connections = () if quick else MORE_CONNECTIONS
        self.idle_rounds = 1 if quick else 9


def measure(floor_bin, cpu, port, path, pids, window_ms, load=H1, rate=0, connections=0):
    program, more = ("load", []) if load == H1 else ("h2_load", ["--grpc"] if load == GRPC else [])
    argv = ["taskset", "-c", str(cpu), str(floor_bin / program), "--port", str(port), "--path", path,
            "--warmup-ms", str(window_ms[0]), "--measure-ms", str(window_ms[1]), *more]
    if rate:
        argv += ["--rate", str(rate)]
        connections = OPEN_LOOP_CONNECTIONS
    if connections:
        argv += ["--connections", str(connections)]
    for pid in pids:
        argv += ["--watch", str(pid)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"load ended with {done.returncode}")
    return json.loads(done.stdout)


def idle_clients(port, count):
    """Connections that were answered once and then say nothing."""
    clients = []
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", port), timeout=20)
        s.sendall(b"GET /0 HTTP/1.1\r\nhost: bench.local\r\n\r\n")
        clients.append(s)
        while b"\r\n\r\n" not in s.recv(4096):
            pass
    return clients


class Setup:
    """One peer in one case: its processes, and what each round measured."""

    def __init__(self, name, processes, port):
        self.name = name
        self.processes = processes
        self.port = port
        self.pids = [p.pid for p in processes]
        self.samples = {m: [] for m in METRICS}

    def rss_kb(self):
        return sum(p.rss_kb() for p in self.processes)

    def stop(self):
        for p in self.processes:
            p.stop()


def start_setups(bench, builders, wanted):
    setups, missing = [], {}
    for name, build in builders.items():
        if wanted and name not in wanted:
            continue
        if name == "mesh" and not bench.mesh:
            missing[name] = "build/mesh is not built"
            continue
        try:
            processes, port = build(bench, f"{len(setups)}-{name}")
            setups.append(Setup(name, processes, port))
        except peers.Missing as why:
            missing[name] = str(why)
        except AssertionError as why:
            # Whoever does not start is told below, and by a missing row; the others still count.
            missing[name] = str(why).splitlines()[0]
            print(why, file=sys.stderr)
    return setups, missing


def in_turn(setups, turn):
    """Beginning with another one each round."""
    start = turn % len(setups)
    return setups[start:] + setups[:start]


def run_round(bench, case, setups, effort, turn, connections=0):
    """Each set-up once; the direct way first."""
    _, path, load = CASES[case]
    open_loop = case in OPEN_LOOP_CASES and not connections
    direct = measure(bench.floor_bin, bench.cpu, bench.upstream, path, [], effort.open_ms,
                     rate=OPEN_LOOP_RATE) if open_loop else None
    for s in in_turn(setups, turn):
        closed = measure(bench.floor_bin, bench.cpu, s.port, path, s.pids, effort.closed_ms, load,
                         connections=connections)
        s.samples[CPU].append(closed["cpu_us_per_request"])
        if open_loop:
            m = measure(bench.floor_bin, bench.cpu, s.port, path, [], effort.open_ms, rate=OPEN_LOOP_RATE)
            for q in effort.quantiles:
                # A proxy can not be faster than none: such a round measured something else.
                added = m[f"{q}_us"] - direct[f"{q}_us"]
                s.samples[f"added_{q}_us"].append(added if added > 0 else None)
        s.samples[RSS].append(s.rss_kb())


def run_idle(setups, effort):
    """RSS with nobody connected, then with many idle clients, when what their requests used was given back."""
    for turn in range(effort.idle_rounds):
        for s in in_turn(setups, turn):
            if turn == 0:
                s.alone_kb = s.rss_kb()
            clients = idle_clients(s.port, IDLE_CONNECTIONS)
            time.sleep(2)
            s.samples[RSS].append(s.rss_kb())
            for c in clients:
                c.close()


def known(samples):
    return [v for v in samples if v is not None]


def quartiles(values):
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, mid, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, mid, high


def rows_of(case, setups):
    """One row a peer and metric. Without mesh (a run of the peers alone) ours and the ratio are null."""
    ours = next((s for s in setups if s.name == "mesh"), None)
    rows = []
    for s in setups:
        if s is ours:
            continue
        for metric in METRICS:
            theirs = known(s.samples[metric])
            if not theirs:
                continue
            row = {"case": case, "peer": s.name, "metric": metric, "mesh": None,
                   "other": round(statistics.median(theirs), 3), "ratio": None, "p25": None, "p75": None,
                   "rounds": len(theirs)}
            both = [(a, b) for a, b in zip(ours.samples[metric], s.samples[metric])
                    if a is not None and b is not None] if ours else []
            if both:
                low, mid, high = quartiles([a / b for a, b in both])
                row.update(mesh=round(statistics.median(known(ours.samples[metric])), 3),
                           ratio=round(mid, 4), p25=round(low, 4), p75=round(high, 4), rounds=len(both))
            rows.append(row)
    return rows


def run_case(bench, case, wanted, effort):
    """Rows, rows with more connections, what could not start, and the bars of ours alone as (text, met)."""
    builders, _, load = CASES[case]
    setups, missing = start_setups(bench, builders, wanted)
    more, alone = [], []
    try:
        if not setups:
            return [], [], missing, []
        if load == IDLE:
            run_idle(setups, effort)
            alone = [bar for s in setups if s.name == "mesh" for bar in (
                own_bar("RSS, nobody connected", s.alone_kb, IDLE_RSS_KB),
                own_bar(f"RSS, {IDLE_CONNECTIONS} idle clients", statistics.median(s.samples[RSS]), BUSY_RSS_KB))]
            return rows_of(case, setups), [], missing, alone
        for turn in range(effort.rounds):
            run_round(bench, case, setups, effort, turn)
        rows = rows_of(case, setups)
        for connections in effort.connections if case.startswith("http1") else ():
            for s in setups:
                s.samples = {m: [] for m in METRICS}
            for turn in range(effort.rounds):
                run_round(bench, case, setups, effort, turn, connections)
            more += [{**r, "connections": connections} for r in rows_of(case, setups)]
        return rows, more, missing, alone
    finally:
        for s in setups:
            s.stop()


def own_bar(what, kb, most_kb):
    return f"{what:<40}{kb / 1024:>8.1f} MB; at most {most_kb / 1024:.0f}", kb <= most_kb


def show(case, rows, missing):
    if not rows and not missing:
        return
    print(f"\n{case}\n  {'peer':<12}{'metric':<16}{'theirs':>10}{'ours':>10}{'ratio':>8}  p25..p75")
    for r in rows:
        def cell(v, form):
            return "-" if v is None else format(v, form)
        spread = "" if r["ratio"] is None else f"{r['p25']:.2f}..{r['p75']:.2f}"
        bar = BARS.get((case, r["peer"], r["metric"]))
        told = "" if bar is None or r["ratio"] is None else (
            f"  at most {bar:.2f}: " + ("missed" if r["p25"] > bar else "met"))
        form = ".0f" if r["metric"] == "rss_kb" else ".2f"
        print(f"  {r['peer']:<12}{TITLES[r['metric']]:<16}{r['other']:>10{form}}{cell(r['mesh'], form):>10}"
              f"{cell(r['ratio'], '.2f'):>8}  {spread}{told}")
    for name, why in missing.items():
        print(f"  {name:<12}left out: {why}")
    sys.stdout.flush()


def show_bars(rows, alone):
    """All bars in one table; answers how many were missed. One fails only when three quarters of the rounds are above."""
    missed = 0
    print(f"\n{'bar':<40}{'ratio':>8}{'p25':>8}{'at most':>9}")
    for (case, peer, metric), most in BARS.items():
        r = next((r for r in rows if (r["case"], r["peer"], r["metric"]) == (case, peer, metric)), None)
        name = f"{case} {TITLES[metric]} / {peer}"
        if r is None or r["ratio"] is None:
            print(f"{name:<40}{'not measured':>25}")
            continue
        missed += r["p25"] > most
        print(f"{name:<40}{r['ratio']:>8.2f}{r['p25']:>8.2f}{most:>9.2f}  {'missed' if r['p25'] > most else 'met'}")
    for text, met in alone:
        missed += not met
        print(f"{text}  {'met' if met else 'missed'}")
    return missed


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", default=os.environ.get("QUICK") == "1",
                         help="fewer and shorter rounds, under two minutes (or QUICK=1)")
    options.add_argument("--case", action="append", choices=CASES, help="only these")
    options.add_argument("--peer", action="append", help="only these (floor, nginx, envoy, mesh, ...)")
    options.add_argument("--out", type=Path, default=REPO / "build" / "bench")
    options.add_argument("--bin", type=Path, default=REPO / "build" / "bench",
                         help="where the floor programs are")
    args = options.parse_args()
    effort = Effort(args.quick)
    cpu = max(os.sched_getaffinity(0))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows, more, alone, unmeasured = [], [], [], set()
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as tmp:
        folder, ports = Path(tmp), Ports()
        trust = TrustDomain(folder / "pki", "bench.local")
        services = [Process([args.bin / name, 0], folder / f"{name}.log", cpu)
                    for name in ("responder", "h2_service")]
        try:
            bench = peers.Bench(folder, ports, cpu, args.bin, find_mesh(), trust.issue("client"),
                                trust.issue("server", dns=[peers.SERVER_NAME]),
                                *(s.wait_ready_line() for s in services))
            for case in args.case or CASES:
                found, with_more, missing, of_ours = run_case(bench, case, args.peer, effort)
                show(case, found, missing)
                for n in effort.connections:
                    show(f"{case}, {n} connections", [r for r in with_more if r["connections"] == n], {})
                rows += found
                more += with_more
                alone += of_ours
                if bench.mesh and "mesh" in missing:
                    unmeasured.add(case)
        finally:
            for s in services:
                s.stop()
            ports.close()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    (args.out / "connections.json").write_text(json.dumps(more, indent=1) + "\n")
    drawn = plots.write(args.out, rows, BARS, TITLES)
    missed = show_bars(rows, alone)
    print(f"\nwritten: {args.out / 'results.json'}, " + ", ".join(str(p.name) for p in drawn))
    for case in sorted(unmeasured):
        print(f"missed: {case} was not measured, mesh did not start")
    return 1 if missed or unmeasured else 0


if __name__ == "__main__":
    sys.exit(main())
