"""One container of a pod: its runs, one after the other, with hooks and probes; what its status says."""
import asyncio
import hashlib
import os
import time

from env import ConfigError, expand
from images import ImageError
from probes import HandlerError, Probe, handle
from spawn import Credentials, Launch, Mount, StartError, is_dynamic

# What a container may without asking: the default of containerd.
DEFAULT_CAPABILITIES = frozenset(
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE".split())
BACKOFF_FIRST_S, BACKOFF_MAX_S, BACKOFF_RESET_S = 1, 20, 60
RETRY_S = 2
GRACE_MIN_S = 2  # kubelet: minimumGracePeriodInSeconds
MESSAGE_MAX = 4096


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def capabilities_of(security):
    asked = security.get("capabilities") or {}

    def names(side):
        return {n.upper().removeprefix("CAP_") for n in asked.get(side) or []}

    add, drop = names("add"), names("drop")
    if "ALL" in add:
        return None  # none is taken away
    base = set() if "ALL" in drop else DEFAULT_CAPABILITIES - drop
    return frozenset(base | add)


class Container:
    """kind is "init", "sidecar" (an init container that is restarted always) or "app"."""

    def __init__(self, pod, spec, kind, restarts):
        self.pod, self.host, self.spec, self.kind = pod, pod.host, spec, kind
        self.name, self.restarts = spec["name"], restarts
        waiting = "PodInitializing" if pod.obj["spec"].get("initContainers") else "ContainerCreating"
        self.state, self.last = {"waiting": {"reason": waiting}}, {}
        self.ready = self.started = False
        self.id, self.process, self.launch = "", None, None
        self.launched = asyncio.Event()  # the first start was tried, its postStart hook is over
        self.up = asyncio.Event()        # has once been "started" in the sense of the status
        self.over = asyncio.Event()      # does not run and will not again
        self.stopping = asyncio.Event()  # is not to be started again
        self.exit_code = None
        self.probe_tasks = []
        self.log_path = f"{self.host.log_dir}/{pod.namespace}_{pod.name}/{self.name}.log"
        self.log_start, self.previous_log = 0, None  # where this run's lines begin; (start, end) of the run before

    # Making the process

    def credentials(self, image):
        whole, own = self.pod.obj["spec"].get("securityContext") or {}, self.spec.get("securityContext") or {}

        def asked(name):
            return own[name] if own.get(name) is not None else whole.get(name)

        uid, gid = asked("runAsUser"), asked("runAsGroup")
        if gid is None:
            gid = image.group if uid is None else 0
        if uid is None:
            uid = image.user
        if asked("runAsNonRoot") and uid == 0:
            raise ConfigError("container has runAsNonRoot and image will run as root")
        groups = list(whole.get("supplementalGroups") or [])
        if whole.get("fsGroup") is not None:
            groups.append(whole["fsGroup"])
        capabilities = capabilities_of(own)
        everything = own.get("privileged", False) or capabilities is None
        return Credentials(uid, gid, tuple(groups), capabilities or frozenset(),
                           own.get("allowPrivilegeEscalation") is False, everything)

    def mounts(self, image, env):
        pod = self.pod
        result = [Mount(os.path.realpath(file), path, True) for path, file in image.files.items()]
        targets = {m["mountPath"] for m in self.spec.get("volumeMounts") or []}
        for name in ("hosts", "hostname", "resolv.conf"):
            if "/etc/" + name not in targets:
                result.append(Mount(f"{pod.folder}/{name}", "/etc/" + name))
        result.append(Mount(self.message_path(), self.spec.get("terminationMessagePath") or "/dev/termination-log"))
        for mount in sorted(self.spec.get("volumeMounts") or [], key=lambda m: m["mountPath"].rstrip("/").count("/")):
            source, read_only = pod.volumes.source_of(mount, lambda text: expand(text, env))
            result.append(Mount(os.path.realpath(source), mount["mountPath"], read_only))
        return result

    def message_path(self):
        return f"{self.pod.folder}/{self.name}.message"

    def make_launch(self):
        image = self.host.images.find(self.spec["image"])
        env = self.pod.environment.make(self.spec, image.env)
        argv = image.argv([expand(w, env) for w in self.spec.get("command") or []],
                          [expand(w, env) for w in self.spec.get("args") or []])
        if not argv:
            raise ConfigError(f"image '{self.spec['image']}' has no entrypoint, so a command is needed")
        security = self.spec.get("securityContext") or {}
        with open(self.message_path(), "wb"):
            os.chmod(self.message_path(), 0o666)
        return Launch(argv=argv, env=env, workdir=self.spec.get("workingDir") or image.workdir,
                      credentials=self.credentials(image), sandbox=self.pod.sandbox, scratch=image.scratch,
                      mounts=self.mounts(image, env), read_only_root=security.get("readOnlyRootFilesystem", False),
                      dev=self.host.dev_dir, mount_point=self.host.mount_point, log=-1,
                      needs_libraries=image.scratch and any(is_dynamic(f) for f in image.files.values()))

    async def start(self):
        """Whether there is a process now; if not, the state says why."""
        try:
            self.launch = self.make_launch()
        except ImageError as error:
            return self.wait_for("ErrImagePull", str(error))
        except (ConfigError, OSError, ValueError, KeyError) as error:
            return self.wait_for("CreateContainerConfigError", str(error) or repr(error))
        os.makedirs(os.path.dirname(self.log_path), exist_ok=True)
        self.launch.log = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.fchmod(self.launch.log, 0o666)
        size = os.fstat(self.launch.log).st_size
        if self.process:
            self.previous_log = self.log_start, size
        self.log_start = size
        self.id = "mesh-lab://" + hashlib.sha256(f"{self.pod.uid}/{self.name}/{self.restarts}".encode()).hexdigest()
        self.begun, self.begun_at = time.monotonic(), now()
        try:
            async with self.host.start_gate:
                self.process = await self.host.spawner.start(self.launch)
        except (StartError, OSError) as error:
            self.record_end(128, "StartError", f"failed to create containerd task: {error}")
            return False
        finally:
            os.close(self.launch.log)
        return True

    def wait_for(self, reason, message):
        self.state = {"waiting": {"reason": reason, "message": message}}
        self.host.event(self.pod, "Warning", "Failed", f"{self.name}: {message}")
        self.pod.changed()
        return False

    # A run

    async def run(self, argv, timeout_s):
        """A command in the running container: (code, output)."""
        if self.process is None or self.process.code is not None:
            raise HandlerError("the container is not running")
        return await self.host.spawner.run(self.process, self.launch, argv, timeout_s)

    async def live(self):
        """Runs until the container has ended for good."""
        backoff = BACKOFF_FIRST_S
        try:
            while not self.stopping.is_set():
                if not await self.start():
                    self.launched.set()
                    if "waiting" in self.state:
                        await self.pause(RETRY_S)
                        continue
                else:
                    if self.stopping.is_set():  # while it started
                        self.host.keep(asyncio.create_task(self.stop(self.pod.grace_s())))
                    await self.one_run()
                if not self.runs_again():
                    break
                if time.monotonic() - self.begun > BACKOFF_RESET_S:
                    backoff = BACKOFF_FIRST_S
                why = f"back-off {backoff}s restarting failed container={self.name}"
                self.last, self.state = self.state, {"waiting": {"reason": "CrashLoopBackOff", "message": why}}
                self.pod.changed()
                await self.pause(backoff)
                backoff = min(2 * backoff, BACKOFF_MAX_S)
                if not self.stopping.is_set():
                    self.restarts += 1
        finally:
            for event in (self.launched, self.over):
                event.set()
            self.pod.changed()

    async def pause(self, seconds):
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            pass

    def runs_again(self):
        if self.stopping.is_set():
            return False
        policy = self.pod.obj["spec"].get("restartPolicy", "Always")
        if self.kind == "sidecar":
            return True
        if self.kind == "init":
            return self.exit_code != 0 and policy != "Never"
        return policy == "Always" or (policy == "OnFailure" and self.exit_code != 0)

    async def one_run(self):
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            ended = asyncio.create_task(self.process.wait())
            hooked = asyncio.create_task(handle(hook, self, None))
            await asyncio.wait([ended, hooked], return_when=asyncio.FIRST_COMPLETED)
            if hooked.done() and hooked.exception():
                self.host.event(self.pod, "Warning", "FailedPostStartHook", f"{self.name}: {hooked.exception()}")
                await self.stop(self.pod.grace_s())
            hooked.cancel()
        self.state = {"running": {"startedAt": self.begun_at}}
        self.launched.set()
        if self.process.code is None:
            self.begin_probes()
        self.pod.changed()
        await self.process.wait()
        self.end_probes()
        code = self.process.code
        self.record_end(code, "Completed" if code == 0 else "Error", self.last_words(code))

    def last_words(self, code):
        try:
            with open(self.message_path(), "rb") as file:
                text = file.read(MESSAGE_MAX)
            if not text and code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
                with open(self.log_path, "rb") as file:
                    file.seek(max(self.log_start, os.path.getsize(self.log_path) - 2048))
                    text = file.read()
            return text.decode(errors="replace")
        except OSError:
            return ""

    def record_end(self, code, reason, message):
        self.exit_code, self.ready, self.started = code, False, False
        ended = {"exitCode": code, "reason": reason, "containerID": self.id,
                 "startedAt": self.begun_at, "finishedAt": now()}
        if message:
            ended["message"] = message
        if self.process and self.process.signal:
            ended["signal"] = self.process.signal
        self.state = {"terminated": ended}
        self.pod.changed()

    # Probes

    def begin_probes(self):
        startup = self.spec.get("startupProbe")
        if startup:
            self.add_probe("startup", startup, self.on_startup)
        else:
            self.on_startup(True)

    def add_probe(self, kind, spec, on_result):
        def on_failure(which, why):
            self.host.event(self.pod, "Warning", "Unhealthy", f"{self.name}: {which.capitalize()} probe failed: {why}")

        probe = Probe(kind, spec, self, on_result, on_failure)
        self.probe_tasks.append(asyncio.create_task(probe.run()))

    def end_probes(self):
        for task in self.probe_tasks:
            task.cancel()
        self.probe_tasks = []

    def on_startup(self, good):
        if not good:
            self.replace("startup")
            return
        self.started = True
        self.up.set()
        if self.spec.get("readinessProbe"):
            self.add_probe("readiness", self.spec["readinessProbe"], self.on_readiness)
        else:
            self.ready = self.kind != "init"
        if self.spec.get("livenessProbe"):
            self.add_probe("liveness", self.spec["livenessProbe"], lambda good: good or self.replace("liveness"))
        self.pod.changed()

    def on_readiness(self, good):
        self.ready = good
        self.pod.changed()

    def replace(self, kind):
        """A probe failed for good: the container is ended, its policy says what follows."""
        self.host.event(self.pod, "Normal", "Killing", f"Container {self.name} failed {kind} probe, will be restarted")
        grace = self.spec[kind + "Probe"].get("terminationGracePeriodSeconds", self.pod.grace_s())
        self.host.keep(asyncio.create_task(self.stop(grace)))

    # The end

    async def stop(self, grace_s, turn=None):
        """preStop, then (when `turn`, an awaitable factory, is over) SIGTERM, and SIGKILL when the time is up."""
        if self.process is None or self.process.code is not None:
            return
        deadline = time.monotonic() + grace_s
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace_s > 0:
            try:
                async with asyncio.timeout(grace_s):
                    await handle(hook, self, None)
            except (HandlerError, TimeoutError) as error:
                self.host.event(self.pod, "Warning", "FailedPreStopHook", f"{self.name}: {error}")
        if turn and deadline > time.monotonic():
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await turn()
            except TimeoutError:
                pass
        self.process.kill(15)
        try:
            async with asyncio.timeout(max(GRACE_MIN_S if grace_s else 0, deadline - time.monotonic())):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    def kill(self):
        self.stopping.set()
        if self.process:
            self.process.kill()

    def status(self):
        done = self.state.get("terminated") or {}
        image = self.spec["image"]
        return {"name": self.name, "image": image, "imageID": "mesh-lab/" + image if self.id else "",
                "containerID": self.id, "restartCount": self.restarts, "state": self.state, "lastState": self.last,
                "ready": done.get("exitCode") == 0 if self.kind == "init" else self.ready, "started": self.started}
