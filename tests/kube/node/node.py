#!/usr/bin/env python3
"""Nodes of a Kubernetes cluster on one machine: what kubelet, kube-proxy, the cluster's DNS and a load balancer do, for
a few made-up nodes whose pods are true processes in namespaces of their own.

    python3 tests/kube/node/node.py --kubeconfig FILE --state DIR [--nodes 2] [--netns NAME] ...

In: a real API server (pods bound to our nodes; Services). Out: processes, network, DNS, status.
Next: pod.py (a pod's life), container.py (its containers), spawn.py (processes), net.py, proxy.py, dns.py."""
import argparse
import asyncio
import collections
import contextlib
import gc
import ipaddress
import os
import shutil
import signal
import sys
import time

import kernel
import spawn
from api import TROUBLE, ApiError, Client, Store, load_kubeconfig
from dns import Dns
from images import Images
from kubelet import PORT, Kubelet
from net import Addresses, Network
from pod import Pod
from proxy import Proxy
from volumes import Configs

PODS_MAX = 250
CAPACITY = {"cpu": "16", "memory": "64Gi", "pods": str(PODS_MAX), "ephemeral-storage": "100Gi"}
HEARTBEAT_S = 10
STARTS_AT_ONCE = 16
EVENT_PAUSE_S, EVENT_AGAIN_S = 1, 10  # before the same is told a second time, and after that
EVENTS_PER_S, EVENTS_AT_ONCE = 10, 100
PRIORITY = -5  # a starved node would find its pods unready


class Node:
    """One made-up node."""

    def __init__(self, number, cidr):
        self.number, self.name, self.cidr = number, f"node-{number}", cidr
        self.zone = f"zone-{(number - 1) % 3 + 1}"
        self.addresses = Addresses(cidr)
        self.ip = self.addresses.node
        self.capacity = CAPACITY

    def object(self):
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                  "topology.kubernetes.io/zone": self.zone, "topology.kubernetes.io/region": "region-1"}
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels},
                "spec": {"podCIDR": self.cidr, "podCIDRs": [self.cidr]}}

    def status(self, port):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

        def condition(kind, status, reason):
            return {"type": kind, "status": status, "reason": reason, "message": reason, "lastHeartbeatTime": stamp}

        return {"status": {
            "capacity": CAPACITY, "allocatable": CAPACITY, "phase": "Running",
            "addresses": [{"type": "InternalIP", "address": self.ip}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": {"kubeletVersion": "v1.34.0", "osImage": "mesh lab", "kernelVersion": os.uname().release,
                         "containerRuntimeVersion": "mesh-lab://1", "architecture": "amd64", "operatingSystem": "linux",
                         "bootID": "", "machineID": "", "systemUUID": "", "kubeProxyVersion": ""},
            "conditions": [condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                           condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                           condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                           condition("NetworkUnavailable", "False", "RouteCreated"),
                           condition("Ready", "True", "KubeletReady")]}}


