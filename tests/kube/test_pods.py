"""What becomes of pods of every kind once they have a proxy: they are as they were without one."""
import subprocess

import pytest

from .mesh import pods, rolled_out

ECHO = """
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {selector: {app: echo}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: echo
        image: mesh:test
        args: [sample, --listen, "0.0.0.0:8080", --name, echo]
        ports: [{containerPort: 8080}]
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
"""

CALL = "{name: call, image: curlimages/curl, args: [-sS, -f, --retry, '5', --retry-all-errors, -m, '5', 'http://echo/']}"
QUIT = "curl -sSf --retry 5 --retry-all-errors http://echo/ && curl -sSf -X POST http://localhost:15020/quitquitquit"

JOBS = f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: native}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{CALL}]
---
apiVersion: batch/v1
kind: Job
metadata: {{name: classic}}
spec:
  template:
    metadata: {{annotations: {{sidecar.istio.io/nativeSidecar: "false"}}}}
    spec:
      restartPolicy: Never
      containers: [{{name: call, image: busybox, command: [sh, -c, "{QUIT}"]}}]
---
apiVersion: batch/v1
kind: Job
metadata: {{name: broken}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: call, image: busybox, command: [sh, -c, "exit 3"]}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: monthly}}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{CALL}]
"""

MEMBERS = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 8080}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - name: db
        image: mesh:test
        args: [sample, --listen, "0.0.0.0:8080", --name, $(NAME)]
        env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        ports: [{containerPort: 8080}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      containers:
      - {name: agent, image: "mesh:test", args: [sample, --listen, "0.0.0.0:8080", --name, agent], ports: [{containerPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: host, labels: {app: host}}
spec:
  hostNetwork: true
  containers: [{name: host, image: "mesh:test", args: [sample, --listen, "0.0.0.0:18080", --name, host], ports: [{containerPort: 18080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: host}
spec: {selector: {app: host}, ports: [{name: http, port: 80, targetPort: 18080}]}
"""

# Each probe fails while there is a file of its name.
PROBED = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: probed}
spec:
  selector: {matchLabels: {app: probed}}
  template:
    metadata:
      labels: {app: probed}
      annotations: {prometheus.io/scrape: "true", prometheus.io/port: "8080", prometheus.io/path: /metrics}
    spec:
      volumes: [{name: switch, emptyDir: {}}]
      containers:
      - name: web
        image: python:3
        command: [python3, -c]
        args:
        - |
          import http.server, os
          class Shop(http.server.BaseHTTPRequestHandler):
              def do_GET(self):
                  name = self.path.partition("?")[0].strip("/")
                  good = not os.path.exists("/switch/" + name) and (name != "ready" or self.headers["x-probe"] == "yes")
                  self.send_response(200 if good else 503)
                  self.send_header("content-type", "text/plain")
                  self.end_headers()
                  self.wfile.write(b"# TYPE shop_visits_total counter\\nshop_visits_total 7\\n")
              def log_message(self, *_):
                  pass
          http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Shop).serve_forever()
        ports: [{name: http-web, containerPort: 8080}]
        volumeMounts: [{name: switch, mountPath: /switch}]
        startupProbe: {httpGet: {path: /startup, port: http-web}, periodSeconds: 1, failureThreshold: 30}
        readinessProbe:
          httpGet: {path: "/ready?a=b", port: http-web, httpHeaders: [{name: x-probe, value: "yes"}]}
          periodSeconds: 1
          failureThreshold: 1
        livenessProbe: {tcpSocket: {port: http-web}, periodSeconds: 1, failureThreshold: 2}
      - name: other
        image: busybox
        command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
        volumeMounts: [{name: switch, mountPath: /switch}]
        readinessProbe: {exec: {command: [sh, -c, "test ! -e /switch/exec"]}, periodSeconds: 1, failureThreshold: 1}
        livenessProbe: {tcpSocket: {port: 9}, periodSeconds: 1, failureThreshold: 3600}
