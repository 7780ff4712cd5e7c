"""Processes in containers: a fork of the node program that enters namespaces, builds its root, drops its rights, execs.

Every container is process 1 of a process namespace of its own, so all its descendants die with it; and it asks the
kernel to be killed when the node program dies, however that happens."""
import asyncio
import dataclasses
import errno
import os
import resource
import signal
import struct

import kernel

DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
READ_ONLY_PROC = ("/proc/sys", "/proc/sysrq-trigger")
IN_CONTAINER = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC
OUTPUT_MAX = 10 * 1024


@dataclasses.dataclass
class Mount:
    source: str
    target: str
    read_only: bool = False


@dataclasses.dataclass
class Credentials:
    uid: int = 0
    gid: int = 0
    groups: tuple = ()
    capabilities: frozenset = frozenset()
    no_new_privileges: bool = False
    privileged: bool = False


@dataclasses.dataclass
class Launch:
    """Everything a container's first process is made of."""
    argv: list
    env: dict
    workdir: str
    credentials: Credentials
    sandbox: object                  # net.Sandbox
    scratch: bool                    # an empty root, or this machine's files
    mounts: list                     # Mounts, in this order
    read_only_root: bool
    dev: str                         # a folder with the devices
    mount_point: str                 # an empty folder
    log: int                         # descriptor for its output
    needs_libraries: bool = False


class StartError(Exception):
    """The process could not become the container's program."""


def make_dev(path):
    """Fills the /dev of all containers; needs a file system on which devices work."""
    for name, number in DEVICES.items():
        os.mknod(f"{path}/{name}", 0o666 | 0o020000, os.makedev(*number))
        os.chmod(f"{path}/{name}", 0o666)
    for name, to in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
                     ("stderr", "/proc/self/fd/2")):
        os.symlink(to, f"{path}/{name}")
    for name in ("shm", "pts", "mqueue"):
        os.mkdir(f"{path}/{name}")
    with open(f"{path}/termination-log", "wb"):
        pass


def is_dynamic(path):
    """Whether an ELF program asks for an interpreter (PT_INTERP)."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        offset, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        file.seek(offset)
        table = file.read(size * count)
    return any(struct.unpack_from("<I", table, i * size)[0] == 3 for i in range(count))


def _touch(path, like):
    """A place to mount `like` on."""
    if os.path.isdir(like):
        os.makedirs(path, exist_ok=True)
    elif not os.path.lexists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _build_root(launch):
    """The new root, with the old one at /.old until the end, so that links in the new one lead into the new one."""
    top = launch.mount_point
    kernel.mount("tmpfs", top, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    root = top
    if not launch.scratch:
        root = top + "/root"
        for name in ("root", "up", "work"):
            os.mkdir(f"{top}/{name}", 0o755)
        kernel.mount("overlay", root, "overlay", kernel.MS_NODEV, f"lowerdir=/,upperdir={top}/up,workdir={top}/work")
    os.makedirs(root + "/.old", exist_ok=True)
    kernel.pivot_root(root, root + "/.old")
    os.chdir("/")
    for name in ("proc", "dev", "sys", "etc", "run"):
        os.makedirs("/" + name, exist_ok=True)
    if not launch.scratch or not launch.read_only_root:
        os.makedirs("/tmp", exist_ok=True)
        os.chmod("/tmp", 0o1777)
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    if not launch.credentials.privileged:
        for path in filter(os.path.exists, READ_ONLY_PROC):
            kernel.bind(path, path, read_only=True)
    kernel.mount("sysfs", "/sys", "sysfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_RDONLY)
    kernel.bind("/.old" + launch.dev, "/dev", read_only=True)
    kernel.mount("shm", "/dev/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777,size=64m")
    if launch.needs_libraries:
        for path in LIBRARIES:
            if os.path.exists("/.old" + path):
                _touch(path, "/.old" + path)
                kernel.bind("/.old" + path, path, read_only=True)
    for item in launch.mounts:
        _touch(item.target, "/.old" + item.source)
        kernel.bind("/.old" + item.source, item.target, item.read_only)
    kernel.umount("/.old")
    os.rmdir("/.old")
    if launch.read_only_root:
        kernel.mount(None, "/", None, kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY)


def _take_credentials(who):
    if not who.privileged:
        kernel.keep_capabilities(who.capabilities)
    os.setgroups(sorted({*who.groups, who.gid}))
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)
    if who.no_new_privileges:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # changes of identity clear it, so it is last


def _forget_parent(stdin, stdout, stderr):
    """Handlers, session and standard descriptors of a forked child."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, 0)
    # Above the standard ones first: one of them may be the place of another.
    high = [os.dup(fd) if fd < 3 else fd for fd in (stdin, stdout, stderr)]
    for place, fd in enumerate(high):
        os.dup2(fd, place)


