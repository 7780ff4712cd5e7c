"""The node program: pods are what kubelet makes of them, Services and names lead to them."""
import base64
import json
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

SLEEPER = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


class Pods:
    """Makes and looks at pods of one namespace."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace

    def kubectl(self, *words, **options):
        return self.cluster.kubectl("-n", self.namespace, *words, **options)

    def make(self, name, *containers, init=(), labels=None, **spec):
        spec = {"terminationGracePeriodSeconds": 10, "containers": list(containers), "initContainers": list(init),
                **spec}
        meta = {"name": name, "labels": labels or {"app": name}}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})

    def apply(self, obj):
        return self.kubectl("apply", "-f", "-", text=json.dumps(obj))

    def get(self, name):
        return json.loads(self.kubectl("get", "pod", name, "-o", "json").stdout)

    def status(self, name, container):
        told = self.get(name)["status"]
        every = told.get("initContainerStatuses", []) + told.get("containerStatuses", [])
        nothing = {"state": {}, "lastState": {}, "restartCount": 0}
        return next((s for s in every if s["name"] == container), nothing)

    def waiting(self, name, container):
        """Why it waits: {"reason", "message"}."""
        return {"reason": "", "message": "", **self.status(name, container)["state"].get("waiting", {})}

    def condition(self, name, kind):
        conditions = self.get(name)["status"].get("conditions", [])
        return next((c["status"] for c in conditions if c["type"] == kind), "")

    def until_ready(self, name):
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=30s")

    def until_phase(self, name, phase):
        self.kubectl("wait", f"--for=jsonpath={{.status.phase}}={phase}", f"pod/{name}", "--timeout=30s")

    def logs(self, name, container):
        return self.kubectl("logs", name, "-c", container).stdout

    def run(self, name, container, *argv, check=True):
        return self.kubectl("exec", name, "-c", container, "--", *argv, check=check)

    def once(self, name, script, **container):
        """The lines that a pod's shell script writes, which then ends."""
        whole = container.pop("securityContext_of_pod", {})
        self.make(name, shell("main", script, **container), restartPolicy="Never", securityContext=whole)
        self.until_phase(name, "Succeeded")
        return self.logs(name, "main").splitlines()


@pytest.fixture
def pods(cluster, namespace):
    return Pods(cluster, namespace)


def shell(name, script, **more):
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], **more}


def web(name="web", port=8080, **more):
    return {"name": name, "image": "python:3", "command": ["python3", "-m", "http.server", str(port)],
            "ports": [{"name": "http", "containerPort": port}], **more}


def routes(cluster):
    return subprocess.run(cluster.inside("ip", "route"), capture_output=True, text=True, check=True).stdout


def service(name, ports, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": ports, **spec}}


def test_init_containers_and_sidecars_start_in_order(pods):
    share = {"volumeMounts": [{"name": "share", "mountPath": "/share"}]}
    note = "echo {} >> /share/order; "
    side = shell("side", note.format("side") + "sleep 0.5; touch /share/up; " + SLEEPER, restartPolicy="Always",
                 **share, startupProbe={"exec": {"command": ["test", "-e", "/share/up"]}, "periodSeconds": 1})
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "sleep 0.3; " + note.format("hook")]}}}
    pods.make("order", shell("one", SLEEPER, lifecycle=hook, **share),
              shell("two", note.format("two") + SLEEPER, **share),
              init=[shell("first", note.format("first"), **share), side,
                    shell("second", "test -e /share/up && " + note.format("second"), **share)],
              volumes=[{"name": "share", "emptyDir": {}}])
    pods.until_ready("order")
    noted = pods.run("order", "two", "cat", "/share/order").stdout
    assert noted.split() == ["first", "side", "second", "hook", "two"]
    status = pods.get("order")["status"]
    assert [(s["name"], s["ready"], s["started"]) for s in status["initContainerStatuses"]] == [
        ("first", True, False), ("side", True, True), ("second", True, False)]
    assert {c["type"] for c in status["conditions"]} == {
        "PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"}


