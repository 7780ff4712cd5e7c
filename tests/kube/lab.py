#!/usr/bin/env python3
"""lab.py up|down [--number N]: what `make kube-up` and `make kube-down` call. The cluster outlives this program.

With a number from 1 to 15 it is another cluster, with addresses of its own, in build/kube-N."""
import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.proc import REPO  # noqa: E402
from kube.cluster import BY_HAND, Cluster, why_not  # noqa: E402


def next_commands(cluster):
    print(f"""Kubernetes      {cluster.server}, LoadBalancer addresses {cluster.load_balancers}
kubeconfig      {cluster.config}
logs            {cluster.folder}/log

Next:
  export KUBECONFIG={cluster.config} PATH={REPO}/build/tools:{REPO}/build:$PATH
  kubectl get nodes
  mesh install --set profile=demo -y
  make kube-down""")


def up(cluster):
    if cluster.running():
        try:
            cluster.wait_ready(5)
            dead = cluster.ended()
        except (RuntimeError, AssertionError):
            dead = ["kube-apiserver"]
        if not dead:
            print("it is up already")
            next_commands(cluster)
            return
        print(f"it was up, without {', '.join(dead)}: starting it again")
    started = time.monotonic()
    cluster.stop()
    try:
        cluster.start()
    except BaseException:
        cluster.stop()
        raise
    print(f"up in {time.monotonic() - started:.1f} s")
    next_commands(cluster)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("--number", type=int, choices=range(BY_HAND), default=0, metavar="N")
    args = parser.parse_args()
    why = why_not()
    if why:
        sys.exit(f"kube-{args.what}: {why}")
    folder = REPO / "build" / ("kube" + (f"-{args.number}" if args.number else ""))
    cluster = Cluster(folder, args.number, die_with_us=False)
    try:
        if args.what == "up":
            up(cluster)
        else:
            was = cluster.running()
            cluster.stop()
            print(f"ended: {', '.join(was)}" if was else "nothing was running")
    except (RuntimeError, AssertionError) as error:
        sys.exit(f"kube-{args.what}: {error}")


if __name__ == "__main__":
    main()
