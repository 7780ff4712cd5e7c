#!/usr/bin/env python3
"""The benchmark: mesh beside its peers and the floors, in one run on one machine.

    bench.py [--quick] [--case NAME]... [--peer NAME]... [--out build/bench]

All set-ups of a case are started, then measured in turn, round after round (A B C, C A B, ...), so that
what the machine does meanwhile hits all alike. A ratio is ours over theirs within one round; what is
reported is the median over the rounds, with the quartiles. Everything runs on one CPU with one
connection: no wake-up crosses CPUs, so the CPU time of the proxies is what they cost.
Writes results.json; exits 1 when a bar is missed: the 25th percentile of the ratios is above it."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import peers  # noqa: E402
from harness.pki import TrustDomain  # noqa: E402
from harness.proc import REPO, Ports, Process, find_mesh  # noqa: E402

CASES = {
    "http1-1k": (peers.HTTP, "/1k"),
    "http1-100k": (peers.HTTP, "/100k"),
    "l4-100k": (peers.TCP, "/100k"),
    "pair-1k": (peers.PAIR, "/1k"),
    "pair-100k": (peers.PAIR, "/100k"),
}
# case, peer, metric -> the most that ours may be of theirs
BARS = {
    ("http1-1k", "floor", "cpu_us_per_request"): 1.25,
}
OPEN_LOOP_CASES = ("http1-1k", "pair-1k")
OPEN_LOOP_RATE = 1500
OPEN_LOOP_CONNECTIONS = 10
METRICS = ("cpu_us_per_request", "added_p50_us", "added_p99_us", "rss_kb")


class Effort:
    def __init__(self, quick):
        self.rounds = 5 if quick else 15
        self.closed_ms = (100, 250) if quick else (500, 2000)
        self.open_ms = (100, 300) if quick else (1000, 5000)
        # 450 answers have no 99th percentile worth the name.
        self.quantiles = ("p50",) if quick else ("p50", "p99")


def measure(floor_bin, cpu, port, path, pids, window_ms, rate=0):
    argv = ["taskset", "-c", str(cpu), str(floor_bin / "load"), "--port", str(port), "--path", path,
            "--warmup-ms", str(window_ms[0]), "--measure-ms", str(window_ms[1])]
    if rate:
        argv += ["--rate", str(rate), "--connections", str(OPEN_LOOP_CONNECTIONS)]
    for pid in pids:
        argv += ["--watch", str(pid)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"load ended with {done.returncode}")
    return json.loads(done.stdout)


class Setup:
    """One peer in one case: its processes, and what each round measured."""

    def __init__(self, name, processes, port):
        self.name = name
        self.processes = processes
        self.port = port
        self.pids = [p.pid for p in processes]
        self.samples = {m: [] for m in METRICS}

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


def run_round(bench, case, setups, path, effort, turn):
    """Each set-up once, beginning with another one each round; the direct way first."""
    open_loop = case in OPEN_LOOP_CASES
    direct = measure(bench.floor_bin, bench.cpu, bench.upstream, path, [], effort.open_ms,
                     OPEN_LOOP_RATE) if open_loop else None
    start = turn % len(setups)
    for s in setups[start:] + setups[:start]:
        closed = measure(bench.floor_bin, bench.cpu, s.port, path, s.pids, effort.closed_ms)
        s.samples["cpu_us_per_request"].append(closed["cpu_us_per_request"])
        if open_loop:
            m = measure(bench.floor_bin, bench.cpu, s.port, path, [], effort.open_ms, OPEN_LOOP_RATE)
            for q in effort.quantiles:
                # A proxy can not be faster than none: such a round measured something else.
                added = m[f"{q}_us"] - direct[f"{q}_us"]
                s.samples[f"added_{q}_us"].append(added if added > 0 else None)
        s.samples["rss_kb"].append(sum(p.rss_kb() for p in s.processes))


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
    builders, path = CASES[case]
    setups, missing = start_setups(bench, builders, wanted)
    try:
        if not setups:
            return [], missing
        for turn in range(effort.rounds):
            run_round(bench, case, setups, path, effort, turn)
        return rows_of(case, setups), missing
    finally:
        for s in setups:
            s.stop()


def show(case, rows, missing):
    unit = {"cpu_us_per_request": "CPU us/request", "added_p50_us": "added p50 us",
            "added_p99_us": "added p99 us", "rss_kb": "RSS KiB"}
    print(f"\n{case}\n  {'peer':<12}{'metric':<16}{'theirs':>10}{'ours':>10}{'ratio':>8}  p25..p75")
    for r in rows:
        def cell(v, form):
            return "-" if v is None else format(v, form)
        spread = "" if r["ratio"] is None else f"{r['p25']:.2f}..{r['p75']:.2f}"
        bar = BARS.get((case, r["peer"], r["metric"]))
        told = "" if bar is None or r["ratio"] is None else (
            f"  at most {bar:.2f}: " + ("missed" if r["p25"] > bar else "met"))
        form = ".0f" if r["metric"] == "rss_kb" else ".2f"
        print(f"  {r['peer']:<12}{unit[r['metric']]:<16}{r['other']:>10{form}}{cell(r['mesh'], form):>10}"
              f"{cell(r['ratio'], '.2f'):>8}  {spread}{told}")
    for name, why in missing.items():
        print(f"  {name:<12}left out: {why}")
    sys.stdout.flush()


def missed_bars(rows):
    """A bar fails only when three quarters of the rounds are above it."""
    return [(r, bar) for r in rows
            if (bar := BARS.get((r["case"], r["peer"], r["metric"]))) is not None
            and r["p25"] is not None and r["p25"] > bar]


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
    rows, unmeasured = [], set()
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as tmp:
        folder, ports = Path(tmp), Ports()
        trust = TrustDomain(folder / "pki", "bench.local")
        service = Process([args.bin / "responder", 0], folder / "responder.log", cpu)
        try:
            bench = peers.Bench(folder, ports, cpu, args.bin, find_mesh(), trust.issue("client"),
                                trust.issue("server", dns=[peers.SERVER_NAME]),
                                service.wait_ready_line())
            for case in args.case or CASES:
                found, missing = run_case(bench, case, args.peer, effort)
                show(case, found, missing)
                rows += found
                if bench.mesh and "mesh" in missing:
                    unmeasured.add(case)
        finally:
            service.stop()
            ports.close()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(f"\nwritten: {args.out / 'results.json'}")
    missed = missed_bars(rows)
    for r, bar in missed:
        print(f"missed: {r['case']} {r['metric']} is {r['ratio']:.2f} x {r['peer']} "
              f"(p25 {r['p25']:.2f}); at most {bar:.2f}")
    for case in sorted(unmeasured & {c for c, _, _ in BARS}):
        print(f"missed: {case} was not measured, mesh did not start")
    return 1 if missed or unmeasured & {c for c, _, _ in BARS} else 0


if __name__ == "__main__":
    sys.exit(main())