def test_sidecars_end_after_the_others_the_last_first(pods, cluster):
    def ends(name, **more):
        script = f"trap 'sleep 0.2; echo {name}; date +%s%N; exit 0' TERM; while :; do sleep 0.05; done"
        return shell(name, script, **more)

    slow = {"preStop": {"exec": {"command": ["sleep", "0.5"]}}}
    pods.make("ends", ends("app", lifecycle=slow),
              init=[ends("outer", restartPolicy="Always"), ends("inner", restartPolicy="Always")])
    pods.until_ready("ends")
    pods.kubectl("delete", "pod", "ends", "--timeout=20s")
    folder = cluster.folder / "node" / "log" / f"{pods.namespace}_ends"
    said = [(folder / f"{n}.log").read_text().split() for n in ("app", "inner", "outer")]
    assert [name for name, _ in said] == ["app", "inner", "outer"]
    times = [int(when) for _, when in said]
    assert times == sorted(times)


def test_what_ignores_the_end_is_killed_and_gone(pods, cluster):
    pods.make("deaf", shell("deaf", "trap '' TERM; while :; do sleep 0.05; done"), terminationGracePeriodSeconds=1)
    pods.until_ready("deaf")
    uid, ip = pods.get("deaf")["metadata"]["uid"], pods.get("deaf")["status"]["podIP"]
    pods.kubectl("delete", "pod", "deaf", "--timeout=20s")
    assert not (cluster.folder / "node" / "run" / "pods" / uid).exists()
    assert ip + " " not in routes(cluster)


@pytest.mark.parametrize("policy, code, phase", [
    ("Never", 0, "Succeeded"), ("Never", 3, "Failed"), ("OnFailure", 0, "Succeeded")])
