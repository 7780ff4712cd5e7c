"""The least that everything else rests on: a Deployment of our own program, its Service, and a pod's account."""
import json
import urllib.request

import pytest

SAMPLE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
      - name: echo
        image: mesh:test
        args: [sample, --listen, "0.0.0.0:8080", --name, $(NAME)]
        env:
        - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  type: LoadBalancer
  selector: {app: echo}
  ports: [{name: http, port: 80, targetPort: 8080}]
"""


def ask(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


@pytest.fixture
def echo(cluster, namespace):
    cluster.apply(SAMPLE, "-n", namespace)
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/echo", "--timeout=60s", timeout=70)
    return namespace


def pod_names(cluster, namespace):
    return {p["metadata"]["name"] for p in cluster.get("-n", namespace, "pods")["items"]}


def test_deployment_and_service(cluster, echo):
    """Ready pods answer at the Service's LoadBalancer address, in turn; a deleted one is replaced."""
    def address():
        ingress = cluster.get("-n", echo, "service", "echo")["status"]["loadBalancer"].get("ingress")
        return ingress and ingress[0]["ip"]
    ip = cluster.wait("an address of the load balancer", address)
    pods = pod_names(cluster, echo)
    assert len(pods) == 2
    seen = set()
    cluster.wait("an answer of both pods", lambda: seen.update(n for n in pods if n in ask(f"http://{ip}/")) or seen == pods)
    victim = sorted(pods)[0]
    cluster.kubectl("-n", echo, "delete", "pod", victim)
    cluster.kubectl("-n", echo, "rollout", "status", "deployment/echo", "--timeout=60s", timeout=70)
    assert len(pod_names(cluster, echo) - pods) == 1
    assert victim not in "".join(ask(f"http://{ip}/") for _ in range(20))


def test_names_and_service_address_from_a_pod(cluster, echo):
    cluster.kubectl("-n", echo, "run", "client", "--image=curlimages/curl", "--restart=Never", "--", "-sS", "-m", "5",
                    "http://echo/", f"http://echo.{echo}.svc.cluster.local/")
    cluster.kubectl("-n", echo, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/client", "--timeout=30s")
    told = cluster.kubectl("-n", echo, "logs", "client").stdout
    assert len([n for n in pod_names(cluster, echo) if n in told]) >= 1


ASKER = """
apiVersion: v1
kind: Pod
metadata: {name: asker}
spec:
  restartPolicy: Never
  containers:
  - name: asker
    image: busybox
    command: [sh, -c]
    args:
    - >-
      d=/var/run/secrets/kubernetes.io/serviceaccount;
      curl -sS -m 5 --cacert $d/ca.crt -H "authorization: Bearer $(cat $d/token)"
      -d '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}' -H 'content-type: application/json'
      https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/apis/authentication.k8s.io/v1/selfsubjectreviews
"""


def test_account_of_a_pod(cluster, namespace):
    """Its token is good at the API server, which it reaches at the Service address, and says which pod it is."""
    cluster.apply(ASKER, "-n", namespace)
    cluster.kubectl("-n", namespace, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/asker", "--timeout=30s")
    user = json.loads(cluster.kubectl("-n", namespace, "logs", "asker").stdout)["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{namespace}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["asker"]
