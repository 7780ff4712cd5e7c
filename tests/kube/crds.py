"""The CRDs of Gateway API and of Istio as their projects publish them, from the Go modules that crds/go.mod pins.
They are only read here: what we install is our own."""
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

from harness.proc import REPO, find_program


@cache
def _folder(module):
    if not find_program("go"):
        pytest.skip("public CRDs come as Go modules, and there is no Go")
    env = dict(os.environ, GOFLAGS="-mod=readonly", GOTOOLCHAIN="local", GOWORK="off")
    subprocess.run(["go", "mod", "download", module], cwd=REPO / "tests" / "kube" / "crds", env=env, capture_output=True, check=True, timeout=300)
    done = subprocess.run(["go", "list", "-m", "-f", "{{.Dir}}", module], cwd=REPO / "tests" / "kube" / "crds", env=env,
                          capture_output=True, text=True, check=True, timeout=60)
    return Path(done.stdout.strip())


def gateway_api(channel="standard"):
    """Files of a channel, "standard" or "experimental"."""
    return sorted((_folder("sigs.k8s.io/gateway-api") / "config" / "crd" / channel).glob("gateway.networking*.yaml"))


def istio():
    return [_folder("istio.io/api") / "kubernetes" / "customresourcedefinitions.gen.yaml"]


def install(cluster, files):
    """Applies them and waits until the API server serves them."""
    words = [word for file in files for word in ("-f", file)]
    cluster.kubectl("apply", "--server-side", *words, timeout=120)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all", timeout=90)


def remove(cluster, files):
    cluster.kubectl("delete", "--ignore-not-found", *[word for file in files for word in ("-f", file)], timeout=120)
