"""`mesh control` as a process with everything it has, proxies that join it, and an xDS client that is not ours."""

import http.client
import importlib
import json
import os
import queue
import socket

import grpc
from google.protobuf import json_format

from . import ads
from .ca import Ca
from .proc import Process

_core = importlib.import_module("envoy.config.core.v3.base_pb2")
_discovery = importlib.import_module("envoy.service.discovery.v3.discovery_pb2")
_ads_grpc = importlib.import_module("envoy.service.discovery.v3.ads_pb2_grpc")


def loopback(number):
    """An address of this machine that no other test process uses meanwhile."""
    return f"127.{70 + os.getpid() % 150}.{os.getpid() // 150 % 250}.{number}"


class Control(Ca):
    """Objects in `folder`/objects and by apply(); API on a unix socket and on TCP. What it keeps outlives the process."""

    def __init__(self, binary, folder, *args, wait=True, xds="127.0.0.1:0"):
        self.folder = folder
        self.binary = binary
        self.data = folder / "control-data"
        self.socket = folder / "control.sock"
        (folder / "objects").mkdir(exist_ok=True)
        Process.__init__(self, [binary, "control", "--config-dir", folder / "objects", "--data-dir", self.data,
                                "--socket", self.socket, "--api-address", "127.0.0.1:0", "--xds-address", xds,
                                "--monitoring-address", "127.0.0.1:0", "--workers", "2", *args], folder / "control.log")
        if wait:
            self.wait_for(lambda: "control ready" in self.text(), "control to be ready")

    def told(self, what):
        """An address that it logged: "xds", "api", "monitoring"."""
        lines = [x for x in self.text().splitlines() if f" {what} address=" in x and "unix:" not in x]
        return lines[-1].split(" address=")[1].split()[0]

    @property
    def port(self):
        return int(self.told("xds").rsplit(":", 1)[1])

    def apply(self, text):
        c = self.connection()
        try:
            c.request("POST", "/api/v1/apply", text)
            r = c.getresponse()
            body = json.loads(r.read())
            assert r.status == 200, body
            return body
        finally:
            c.close()

    def connection(self):
        c = http.client.HTTPConnection("localhost", timeout=20)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.settimeout(20)
        c.sock.connect(str(self.socket))
        return c

    def tcp(self, method, path, body=None, **headers):
        """Status and JSON of a call over TCP; `x_mesh_write` is the header x-mesh-write."""
        host, port = self.told("api").rsplit(":", 1)
        c = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            c.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            r = c.getresponse()
            return r.status, json.loads(r.read())
        finally:
            c.close()

    def metrics(self):
        """{name{labels}: value} of its own page."""
        host, port = self.told("monitoring").rsplit(":", 1)
        c = http.client.HTTPConnection(host, int(port), timeout=20)
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        c.close()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                for line in text.splitlines() if not line.startswith("#")}

    def proxy(self, name, account, address, *args, labels=(), app_address="127.0.0.1"):
        """A native sidecar without interception, connected."""
        label_args = [x for pair in labels for x in ("--labels", pair)]
        p = Process([self.binary, "proxy", "--control", f"127.0.0.1:{self.port}", "--ca-root", self.data / "ca-root.pem",
                     "--name", name, "--service-account", account, "--address", address, "--app-address", app_address,
                     "--interception", "none", "--http-proxy-port", "15007", "--admin", "off", "--concurrency", "1",
                     "--drain-time-s", "0", *label_args, *args],
                    self.folder / f"proxy-{name}.log", env={"MESH_TOKEN": self.token(account)})
        p.address = address
        p.wait_for(lambda: name in [x["name"] for x in self.api("GET", "/api/v1/proxies")["items"]],
                   f"{name} to be connected")
        return p

    def stream(self, identity=None, **node):
        return Xds(self, identity, **node)


class Xds:
    """A delta stream: what it asks, and what it is told. `node` is the metadata; id, address and kind aside."""

    def __init__(self, control, identity, address="10.9.9.9", name="test-v1", namespace="default", account="default",
                 kind="sidecar", plain_port=None, root=None, timeout_s=30, **metadata):
        self._asked = queue.Queue()
        self._sent_node = False
        self.node = _core.Node(id=f"{kind}~{address}~{name}.{namespace}~{namespace}.svc.cluster.local")
        json_format.ParseDict({"NAME": name, "NAMESPACE": namespace, "SERVICE_ACCOUNT": account, "WORKLOAD_NAME": name,
                               "INTERCEPTION_MODE": "NONE", "MESH_DISCOVERY": "on-demand", **metadata},
                              self.node.metadata)
        options = [("grpc.ssl_target_name_override", "istiod.istio-system.svc"), ("grpc.use_local_subchannel_pool", 1)]
        if plain_port:
            self.channel = grpc.insecure_channel(f"127.0.0.1:{plain_port}", options)
        else:
            pair = (identity.key_pem, identity.chain_pem) if identity else (None, None)
            self.channel = grpc.secure_channel(f"127.0.0.1:{control.port}",
                                               grpc.ssl_channel_credentials(root or control.roots, *pair), options)
        self.call = _ads_grpc.AggregatedDiscoveryServiceStub(self.channel).DeltaAggregatedResources(
            iter(self._asked.get, None), timeout=timeout_s)

    def ask(self, type_url, *names, without=()):
        r = _discovery.DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names,
                                             resource_names_unsubscribe=without)
        if not self._sent_node:
            r.node.CopyFrom(self.node)
            self._sent_node = True
        self._asked.put(r)
        return self

    def take(self, why=None):
        """The next answer, which is acknowledged, or refused for a reason."""
        answer = next(self.call)
        r = _discovery.DeltaDiscoveryRequest(type_url=answer.type_url, response_nonce=answer.nonce)
        if why:
            r.error_detail.code = 3
            r.error_detail.message = why
        self._asked.put(r)
        return answer

    def get(self, type_url, *names):
        """{name: unpacked or None} of what is asked for."""
        self.ask(type_url, *names)
        answer = self.take()
        assert answer.type_url == type_url
        found = {r.name: r.resource for r in answer.resources}
        found.update({n: None for n in answer.removed_resources})
        return found

    def refusal(self):
        """The status with which the stream ends."""
        try:
            while True:
                next(self.call)
        except grpc.RpcError as error:
            return error.code(), error.details()
        except StopIteration:
            return None, "ended well"

    def close(self):
        self._asked.put(None)
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


METRICS_METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


def report(control, identity, attributes, count=5):
    """One OTLP report of requests, as the proxy of this identity would send it."""
    m = ads._metrics.ExportMetricsServiceRequest()
    metric = m.resource_metrics.add().instrumentation_library_metrics.add().metrics.add(name="istio_requests_total")
    metric.sum.aggregation_temporality = 1
    metric.sum.is_monotonic = True
    point = metric.sum.data_points.add(as_int=count)
    for key, value in attributes.items():
        point.attributes.add(key=key).value.string_value = value
    pair = (identity.key_pem, identity.chain_pem) if identity else (None, None)
    options = [("grpc.ssl_target_name_override", "istiod.istio-system.svc"), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"127.0.0.1:{control.port}", grpc.ssl_channel_credentials(control.roots, *pair),
                             options) as channel:
        call = channel.unary_unary(METRICS_METHOD, request_serializer=type(m).SerializeToString,
                                   response_deserializer=ads._metrics.ExportMetricsServiceResponse.FromString)
        call(m, timeout=10)

