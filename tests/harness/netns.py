"""Network namespaces without names: held by a descriptor, gone with the test.

    pod, outside = NetNs(), NetNs()
    join(pod, outside, "10.1.0.1/24", "10.1.0.2/24")
    with pod:                                  # sockets made here stay there
        s = socket.create_connection(...)
    pod.run("ip", "addr")"""
import contextlib
import ctypes
import os
import shutil
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    if getattr(_libc, name)(*args) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def why_not():
    """Why there can be no namespaces here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "nsenter", "setpriv"):
        if shutil.which(program) is None:
            return f"there is no program '{program}'"
    try:
        NetNs().close()
    except OSError as error:
        return str(error)
    return None


class NetNs:
    """A new namespace with lo up; NetNs(pid) is that of a process."""

    def __init__(self, pid=None):
        if pid is not None:
            self.fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            return
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", CLONE_NEWNET)
            try:
                self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                _call("setns", home, CLONE_NEWNET)
        finally:
            os.close(home)
        self.run("ip", "link", "set", "lo", "up")

    def __enter__(self):
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _call("setns", self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        _call("setns", self._home, CLONE_NEWNET)
        os.close(self._home)

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def enter(self, *argv):
        """argv that runs inside."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, argv)]

    def run(self, *argv, check=True, **options):
        return subprocess.run(self.enter(*argv), capture_output=True, text=True, check=check, timeout=20, **options)

    def close(self):
        os.close(self.fd)


def join(a, b, *addresses, name="eth0"):
    """A cable between two, with addresses in turn: for a, for b, for a, ..."""
    a.run("ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns", b.path)
    for i, address in enumerate(addresses):
        more = ["nodad"] if ":" in address else []
        (a, b)[i % 2].run("ip", "addr", "add", address, "dev", name, *more)
    for side in (a, b):
        side.run("ip", "link", "set", name, "up")


@contextlib.contextmanager
def as_user(uid=None, gid=None):
    """Sockets made here are that user's or group's."""
    try:
        if gid is not None:
            os.setegid(gid)
        if uid is not None:
            os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