def test_a_pod_ends_as_its_containers_do(pods, policy, code, phase):
    name = f"{policy.lower()}{code}"
    pods.make(name, shell("main", f"echo why > /dev/termination-log; exit {code}"), restartPolicy=policy,
              init=[shell("side", SLEEPER, restartPolicy="Always")])
    pods.until_phase(name, phase)
    ended = pods.status(name, "main")["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (code, "why\n")
    assert pods.status(name, "side")["state"]["terminated"]["exitCode"] == 0
    assert pods.condition(name, "Ready") == "False"


def test_a_failed_init_container_fails_a_pod_that_is_never_restarted(pods):
    pods.make("noinit", shell("main", SLEEPER), init=[shell("bad", "exit 2")], restartPolicy="Never")
    pods.until_phase("noinit", "Failed")
    assert "waiting" in pods.status("noinit", "main")["state"]


def test_a_crashing_container_is_started_again_later_and_later(pods, cluster):
    pods.make("crash", shell("main", "exit 5"))
    cluster.wait("two restarts", lambda: pods.status("crash", "main")["restartCount"] >= 2)
    cluster.wait("the pause", lambda: pods.waiting("crash", "main")["reason"] == "CrashLoopBackOff")
    assert pods.status("crash", "main")["lastState"]["terminated"]["exitCode"] == 5
    assert pods.get("crash")["status"]["phase"] == "Running"


def test_a_job_completes_though_its_pod_has_a_sidecar(pods):
    template = {"spec": {"restartPolicy": "Never", "containers": [shell("main", "true")],
                         "initContainers": [shell("side", SLEEPER, restartPolicy="Always")]}}
    pods.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": template}})
    pods.kubectl("wait", "--for=condition=Complete", "job/job", "--timeout=30s")


def test_readiness_moves_endpoints(pods, cluster):
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    pods.make("gate", shell("main", "touch /tmp/ready; " + SLEEPER, readinessProbe=probe))
    pods.apply(service("gate", [{"port": 80}]))

    def endpoints():
        slices = json.loads(pods.kubectl("get", "endpointslices", "-o", "json").stdout)["items"]
        return [e["conditions"]["ready"] for s in slices for e in s["endpoints"] or []]

    pods.until_ready("gate")
    cluster.wait("a ready endpoint", lambda: endpoints() == [True])
    pods.run("gate", "main", "rm", "/tmp/ready")
    cluster.wait("an unready endpoint", lambda: endpoints() == [False])
    pods.run("gate", "main", "touch", "/tmp/ready")
    cluster.wait("a ready endpoint again", lambda: endpoints() == [True])


def test_readiness_gates(pods, cluster):
    pods.make("gated", shell("main", SLEEPER), readinessGates=[{"conditionType": "example.com/fed"}])
    cluster.wait("its containers", lambda: pods.condition("gated", "ContainersReady") == "True")
    assert pods.condition("gated", "Ready") == "False"
    fed = {"status": {"conditions": [{"type": "example.com/fed", "status": "True"}]}}
    pods.kubectl("patch", "pod", "gated", "--subresource=status", "-p", json.dumps(fed))
    pods.until_ready("gated")


@pytest.mark.parametrize("handler", [{"httpGet": {"port": "http", "path": "/gone"}}, {"tcpSocket": {"port": 9}},
                                     {"exec": {"command": ["false"]}}], ids=["http", "tcp", "exec"])
def test_liveness_restarts(pods, cluster, handler):
    probe = {**handler, "periodSeconds": 1, "failureThreshold": 2}
    pods.make("sick", web(livenessProbe=probe), terminationGracePeriodSeconds=0)
    cluster.wait("a restart", lambda: pods.status("sick", "web")["restartCount"] >= 1)
    assert pods.status("sick", "web")["lastState"]["terminated"]["exitCode"] == 137


def test_probes_reach_a_server(pods):
    get = {"httpGet": {"port": "http", "path": "/"}, "periodSeconds": 1}
    tcp = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    pods.make("well", web(startupProbe={**tcp, "failureThreshold": 30}, readinessProbe=get, livenessProbe=get))
    pods.until_ready("well")
    assert pods.status("well", "web")["restartCount"] == 0


def test_environment(pods):
    pods.kubectl("create", "configmap", "conf", "--from-literal=a=1", "--from-literal=b=2")
    pods.kubectl("create", "secret", "generic", "sec", "--from-literal=key=hidden")
    pods.apply(service("some-thing", [{"port": 81, "name": "http"}]))

    def field(path):
        return {"fieldRef": {"fieldPath": path}}

    env = [{"name": "PLAIN", "value": "x"}, {"name": "USES", "value": "$(PLAIN)-$$(PLAIN)-$(NONE)-$(C_a)"},
           {"name": "POD", "valueFrom": field("metadata.name")}, {"name": "IP", "valueFrom": field("status.podIP")},
           {"name": "LABEL", "valueFrom": field("metadata.labels['app']")},
           {"name": "NODE", "valueFrom": field("spec.nodeName")},
           {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
           {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "key"}}},
           {"name": "MAYBE", "valueFrom": {"configMapKeyRef": {"name": "nowhere", "key": "k", "optional": True}}}]
    lines = pods.once("env", "env; echo $0 $1", env=env, envFrom=[{"configMapRef": {"name": "conf"}, "prefix": "C_"}],
                      args=["$(PLAIN)", "$(POD)"], resources={"limits": {"cpu": "250m"}})
    got = dict(line.split("=", 1) for line in lines if "=" in line)
    status = pods.get("env")
    expected = {"PLAIN": "x", "USES": "x-$(PLAIN)-$(NONE)-1", "POD": "env", "IP": status["status"]["podIP"],
                "LABEL": "env", "NODE": status["spec"]["nodeName"], "CPU": "250", "KEY": "hidden",
                "C_a": "1", "C_b": "2", "HOSTNAME": "env", "KUBERNETES_SERVICE_HOST": "10.96.0.1",
                "KUBERNETES_SERVICE_PORT": "443", "SOME_THING_SERVICE_PORT_HTTP": "81"}
    assert {k: got.get(k) for k in expected} == expected
    assert "MAYBE" not in got
    assert lines[-1] == "x env"


