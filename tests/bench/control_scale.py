"""A control plane of some size: 1,000 services with 10,000 endpoints, 500 proxies that use 20 services each.

python tests/bench/control_scale.py [MESH [SWARM]]: prints a line a figure; 1 when a bar of src/README.md is missed.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

SERVICES, ENDPOINTS, PROXIES, EACH, CHANGES = 1000, 10, 500, 20, 30
BARS = {"start_s": 5, "rss_mib": 150, "p99_ms": 500}


def service(n):
    return ("apiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: default}\n"
            "spec: {clusterIP: 10.%d.%d.%d, ports: [{name: http, port: 80, targetPort: 8080}]}\n---\n"
            % (n, 90 + n // 62500, n // 250 % 250, n % 250 + 1))


def slice_of(n, first):
    points = "".join("- {addresses: [10.%d.%d.%d], conditions: {ready: true}}\n"
                     % (first, n // 250, n % 250 + 1) if i == 0 else
                     "- {addresses: [10.%d.%d.%d], conditions: {ready: true}}\n" % (10 + i, n // 250, n % 250 + 1)
                     for i in range(ENDPOINTS))
    return ("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
            "metadata: {name: s%d-a, namespace: default, labels: {kubernetes.io/service-name: s%d}}\n"
            "addressType: IPv4\nports: [{name: http, port: 8080, protocol: TCP}]\nendpoints:\n%s---\n" % (n, n, points))


def write(path, text):
    new = path.with_name("." + path.name)
    new.write_text(text)
    new.rename(path)


def wait_ready(url, child):
    end = time.monotonic() + 60
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.01)
    sys.exit("control did not become ready")


def rss_mib(pid):
    for line in open("/proc/%d/status" % pid):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


def measure(mesh, swarm, folder):
    """A dictionary of figures."""
    objects = folder / "objects"
    objects.mkdir()
    for n in range(SERVICES):
        write(objects / ("s%d.yaml" % n), service(n))
        write(objects / ("s%d-a.yaml" % n), slice_of(n, 10))
    figures = {}
    began = time.monotonic()
    control = subprocess.Popen(
        [mesh, "control", "--config-dir", objects, "--data-dir", folder / "data", "--socket", folder / "c.sock",
         "--api-address", "127.66.90.1:15080", "--xds-address", "127.66.90.1:15012", "--xds-plain-address",
         "127.66.90.1:15010", "--log-level", "warn"], stdin=subprocess.DEVNULL)
    herd = None
    try:
        wait_ready("http://127.66.90.1:15080/readyz", control)
        figures["start_s"] = time.monotonic() - began
        figures["rss_idle_mib"] = rss_mib(control.pid)
        herd = subprocess.Popen([swarm, "127.66.90.1:15010", str(PROXIES), str(SERVICES), str(EACH)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        figures["sync_ms"] = float(herd.stdout.readline().split()[1])
        delays = []
        for i in range(CHANGES):
            n = i * 31 % SERVICES
            interested = sum(1 for p in range(PROXIES) if (n - p * EACH) % SERVICES < EACH)
            at = time.time()
            write(objects / ("s%d-a.yaml" % n), slice_of(n, 30 + i))
            for _ in range(interested):
                delays.append(int(herd.stdout.readline().split()[1]) / 1e3 - at * 1e3)
        delays.sort()
        figures["p50_ms"] = statistics.median(delays)
        figures["p99_ms"] = delays[int(len(delays) * 0.99)]
        figures["updates"] = len(delays)
        figures["rss_mib"] = rss_mib(control.pid)
    finally:
        for child in (herd, control):
            if child:
                child.terminate()
                child.wait()
    return figures


def main():
    mesh = sys.argv[1] if len(sys.argv) > 1 else "build/mesh"
    swarm = sys.argv[2] if len(sys.argv) > 2 else "build/bench/swarm"
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(os.path.abspath(mesh), os.path.abspath(swarm), pathlib.Path(folder))
    missed = [k for k, most in BARS.items() if figures[k] > most]
    for k, v in figures.items():
        print("%-14s %10.1f%s" % (k, v, "   over the bar of %s" % BARS[k] if k in missed else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
