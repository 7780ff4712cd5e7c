"""A proxy under test: mesh, or Envoy in its place. Both take the same bootstrap."""

import functools
import http.client
import json
import os

from . import config
from .proc import Process, find_envoy, find_mesh


@functools.lru_cache
def subject():
    """("mesh", path), or ("envoy", path) when SUBJECT=envoy asks for it: to show that a test is right."""
    if os.environ.get("SUBJECT", "") == "envoy":
        return "envoy", find_envoy()
    return "mesh", find_mesh()


@functools.lru_cache
def is_sanitized(binary):
    with open(binary, "rb") as f:
        data = f.read()
    return b"__asan_init" in data or b"__tsan_init" in data


class Proxy(Process):
    def __init__(self, folder, name, boot, admin_port, kind=None, binary=None, cpu=None, concurrency=1,
                 args=(), log_level="warn", env=None):
        if kind is None:
            kind, binary = subject()
        self.kind = kind
        self.sanitized = is_sanitized(binary)
        self.admin_port = admin_port
        path = config.write_yaml(folder / f"{name}.yaml", boot)
        if kind == "mesh":
            argv = [binary, "proxy", "--config-file", path, "--concurrency", concurrency,
                    "--log-level", log_level]
            if "--drain-time-s" not in args:
                argv += ["--drain-time-s", 0]
        else:
            argv = [binary, "-c", path, "--concurrency", concurrency, "--log-level", log_level,
                    "--disable-hot-restart", "--file-flush-interval-msec", "100"]
        super().__init__([*argv, *args], folder / f"{name}.log", cpu, env)
        self.name = name

    def stop(self, deadline_s=5.0):
        """Ends it; fails when a sanitizer or an assertion had something to say."""
        status = super().stop(deadline_s)
        text = self.text()
        for word in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                     "WARNING: ThreadSanitizer", "assertion failed"):
            assert word not in text, f"{self.name}: {word}\n{self.tail(60)}"
        assert self.kind != "mesh" or status >= 0 or status in (-9, -15), (
            f"{self.name} ended by signal {-status}\n{self.tail(60)}")
        return status

    def rss_kb(self):
        """0 under a sanitizer, which keeps freed memory: growth says nothing there."""
        return 0 if self.sanitized else super().rss_kb()

    def admin(self, path, method="GET", timeout_s=10):
        """(status, body text)"""
        c = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=timeout_s)
        try:
            c.request(method, path)
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def wait_ready(self):
        self.wait_for(self._is_ready, f"{self.name} to answer /ready")
        return self

    def _is_ready(self):
        try:
            return self.admin("/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def json(self, path):
        status, body = self.admin(path)
        assert status == 200, f"{path}: {status} {body}"
        return json.loads(body)

    def stats(self):
        """Envoy's text form: {name: int}; histograms are left out."""
        status, body = self.admin("/stats")
        assert status == 200, body
        found = {}
        for line in body.splitlines():
            name, _, value = line.rpartition(": ")
            if value.strip().lstrip("-").isdigit():
                found[name] = int(value)
        return found

    def stat(self, name):
        return self.stats().get(name, 0)

    def wait_stat(self, name, least=1, deadline_s=20):
        """The value once it is at least that: counting may come after the answer has left."""
        self.wait_for(lambda: self.stat(name) >= least, f"{name} >= {least}", deadline_s)
        return self.stat(name)

    def prometheus(self):
        status, body = self.admin("/stats/prometheus")
        assert status == 200, body
        return parse_prometheus(body)


def parse_prometheus(text):
    """[(name, {label: value}, number)]"""
    rows = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        head, _, number = line.rpartition(" ")
        name, brace, rest = head.partition("{")
        rows.append((name.strip(), parse_labels(rest[:-1]) if brace else {}, float(number)))
    return rows


def parse_labels(text):
    labels, i = {}, 0
    while i < len(text):
        eq = text.index("=", i)
        key = text[i:eq].strip(", ")
        value, i = "", eq + 2
        while text[i] != '"':
            if text[i] == "\\":
                i += 1
            value += text[i]
            i += 1
        labels[key] = value
        i += 1
    return labels