"""


@pytest.fixture
def joined(cluster, mesh, namespace):
    cluster.kubectl("label", "namespace", namespace, "istio-injection=enabled")
    return namespace


def finished(cluster, namespace, job):
    """How a job ended: Complete, Failed, or None."""
    status = cluster.get("-n", namespace, "job", job).get("status", {})
    return next((c["type"] for c in status.get("conditions", ()) if c["status"] == "True" and c["type"] in ("Complete", "Failed")), None)


def has_proxy(pod):
    return "mesh-proxy" in [c["name"] for c in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]]


def test_jobs_end(cluster, joined):
    cluster.apply(ECHO, "-n", joined)
    rolled_out(cluster, "echo", namespace=joined)
    cluster.apply(JOBS, "-n", joined)
    cluster.kubectl("-n", joined, "create", "job", "--from=cronjob/monthly", "once")
    for job, how in (("native", "Complete"), ("classic", "Complete"), ("broken", "Failed"), ("once", "Complete")):
        cluster.wait(f"the end of job {job}", lambda: finished(cluster, joined, job), program="node")
        assert finished(cluster, joined, job) == how, job
        (pod,) = pods(cluster, joined, f"job-name={job}")
        assert has_proxy(pod)
        told = cluster.kubectl("-n", joined, "logs", f"job/{job}", "-c", "call").stdout
        assert job == "broken" or f"spiffe://cluster.local/ns/{joined}/sa/default" in told, told  # it was a call of the mesh


def test_members_agents_and_hosts(cluster, joined):
    """Pods of a StatefulSet by name, one pod a node, and a pod in its node's network, which has no proxy."""
    cluster.apply(ECHO + "---" + MEMBERS, "-n", joined)
    rolled_out(cluster, "echo", "statefulset/db", "daemonset/agent", namespace=joined)
    urls = ["http://db-0.db:8080/", f"http://db-1.db.{joined}.svc.cluster.local:8080/", "http://db:8080/", "http://host/"]
    cluster.kubectl("-n", joined, "run", "caller", "--image=curlimages/curl", "--restart=Never", "--", "-sS", "-f", "-m", "5",
                    "--retry", "3", "--retry-all-errors", *urls)
    over = '{"spec": {"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}}'
    cluster.kubectl("-n", joined, "run", "outside", "--image=curlimages/curl", "--restart=Never", f"--overrides={over}", "--",
                    "-sS", "-f", "-m", "5", f"http://echo.{joined}/")
    for name in ("caller", "outside"):
        cluster.kubectl("-n", joined, "wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=30s", timeout=40)
    told = cluster.kubectl("-n", joined, "logs", "caller", "-c", "caller").stdout
    assert [told.count(f'"name": "{name}"') for name in ("db-0", "db-1", "host")] in ([2, 1, 1], [1, 2, 1]), told
    assert told.count("x-forwarded-client-cert") == 3
    assert '"name": "echo"' in cluster.kubectl("-n", joined, "logs", "outside").stdout
    without = [p["metadata"]["name"] for p in pods(cluster, joined) if not has_proxy(p)]
    assert sorted(without) == ["host", "outside"]
    assert len(pods(cluster, joined, "app=agent")) == 2


def test_probes_and_metrics_under_strict(cluster, joined):
    """Of every kind, by named port; one that fails is seen; the proxy's metrics come with the application's."""
    cluster.apply(PROBED, "-n", joined)
    rolled_out(cluster, "probed", namespace=joined)
    (pod,) = pods(cluster, joined)
    name, address = pod["metadata"]["name"], pod["status"]["podIP"]

    def ask(url):
        return subprocess.run(cluster.inside("curl", "-sS", "-m", "5", url), capture_output=True, text=True, check=False, timeout=20)

    def ready():
        statuses = cluster.get("-n", joined, "pod", name)["status"]["containerStatuses"]
        return {s["name"]: s["ready"] for s in statuses}
    assert ask(f"http://{address}:8080/").returncode != 0  # as strict as it says
    for container, switch in (("web", "ready"), ("other", "exec")):
        assert ready() == {"web": True, "other": True}
        cluster.kubectl("-n", joined, "exec", name, "-c", container, "--", "touch", f"/switch/{switch}")
        cluster.wait(f"{container} to be unready", lambda: not ready()[container])
        cluster.kubectl("-n", joined, "exec", name, "-c", container, "--", "rm", f"/switch/{switch}")
        cluster.wait(f"{container} to be ready", lambda: ready()[container])
    restarts = {s["name"]: s["restartCount"] for s in cluster.get("-n", joined, "pod", name)["status"]["containerStatuses"]}
    assert restarts == {"web": 0, "other": 0}
    told = cluster.get("-n", joined, "events", "--field-selector=reason=Unhealthy")["items"]
    assert any("Readiness probe failed: HTTP probe failed with statuscode: 503" in e["message"] for e in told)
    assert any("other: Liveness probe failed" in e["message"] for e in told)  # of a port that nobody has
    merged = ask(f"http://{address}:{pod['metadata']['annotations']['prometheus.io/port']}/stats/prometheus").stdout
    assert "shop_visits_total 7" in merged and "envoy_cluster_upstream_cx_total" in merged, merged[:600]


def test_metrics_of_requests(cluster, shop):
    shop.versions(3)
    (pod,) = pods(cluster, selector="app=productpage")
    url = f"http://{pod['status']['podIP']}:15020/stats/prometheus"
    told = subprocess.run(cluster.inside("curl", "-sS", "-m", "5", url), capture_output=True, text=True, check=True, timeout=20).stdout
    assert 'istio_requests_total{reporter="destination"' in told and 'istio_requests_total{reporter="source"' in told
    assert [line for line in told.splitlines() if line.startswith("# TYPE") and "istio" not in line and "envoy" not in line], "the page's own"


def test_restricted_namespace(cluster, joined):
    """Redirection can not be set up where Pod Security forbids it: the pod is refused, and can do without."""
    cluster.kubectl("label", "namespace", joined, "pod-security.kubernetes.io/enforce=restricted")
    cluster.apply(ECHO, "-n", joined)

    def refusals():
        return [e["message"] for e in cluster.get("-n", joined, "events", "--field-selector=reason=FailedCreate")["items"]]
    cluster.wait("a refusal", refusals)
    assert all("mesh-init" in text and "NET_ADMIN" in text for text in refusals()), refusals()
    patch = '{"spec": {"template": {"metadata": {"annotations": {"sidecar.istio.io/interceptionMode": "NONE"}}}}}'
    cluster.kubectl("-n", joined, "patch", "deployment", "echo", "-p", patch)
    rolled_out(cluster, "echo", namespace=joined)
    assert all(has_proxy(p) for p in pods(cluster, joined, "app=echo"))