def test_a_missing_configmap_is_told_and_waited_for(pods, cluster):
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "a"}}}]
    pods.make("waits", shell("main", SLEEPER, env=env))
    assert cluster.wait("the reason", lambda: pods.waiting("waits", "main")["message"]) == 'configmap "late" not found'
    pods.kubectl("create", "configmap", "late", "--from-literal=a=1")
    pods.until_ready("waits")


def test_an_unknown_image_is_told(pods, cluster):
    pods.make("what", {"name": "main", "image": "example.com/nothing:7"})
    cluster.wait("the reason", lambda: pods.waiting("what", "main")["reason"] == "ErrImagePull")
    assert "example.com/nothing:7" in pods.waiting("what", "main")["message"]


def test_configmap_updates_reach_files_at_once(pods, cluster):
    pods.kubectl("create", "configmap", "conf", "--from-literal=a=1", "--from-literal=b=1")
    pods.make("reads", shell("main", SLEEPER, volumeMounts=[{"name": "conf", "mountPath": "/conf"}]),
              volumes=[{"name": "conf", "configMap": {"name": "conf"}}])
    pods.until_ready("reads")
    assert pods.run("reads", "main", "cat", "/conf/a", "/conf/b").stdout == "11"
    pods.kubectl("patch", "configmap", "conf", "-p", '{"data": {"a": "2", "b": null, "c": "3"}}')
    cluster.wait("the new files", lambda: pods.run("reads", "main", "sh", "-c", "cat /conf/*").stdout == "23")
    assert pods.run("reads", "main", "touch", "/conf/x", check=False).returncode != 0


def test_projected_volumes(pods, cluster):
    sources = [{"serviceAccountToken": {"path": "token", "audience": "istio-ca", "expirationSeconds": 7200}},
               {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
               {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "deep/root.pem"}]}}]
    pods.make("proj", shell("main", SLEEPER, volumeMounts=[{"name": "all", "mountPath": "/all"}],
                            securityContext={"runAsUser": 1337, "runAsGroup": 1337}),
              volumes=[{"name": "all", "projected": {"sources": sources}}], labels={"app": "proj", "x": "y"})
    pods.until_ready("proj")
    token = pods.run("proj", "main", "cat", "/all/token").stdout
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["aud"] == ["istio-ca"] and claims["exp"] - claims["iat"] == 7200
    assert claims["kubernetes.io"]["pod"]["name"] == "proj"
    assert pods.run("proj", "main", "stat", "-L", "-c", "%a %u", "/all/token").stdout == "600 1337\n"
    assert pods.run("proj", "main", "cat", "/all/labels").stdout == 'app="proj"\nx="y"'
    assert "BEGIN CERTIFICATE" in pods.run("proj", "main", "cat", "/all/deep/root.pem").stdout
    pods.kubectl("label", "pod", "proj", "x=z", "--overwrite")
    cluster.wait("the new label", lambda: 'x="z"' in pods.run("proj", "main", "cat", "/all/labels").stdout)


def test_a_pod_reaches_the_api_server_with_its_own_token(pods):
    script = ("cd /var/run/secrets/kubernetes.io/serviceaccount; "
              "curl -s --cacert ca.crt -H \"Authorization: Bearer $(cat token)\" "
              "https://kubernetes.default.svc/api/v1/namespaces/$(cat namespace)/pods")
    answer = json.loads("\n".join(pods.once("asks", script)))
    assert answer["code"] == 403
    assert f"system:serviceaccount:{pods.namespace}:default" in answer["message"]


SECURITY = [
    ("default", {}, {},
     {"CapEff": "a80425fb", "CapBnd": "a80425fb", "NoNewPrivs": "0", "uid": "0", "root": "writable"}),
    ("dropped", {}, {"capabilities": {"drop": ["ALL"]}}, {"CapEff": "0", "CapBnd": "0"}),
    ("init", {}, {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}},
     {"CapEff": "3000", "CapBnd": "3000"}),
    ("user", {"runAsUser": 7, "fsGroup": 9, "supplementalGroups": [11]},
     {"runAsGroup": 8, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
     {"CapEff": "0", "NoNewPrivs": "1", "uid": "7", "gid": "8", "groups": "8 9 11", "root": "fixed"}),
    ("sysctl", {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}, {}, {"port": "0"}),
]