def _exec(argv, env, workdir):
    os.umask(0o022)
    try:
        os.chdir(workdir)
    except OSError as error:
        raise StartError(f"the working directory '{workdir}': {error.strerror}") from error
    try:
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        nowhere = error.errno == errno.ENOENT and "/" not in argv[0]
        why = "executable file not found in $PATH" if nowhere else error.strerror
        raise StartError(f'exec: "{argv[0]}": {why}') from error


def _run_child(body, report):
    """In the child: what goes wrong before the exec is written to the pipe that the parent reads."""
    try:
        body()
    except BaseException as error:  # pylint: disable=broad-except
        os.write(report, (str(error) or repr(error)).encode()[:1000])
    os._exit(128)


class Process:
    """A forked child: exit code when it is known, as a shell counts (128 + signal)."""

    def __init__(self, pid):
        self.pid, self.code, self.signal = pid, None, 0
        self.fd = os.pidfd_open(pid)
        self.done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self.fd, self.on_exit)

    def on_exit(self):
        asyncio.get_running_loop().remove_reader(self.fd)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        self.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        self.code = 128 + self.signal if self.signal else os.WEXITSTATUS(status)
        if not self.done.done():
            self.done.set_result(self.code)

    async def wait(self):
        return await asyncio.shield(self.done)

    def kill(self, number=signal.SIGKILL):
        if self.code is None:
            signal.pidfd_send_signal(self.fd, number)


async def _read_all(fd, limit):
    """What comes out of a pipe until its end; keeps the first `limit` bytes, closes it."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    done, kept = loop.create_future(), bytearray()

    def on_readable():
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        kept.extend(data[:max(0, limit - len(kept))])
        if not data and not done.done():
            done.set_result(None)

    loop.add_reader(fd, on_readable)
    try:
        await done
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return bytes(kept)


class Spawner:
    def __init__(self, home):
        self.home = home
        self.null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)

    def fork(self, body, enter_pids):
        """A child that runs `body` in the process namespace that enter_pids() makes the one for children."""
        report_in, report_out = os.pipe2(os.O_CLOEXEC)
        try:
            enter_pids()
            pid = os.fork()
            if pid == 0:
                _run_child(body, report_out)
        except OSError:
            os.close(report_in)
            raise
        finally:
            os.close(report_out)
            self.home.back(kernel.CLONE_NEWPID)
        return Process(pid), report_in

    async def started(self, process, report):
        """The process has become its program; StartError tells why it has not."""
        why = await _read_all(report, 1000)
        if why:
            await process.wait()
            raise StartError(why.decode(errors="replace"))
        return process

    async def start(self, launch):
        """The first process of a container."""
        def body():
            launch.sandbox.enter()
            kernel.unshare(kernel.CLONE_NEWNS)
            kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
            _forget_parent(self.null, launch.log, launch.log)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
            _build_root(launch)
            _take_credentials(launch.credentials)
            _exec(launch.argv, launch.env, launch.workdir)

        return await self.started(*self.fork(body, lambda: kernel.unshare(kernel.CLONE_NEWPID)))

    async def enter(self, process, launch, argv, stdin=None, stdout=None, stderr=None, terminal=None):
        """A further process in the running container."""
        pids = os.open(f"/proc/{process.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

        def body():
            kernel.setns(process.fd, IN_CONTAINER)
            _forget_parent(*(self.null if fd is None else fd for fd in (stdin, stdout, stderr)))
            if terminal is not None:
                terminal()
            _take_credentials(launch.credentials)
            _exec(argv, launch.env, launch.workdir)

        try:
            return await self.started(*self.fork(body, lambda: kernel.setns(pids, kernel.CLONE_NEWPID)))
        finally:
            os.close(pids)

    async def run(self, process, launch, argv, timeout_s):
        """Runs to the end: (exit code, first bytes of its output). TimeoutError after it was killed."""
        out_in, out_out = os.pipe2(os.O_CLOEXEC)
        output = asyncio.create_task(_read_all(out_in, OUTPUT_MAX))
        try:
            child = await self.enter(process, launch, argv, None, out_out, out_out)
        except BaseException:
            output.cancel()
            raise
        finally:
            os.close(out_out)
        try:
            async with asyncio.timeout(timeout_s):
                code = await child.wait()
        except (TimeoutError, asyncio.CancelledError):
            child.kill()
            output.cancel()
            raise
        # A process that it left behind may hold the pipe.
        done, _ = await asyncio.wait([output], timeout=0.2)
        output.cancel()
        return code, output.result() if done else b""