class Host:
    """Everything that the nodes share."""

    def __init__(self, options):
        self.options, self.name = options, "mesh-lab"
        state = os.path.abspath(options.state)
        self.run_dir, self.log_dir = state + "/run", state + "/log"
        self.dev_dir, self.mount_point = self.run_dir + "/dev", self.run_dir + "/root"
        self.home = kernel.Here()
        self.spawner = spawn.Spawner(self.home)
        self.start_gate = asyncio.Semaphore(STARTS_AT_ONCE)
        self.images = Images(options.images)
        self.api = Client(load_kubeconfig(options.kubeconfig))
        self.heart = Client(self.api.access)  # heartbeats wait for nobody
        ranges = ipaddress.ip_network(options.pod_cidr).subnets(new_prefix=24)
        next(ranges)  # node-1 has 10.244.1.0/24
        self.nodes = [Node(i + 1, str(next(ranges))) for i in range(options.nodes)]
        self.node_of = {n.name: n for n in self.nodes}
        self.dns_ip = str(ipaddress.ip_network(options.service_cidr)[10])
        self.network = Network(self.home, options.service_cidr, options.lb_cidr)
        self.proxy = Proxy(self, options.service_cidr, options.lb_cidr)
        self.dns = Dns(self)
        self.pods = {}  # uid: Pod
        self.next_event, self.event_time = collections.defaultdict(float), 0.0
        self.kept = set()
        self.kubelet = Kubelet(self, state)
        self.configs = Configs()
        self.services = Store(self.api, "/api/v1/services", self.on_service)
        self.slices = Store(self.api, "/apis/discovery.k8s.io/v1/endpointslices", self.on_service)
        self.pod_store = Store(self.api, "/api/v1/pods", self.on_pod)
        for kind, path in (("configmap", "/api/v1/configmaps"), ("secret", "/api/v1/secrets")):
            self.configs.stores[kind] = Store(self.api, path, self.on_config(kind))

    # Small services for the others

    def say(self, message):
        """A line for the program's log, the same one not more than every 10 s."""
        if time.monotonic() >= self.next_event[None, message]:
            self.next_event[None, message] = time.monotonic() + 10
            print("node: " + message, flush=True)

    def keep(self, task):
        """A task that nobody waits for."""
        self.kept.add(task)
        task.add_done_callback(self.kept.discard)
        task.add_done_callback(lambda t: t.cancelled() or not t.exception() or self.say(f"{t.exception()!r}"))

    def event(self, pod, kind, reason, message):
        """An Event of the pod, unless the same was told a moment ago."""
        key = pod.uid, reason, message
        if time.monotonic() < self.next_event[key]:
            return
        self.next_event[key] = time.monotonic() + (EVENT_AGAIN_S if self.next_event[key] else EVENT_PAUSE_S)
        self.event_time = max(self.event_time, time.monotonic() - EVENTS_AT_ONCE / EVENTS_PER_S) + 1 / EVENTS_PER_S
        if self.event_time > time.monotonic():
            self.event_time -= 1 / EVENTS_PER_S
            return  # the API server has better things to do
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        about = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "namespace": pod.namespace, "uid": pod.uid}
        body = {"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": pod.name[:200] + "."}, "type": kind,
                "reason": reason, "message": message[:1000], "involvedObject": about, "firstTimestamp": stamp,
                "lastTimestamp": stamp, "count": 1, "source": {"component": "kubelet", "host": pod.node.name}}

        async def send():
            with contextlib.suppress(*TROUBLE):
                await self.api.post(f"/api/v1/namespaces/{pod.namespace}/events", body)

        self.keep(asyncio.create_task(send()))

    # What the API tells

    def on_service(self, _change, _obj):
        self.proxy.changed()
        self.dns.changed()

    def on_config(self, kind):
        def on_change(_change, obj):
            namespace, name = obj["metadata"].get("namespace"), obj["metadata"]["name"]
            for pod in self.pods.values():
                if pod.namespace == namespace:
                    pod.volumes.refresh(kind, name)

        return on_change

    def on_pod(self, change, obj):
        node = self.node_of.get(obj["spec"].get("nodeName"))
        if node is None:
            return
        uid = obj["metadata"]["uid"]
        pod = self.pods.get(uid)
        if change == "DELETED":
            if pod:
                pod.forget()
        elif pod:
            pod.update(obj)
        elif obj["metadata"].get("deletionTimestamp"):
            self.keep(asyncio.create_task(self.remove(obj)))
        elif (obj.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            self.pods[uid] = pod = Pod(self, node, obj)
            self.keep(pod.task)

    async def remove(self, obj):
        """A pod that ends and that we never ran, or ran before we were started."""
        meta = obj["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        with contextlib.suppress(*TROUBLE):
            await self.api.delete(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", options)

    def pod_gone(self, pod):
        self.pods.pop(pod.uid, None)
        for key in [k for k in self.next_event if k[0] == pod.uid]:
            del self.next_event[key]

    # Start and end

    def prepare_state(self):
        """A mount namespace of our own, so that nothing mounted below outlives us; what was left there is removed."""
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_SLAVE)
        shutil.rmtree(self.run_dir, ignore_errors=True)
        os.makedirs(self.run_dir)
        os.makedirs(self.log_dir, exist_ok=True)
        kernel.mount("tmpfs", self.run_dir, "tmpfs", kernel.MS_NODEV, "mode=755")
        for name in ("pods", "root", "dev"):
            os.mkdir(f"{self.run_dir}/{name}")
        kernel.mount("tmpfs", self.dev_dir, "tmpfs", kernel.MS_NOSUID, "mode=755")
        spawn.make_dev(self.dev_dir)
        with open(f"{os.path.dirname(self.run_dir)}/node.pid", "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")

    async def ensure(self, path, name, obj):
        """Makes the object, or leaves the one that is there."""
        try:
            await self.heart.get(f"{path}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            await self.heart.post(path, obj)

    async def register(self, node):
        await self.ensure("/api/v1/nodes", node.name, node.object())
        await self.heart.patch(f"/api/v1/nodes/{node.name}/status", node.status(PORT))
        await self.beat(node)

    async def beat(self, node):
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        spec = {"holderIdentity": node.name, "leaseDurationSeconds": 40, "renewTime": stamp}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": node.name}, "spec": spec}
        await self.ensure(path, node.name, lease)
        await self.heart.patch(f"{path}/{node.name}", {"spec": spec})

    async def heartbeats(self):
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            with contextlib.suppress(*TROUBLE):
                for node in self.nodes:
                    await self.register(node)

    async def publish_dns(self):
        """Service kube-system/kube-dns; its endpoint is this program on the first node's address."""
        ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
        labels = {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "labels": labels},
                   "spec": {"clusterIP": self.dns_ip, "ports": ports}}
        await self.ensure("/api/v1/namespaces/kube-system/services", "kube-dns", service)
        path = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
        piece = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                 "metadata": {"name": "kube-dns-lab", "labels": {"kubernetes.io/service-name": "kube-dns"}},
                 "endpoints": [{"addresses": [self.nodes[0].ip], "conditions": {"ready": True}}], "ports": ports}
        await self.ensure(path, "kube-dns-lab", piece)
        await self.api.patch(f"{path}/kube-dns-lab", {"endpoints": piece["endpoints"]}, "application/merge-patch+json")

    async def start(self):
        self.prepare_state()
        self.network.start([n.ip for n in self.nodes])
        await self.dns.start(self.nodes[0].ip)
        await self.kubelet.start([n.ip for n in self.nodes], self.api.access.authority)
        await self.publish_dns()
        for store in (self.services, self.slices, *self.configs.stores.values()):
            await store.start()
        self.proxy.changed()
        for node in self.nodes:
            await self.register(node)
        await self.pod_store.start()
        self.tasks = [asyncio.create_task(self.heartbeats()), asyncio.create_task(self.proxy.run())]
        for task in self.tasks:
            self.keep(task)
        self.say(f"{len(self.nodes)} nodes are ready")

    async def stop(self):
        """Everything that was made is gone when this returns; the API keeps the pods, for the next run."""
        for task in self.tasks:
            task.cancel()
        pods = list(self.pods.values())
        for pod in pods:
            for task in (pod.task, pod.status_task, pod.end_task):
                if task:
                    task.cancel()
            pod.kill()
            pod.volumes.stop()
        for pod in pods:
            for container in pod.containers:
                if container.process:
                    await container.process.wait()
            pod.close_sandbox()
        await self.proxy.remove()
        self.network.stop()


def arguments():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="Nodes of a Kubernetes cluster on one machine, with true pods.")
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--state", required=True, help="a folder for what runs (run/) and logs (log/)")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--netns", help="enter this network namespace (of /run/netns) first")
    parser.add_argument("--pod-cidr", default="10.244.0.0/16")
    parser.add_argument("--service-cidr", default="10.96.0.0/16")
    parser.add_argument("--load-balancers", "--lb-cidr", dest="lb_cidr", default="172.31.250.0/24")
    parser.add_argument("--images", default=os.path.join(os.path.dirname(here), "images.yaml"))
    return parser.parse_args()


async def run(options):
    host = Host(options)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await host.start()
    gc.freeze()  # forks copy fewer pages
    await ended.wait()
    host.say("ending")
    await host.stop()


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("node: namespaces need root")
    if options.netns:
        with open("/run/netns/" + options.netns, "rb") as file:
            kernel.setns(file.fileno(), kernel.CLONE_NEWNET)
    if sys.version_info < (3, 12):
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())  # no threads: children are forked here
    os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