@pytest.mark.parametrize("name, whole, own, expected", SECURITY, ids=[row[0] for row in SECURITY])
def test_security(pods, name, whole, own, expected):
    script = ("grep -E '^(Cap|NoNew)' /proc/self/status; "
              "echo uid: $(id -u); echo gid: $(id -g); echo groups: $(id -G); "
              "touch /etc/x 2>/dev/null && echo root: writable || echo root: fixed; "
              "echo port: $(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)")
    lines = pods.once(name, script, securityContext=own, securityContext_of_pod=whole)
    got = dict(line.split(":", 1) for line in lines)
    got = {k: (v.strip().lstrip("0") or "0") if k.startswith("Cap") else v.strip() for k, v in got.items()}
    assert {k: got[k] for k in expected} == expected


def test_a_root_image_is_refused_where_root_is_not_wanted(pods, cluster):
    pods.make("root", shell("main", "true", securityContext={"runAsNonRoot": True}))
    cluster.wait("the refusal", lambda: "runAsNonRoot" in pods.waiting("root", "main")["message"])


def test_services(pods, cluster):
    for number in range(2):
        pods.make(f"web{number}", web(readinessProbe={"tcpSocket": {"port": 8080}}), labels={"app": "web"})
    pods.apply(service("web", [{"name": "http", "port": 80, "targetPort": "http"}], type="LoadBalancer"))
    pods.apply(service("empty", [{"port": 80}]))
    pods.make("client", shell("main", SLEEPER))
    for name in ("web0", "web1", "client"):
        pods.until_ready(name)

    def asks(url, pod="client", container="main"):
        options = ["-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}"]
        return pods.run(pod, container, "curl", *options, url, check=False)

    def address():
        told = json.loads(pods.kubectl("get", "service", "web", "-o", "json").stdout)
        return told, (told["status"]["loadBalancer"].get("ingress") or [{}])[0].get("ip")

    cluster.wait("an address", lambda: address()[1])
    told, outside = address()
    ip, node_port = told["spec"]["clusterIP"], told["spec"]["ports"][0]["nodePort"]
    cluster.wait("the Service", lambda: asks(f"http://{ip}/").stdout == "200")
    node = pods.get("client")["status"]["hostIP"]
    for place in (outside, f"{node}:{node_port}", "web", f"web.{pods.namespace}.svc.cluster.local"):
        assert asks(f"http://{place}/").stdout == "200", place
    assert urllib.request.urlopen(f"http://{outside}/", timeout=5).status == 200  # from the host
    # A pod reaches itself through its Service, and each of the two is chosen.
    for _ in range(20):
        assert asks(f"http://{ip}/", "web0", "web").stdout == "200"
    assert all("GET / " in pods.logs(f"web{n}", "web") for n in range(2))
    assert asks("http://empty/").returncode == 7  # told at once, not by a timeout


def question(cluster, name, kind):
    """dig's part: asks the cluster's DNS from its network, answers (code, [(type, bytes)])."""
    labels = b"".join(bytes([len(w)]) + w.encode() for w in name.split(".")) + b"\0"
    packet = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + kind.to_bytes(2, "big") + b"\0\1"
    code = ("import socket, sys; s = socket.socket(type=2); s.settimeout(5);"
            "s.sendto(bytes.fromhex(sys.argv[1]), ('10.96.0.10', 53));"
            "print(s.recv(4096).hex())")
    argv = cluster.inside("python3", "-c", code, packet.hex())
    told = subprocess.run(argv, capture_output=True, text=True, check=True)
    answer = bytes.fromhex(told.stdout)
    offset, found = len(packet), []
    for _ in range(int.from_bytes(answer[6:8], "big")):
        while answer[offset]:
            offset += answer[offset] + 1
        kind = int.from_bytes(answer[offset + 1:offset + 3], "big")
        size = int.from_bytes(answer[offset + 9:offset + 11], "big")
        found.append((kind, answer[offset + 11:offset + 11 + size]))
        offset += 11 + size
    return answer[3] & 15, found


