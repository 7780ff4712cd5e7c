"""One pod from being bound to a node until it is gone from the API: sandbox, volumes, order of containers, status.

In: node.Host (which sees the API's pods). Out: containers (container.py), PATCH of the status, DELETE at the end."""
import asyncio
import contextlib
import os
import shutil

from api import STRATEGIC, TROUBLE, ApiError
from container import Container, now
from env import Downward, Environment
from net import Sandbox
from status import status_of
from volumes import Volumes

CLUSTER_DOMAIN = "cluster.local"
STATUS_RETRY_S = 0.5
SAFE_SYSCTLS = ("net.", "kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


class Pod:
    def __init__(self, host, node, obj):
        self.host, self.node, self.obj = host, node, obj
        meta, spec = obj["metadata"], obj["spec"]
        self.namespace, self.name, self.uid = meta["namespace"], meta["name"], meta["uid"]
        self.hostname = (host.name if spec.get("hostNetwork") else spec.get("hostname") or self.name)[:63].rstrip("-.")
        self.folder = f"{host.run_dir}/pods/{self.uid}"
        self.ip, self.sandbox, self.deleting, self.removed = "", None, False, False
        self.start_time = now()
        self.final_phase, self.final_reason = None, None
        self.downward = Downward(self, node.capacity)
        self.environment = Environment(host.configs, host.services.objects, self.downward)
        self.volumes = Volumes(self, host)
        self.conditions, self.sent = {}, None
        self.dirty = asyncio.Event()
        old = {s["name"]: s for side in ("initContainerStatuses", "containerStatuses")
               for s in (obj.get("status") or {}).get(side) or []}

        def made(entry, kind):
            before = old.get(entry["name"]) or {}
            return Container(self, entry, kind, before.get("restartCount", 0) + (1 if before.get("containerID") else 0))

        self.inits = [made(c, "sidecar" if c.get("restartPolicy") == "Always" else "init")
                      for c in spec.get("initContainers") or []]
        self.apps = [made(c, "app") for c in spec["containers"]]
        self.lives = []
        self.task = asyncio.create_task(self.live())
        self.status_task = asyncio.create_task(self.write_status())
        self.end_task = None

    def grace_s(self):
        value = self.obj["metadata"].get("deletionGracePeriodSeconds")
        return value if value is not None else self.obj["spec"].get("terminationGracePeriodSeconds", 30)

    @property
    def containers(self):
        return self.inits + self.apps

    @property
    def path(self):
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    # Life

    async def live(self):
        try:
            limit = self.obj["spec"].get("activeDeadlineSeconds")
            try:
                async with asyncio.timeout(limit):
                    await self.run_containers()
            except TimeoutError:
                why = "Pod was active on the node longer than the specified deadline"
                self.final_reason = ("DeadlineExceeded", why)
            await self.finish()
        except OSError as error:
            self.host.event(self, "Warning", "FailedCreatePodSandBox", str(error))
            self.final_phase, self.final_reason = "Failed", ("FailedCreatePodSandBox", str(error))
            self.changed()

    async def run_containers(self):
        self.open_sandbox()
        self.changed()
        await self.volumes.prepare(lambda message: self.host.event(self, "Warning", "FailedMount", message))
        for container in self.inits:
            self.begin(container)
            if container.kind == "sidecar":
                await self.first(container.up, container.over)
            else:
                await container.over.wait()
                if container.exit_code != 0:
                    return
            self.changed()
        for container in self.apps:
            container.state = {"waiting": {"reason": "ContainerCreating"}}
        for container in self.apps:
            self.begin(container)
            await container.launched.wait()
        for container in self.apps:
            await container.over.wait()

    @staticmethod
    async def first(*events):
        tasks = [asyncio.create_task(e.wait()) for e in events]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def begin(self, container):
        self.lives.append(asyncio.create_task(container.live()))

    async def finish(self):
        """The main containers are done for good: sidecars are ended, then the phase is final."""
        await self.end_containers(self.grace_s())
        good = all(c.exit_code == 0 for c in self.apps) and not self.final_reason
        self.final_phase = "Succeeded" if good else "Failed"
        self.close_sandbox()
        self.changed()

    def open_sandbox(self):
        os.makedirs(self.folder, exist_ok=True)
        spec = self.obj["spec"]
        if spec.get("hostNetwork"):
            self.ip, self.sandbox = self.node.ip, Sandbox(self.node.ip)
        else:
            sysctls = {s["name"]: s["value"] for s in (spec.get("securityContext") or {}).get("sysctls") or []}
            for name in sysctls:
                if not name.startswith(SAFE_SYSCTLS):
                    raise OSError(f"sysctl '{name}' is not one of a namespace")
            ip = self.node.addresses.take()
            try:
                self.sandbox = self.host.network.open_sandbox(ip, self.node.ip, self.hostname, sysctls)
            except OSError:
                self.node.addresses.give(ip)
                raise
            self.ip = ip
            if any(p.get("hostPort") for c in self.containers for p in c.spec.get("ports") or []):
                self.host.proxy.changed()
        files = {"hosts": self.hosts_file(), "hostname": self.hostname + "\n", "resolv.conf": self.resolv_conf()}
        for name, text in files.items():
            with open(f"{self.folder}/{name}", "w", encoding="utf-8") as file:
                file.write(text)

    def hosts_file(self):
        lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "fe00::0\tip6-localnet",
                 "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters"]
        spec = self.obj["spec"]
        if not spec.get("hostNetwork"):
            names = [self.hostname]
            if spec.get("subdomain"):
                names.insert(0, f"{self.hostname}.{spec['subdomain']}.{self.namespace}.svc.{CLUSTER_DOMAIN}")
            lines.append(self.ip + "\t" + "\t".join(names))
        lines += ["\t".join([entry["ip"], *(entry.get("hostnames") or [])]) for entry in spec.get("hostAliases") or []]
        return "\n".join(lines) + "\n"

    def resolv_conf(self):
        spec = self.obj["spec"]
        policy, config = spec.get("dnsPolicy", "ClusterFirst"), spec.get("dnsConfig") or {}
        servers, search, options = [self.host.dns_ip], [], []
        if policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork")):
            search = [f"{self.namespace}.svc.{CLUSTER_DOMAIN}", f"svc.{CLUSTER_DOMAIN}", CLUSTER_DOMAIN]
            options = ["ndots:5"]
        elif policy == "None":
            servers = []
        servers += config.get("nameservers") or []
        search += config.get("searches") or []
        given = [o["name"] + (":" + o["value"] if o.get("value") else "") for o in config.get("options") or []]
        options = [o for o in options if o.partition(":")[0] not in {g.partition(":")[0] for g in given}] + given
        lines = ["search " + " ".join(search)] if search else []
        lines += ["nameserver " + s for s in servers]
        return "\n".join(lines + (["options " + " ".join(options)] if options else [])) + "\n"

    def close_sandbox(self):
        if self.sandbox and self.sandbox.link is not None:
            self.host.network.close_sandbox(self.sandbox)
            self.node.addresses.give(self.sandbox.ip)
        self.sandbox = None

    # Changes from outside

    def update(self, obj):
        before, self.obj = self.obj, obj
        if obj["metadata"].get("deletionTimestamp"):
            if not self.deleting:
                self.deleting = True
                self.end_task = asyncio.create_task(self.end())
            elif self.grace_s() < (before["metadata"].get("deletionGracePeriodSeconds") or 0):
                asyncio.get_running_loop().call_later(self.grace_s(), self.kill)
            return
        if any(before["metadata"].get(k) != obj["metadata"].get(k) for k in ("labels", "annotations")):
            self.volumes.refresh()
        if obj["spec"].get("readinessGates"):
            self.changed()
        self.insist()

    def insist(self):
        """The node controller calls a pod unready when its node is late; that is ours to say."""
        ours = self.conditions.get("Ready")
        told = [c for c in (self.obj.get("status") or {}).get("conditions") or [] if c["type"] == "Ready"]
        if ours and told and told[0]["status"] != ours["status"]:
            self.sent = None
            self.changed()

    def forget(self):
        """It is gone from the API without us."""
        if not self.deleting:
            self.deleting = True
            self.end_task = asyncio.create_task(self.end(0))
        else:
            self.kill()

    def kill(self):
        for container in self.containers:
            container.kill()

    # The end

    async def end_containers(self, grace_s):
        """Main containers at once, then sidecars, the last first; preStop hooks of all at once (as kubelet)."""
        for container in self.containers:
            container.stopping.set()
        alive = [c for c in self.containers if c.process and c.process.code is None]
        tasks, sidecars_after = [], [c for c in self.apps if c in alive]
        for container in [c for c in alive if c.kind != "sidecar"]:
            tasks.append(container.stop(grace_s))
        for container in reversed([c for c in alive if c.kind == "sidecar"]):
            before = list(sidecars_after)

            async def turn(before=before):
                for other in before:
                    await other.process.wait()

            tasks.append(container.stop(grace_s, turn))
            sidecars_after.append(container)
        await asyncio.gather(*tasks)
        # Each life records how its process ended.
        if self.lives:
            await asyncio.wait(self.lives, timeout=5)

    async def end(self, grace_s=None):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.end_containers(self.grace_s() if grace_s is None else grace_s)
        if not self.final_phase:
            codes = [c.exit_code for c in self.apps if c.exit_code is not None]
            if len(codes) == len(self.apps):
                self.final_phase = "Failed" if any(codes) else "Succeeded"
        self.close_sandbox()
        self.status_task.cancel()
        if grace_s is None:
            with contextlib.suppress(*TROUBLE):
                await self.send_status()
        self.discard()
        await self.remove_object()
        self.removed = True
        self.host.pod_gone(self)

    def discard(self):
        self.volumes.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def remove_object(self):
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        while True:
            try:
                await self.host.api.delete(self.path, options)
                return
            except ApiError as error:
                if error.status in (404, 409):
                    return
                self.host.say(f"pod {self.namespace}/{self.name}: {error}")
            except TROUBLE:
                pass
            await asyncio.sleep(STATUS_RETRY_S)

    # Status

    def changed(self):
        self.dirty.set()

    async def write_status(self):
        """One PATCH at a time; what changes meanwhile goes into the next."""
        while True:
            await self.dirty.wait()
            self.dirty.clear()
            try:
                await self.send_status()
            except ApiError as error:
                if error.status in (404, 409):  # gone, or another pod of the same name
                    continue
                self.host.say(f"status of {self.namespace}/{self.name}: {error}")
                await self.again()
            except TROUBLE:
                await self.again()

    async def again(self):
        await asyncio.sleep(STATUS_RETRY_S)
        self.dirty.set()

    async def send_status(self):
        status = status_of(self)
        for condition in status["conditions"]:
            old = self.conditions.get(condition["type"])
            same = old is not None and old["status"] == condition["status"]
            condition["lastTransitionTime"] = old["lastTransitionTime"] if same else now()
            condition["lastProbeTime"] = None
            if condition["status"] == "True":
                condition.update(reason=None, message=None)  # a strategic patch would keep the old ones
            self.conditions[condition["type"]] = condition
        if status != self.sent:
            body = {"metadata": {"uid": self.uid}, "status": status}
            await self.host.api.patch(self.path + "/status", body, STRATEGIC)
            self.sent = status