def test_dns(pods, cluster):
    pods.make("host-a", web(), labels={"app": "headless"}, hostname="alpha", subdomain="headless")
    pods.apply(service("headless", [{"name": "http", "port": 8080}], clusterIP="None"))
    pods.apply(service("plain", [{"name": "http", "port": 81}]))
    zone = f"{pods.namespace}.svc.cluster.local"
    pods.apply({**service("away", []), "spec": {"type": "ExternalName", "externalName": f"plain.{zone}"}})
    pods.until_ready("host-a")
    ip = socket.inet_aton(pods.get("host-a")["status"]["podIP"])
    told = json.loads(pods.kubectl("get", "service", "plain", "-o", "json").stdout)
    plain = socket.inet_aton(told["spec"]["clusterIP"])
    cluster.wait("the name", lambda: question(cluster, f"headless.{zone}", 1) == (0, [(1, ip)]))
    assert question(cluster, f"alpha.headless.{zone}", 1) == (0, [(1, ip)])
    assert question(cluster, f"plain.{zone}", 1) == (0, [(1, plain)])
    assert question(cluster, f"PLAIN.{zone}", 1) == (0, [(1, plain)])
    assert question(cluster, f"plain.{zone}", 28) == (0, [])
    assert question(cluster, f"nobody.{zone}", 1) == (3, [])
    assert question(cluster, "example.com", 1) == (3, [])
    (kind, value), = question(cluster, f"_http._tcp.plain.{zone}", 33)[1]
    assert kind == 33 and int.from_bytes(value[4:6], "big") == 81
    assert [kind for kind, _ in question(cluster, f"away.{zone}", 1)[1]] == [5, 1]
    assert pods.run("host-a", "web", "hostname", "-f").stdout == f"alpha.headless.{zone}\n"


def test_exec_and_logs(pods):
    pods.make("talks", shell("main", "echo one; echo two; " + SLEEPER))
    pods.until_ready("talks")
    assert pods.kubectl("logs", "talks", "--tail=1").stdout == "two\n"
    told = pods.kubectl("exec", "talks", "-i", "--", "sh", "-c", "cat; echo bad >&2; exit 7", text="input", check=False)
    assert (told.returncode, told.stdout) == (7, "input") and "bad" in told.stderr
    assert "not found" in pods.run("talks", "main", "no-such-program", check=False).stderr


def test_many_pods_at_once(pods, cluster):
    template = {"metadata": {"labels": {"app": "many"}}, "spec": {
        "terminationGracePeriodSeconds": 1, "containers": [shell("main", SLEEPER)],
        "initContainers": [shell("first", "true")]}}
    spec = {"replicas": 50, "selector": {"matchLabels": {"app": "many"}}, "template": template}
    pods.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"}, "spec": spec})
    pods.kubectl("rollout", "status", "deployment/many", "--timeout=60s", timeout=70)


def test_the_node_program_may_die(pods, cluster):
    """What it made is gone with it; the next one makes the pods again."""
    pods.make("lives", shell("main", SLEEPER))
    pods.until_ready("lives")
    ip = pods.get("lives")["status"]["podIP"]
    argv = Path(f"/proc/{cluster.pid('node')}/cmdline").read_bytes().decode().split("\0")[:-1]
    for number in (signal.SIGKILL, signal.SIGTERM):
        cluster.signal("node", number)
        cluster.wait("its end", lambda: cluster.pid("node") is None)
        cluster.wait("the end of its pods", lambda: ip + " " not in routes(cluster))
        restarts = pods.status("lives", "main")["restartCount"]
        cluster.spawn("node", argv)
        cluster.wait("the pod", lambda: pods.status("lives", "main")["restartCount"] > restarts)
        pods.until_ready("lives")
        ip = pods.get("lives")["status"]["podIP"]
    assert pods.run("lives", "main", "true").returncode == 0
