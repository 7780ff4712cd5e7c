"""An xDS server over ADS for tests: state-of-the-world and delta on one port, plain gRPC. It keeps what the
clients said: which versions they took, which they refused and why."""

import importlib
import queue
import threading
from concurrent import futures

import grpc
from google.protobuf import any_pb2, json_format

from . import config
from .proc import wait_until

# Importing a module makes its messages known to json_format.
for _module in ("config.listener.v3.listener", "config.cluster.v3.cluster", "config.endpoint.v3.endpoint",
                "config.route.v3.route", "extensions.transport_sockets.tls.v3.secret",
                "extensions.transport_sockets.tls.v3.tls",
                "extensions.filters.network.http_connection_manager.v3.http_connection_manager",
                "extensions.filters.http.router.v3.router", "extensions.filters.http.rbac.v3.rbac",
                "extensions.filters.network.rbac.v3.rbac",
                "extensions.filters.network.tcp_proxy.v3.tcp_proxy",
                "extensions.upstreams.http.v3.http_protocol_options",
                "extensions.access_loggers.file.v3.file", "extensions.access_loggers.stream.v3.stream",
                "extensions.filters.http.fault.v3.fault",
                "extensions.filters.listener.tls_inspector.v3.tls_inspector",
                "extensions.filters.listener.http_inspector.v3.http_inspector",
                "extensions.filters.listener.original_dst.v3.original_dst", "config.core.v3.extension"):
    importlib.import_module(f"envoy.{_module}_pb2")
_discovery = importlib.import_module("envoy.service.discovery.v3.discovery_pb2")
_ads = importlib.import_module("envoy.service.discovery.v3.ads_pb2_grpc")
_als = importlib.import_module("envoy.service.accesslog.v3.als_pb2")
_als_grpc = importlib.import_module("envoy.service.accesslog.v3.als_pb2_grpc")
_metrics = importlib.import_module("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")

WILDCARD = (config.LISTENER, config.CLUSTER)


def pack(resource):
    return json_format.ParseDict(resource, any_pb2.Any())


def name_of(resource):
    return resource.get("cluster_name") or resource["name"]


class Refusal:
    def __init__(self, type_url, version, message):
        self.type_url = type_url
        self.version = version
        self.message = message

    def __repr__(self):
        return f"Refusal({self.type_url}, {self.version}, {self.message!r})"


class _Stream:
    """One client on one stream: a queue of what the generator has to look at."""

    def __init__(self, server, delta):
        self.server = server
        self.delta = delta
        self.events = queue.Queue()
        self.asked = {}     # type -> set of names; empty = all (wildcard)
        self.wild = set()   # types of which all is asked, delta
        self.sent = {}      # type -> {name: version}, delta; type -> version, otherwise
        self.nonce = {}     # type -> last nonce
        self.node = None

    def read(self, requests):
        try:
            for r in requests:
                self.events.put(r)
        except grpc.RpcError:
            pass
        self.events.put(None)

    def answers(self):
        while (event := self.events.get()) is not None:
            if event == "push":
                # Clusters before endpoints, listeners before routes: Envoy's order for no gap.
                order = (config.CLUSTER, config.ENDPOINTS, config.LISTENER, config.ROUTES, config.VIRTUAL_HOST,
                         config.SECRET)
                for type_url in [*order, *(t for t in self.asked if t not in order)]:
                    if type_url in self.asked:
                        yield from self._send(type_url)
                continue
            yield from self._on_request(event)

    def _on_request(self, r):
        server, t = self.server, r.type_url
        if r.HasField("node") and r.node.id:
            self.node = r.node
        first = t not in self.asked
        with server.lock:
            server.requests.append(r)
            if r.response_nonce and r.response_nonce == self.nonce.get(t):
                version = server.version_of_nonce[r.response_nonce]
                if r.HasField("error_detail") and r.error_detail.code:
                    server.refusals.append(Refusal(t, version, r.error_detail.message))
                else:
                    server.taken[t] = max(version, server.taken.get(t, 0))
                server.lock.notify_all()
        if self.delta:
            names = self.asked.setdefault(t, set())
            fresh = set(r.resource_names_subscribe)
            if first:
                self.sent[t] = {k: v for k, v in r.initial_resource_versions.items()}
            if "*" in fresh or (first and not fresh and t in WILDCARD):
                fresh.discard("*")
                self.wild.add(t)
            names |= fresh
            names -= set(r.resource_names_unsubscribe)
            for n in (*fresh, *r.resource_names_unsubscribe):
                self.sent[t].pop(n, None)
            if (first or fresh) and not server.silent:
                yield from self._send(t, must_answer=first, fresh=fresh)
            return
        names = set(r.resource_names)
        if first or names != self.asked[t]:
            self.asked[t] = names
            self.sent.pop(t, None)
            yield from self._send(t)

    def _wanted(self, t):
        have = self.server.resources.get(t, {})
        names = self.asked[t]
        own = self.server.own
        if self.delta and own is not None and t in self.wild:
            return {n: r for n, r in have.items() if n in own or n in names}
        if not names and t in WILDCARD:
            return have
        return {n: have[n] for n in names if n in have}

    def _send(self, t, must_answer=False, fresh=()):
        server = self.server
        with server.lock:
            wanted = self._wanted(t)
            version = server.version.get(t, 0)
            if self.delta:
                sent = self.sent.setdefault(t, {})
                changed = {n: r for n, r in wanted.items() if sent.get(n) != r[0]}
                gone = [n for n in sent if n not in wanted]
                gone += [n for n in fresh if n not in wanted and n not in gone]
                if not changed and not gone and not must_answer:
                    return
                for n, (v, _) in changed.items():
                    sent[n] = v
                for n in gone:
                    sent.pop(n, None)
                nonce = server.next_nonce(version)
                self.nonce[t] = nonce
                answer = _discovery.DeltaDiscoveryResponse(
                    type_url=t, nonce=nonce, system_version_info=str(version), removed_resources=gone,
                    resources=[_discovery.Resource(name=n, version=v, resource=a)
                               for n, (v, a) in changed.items()])
            else:
                if self.sent.get(t) == version or (not wanted and t not in WILDCARD):
                    return
                self.sent[t] = version
                nonce = server.next_nonce(version)
                self.nonce[t] = nonce
                answer = _discovery.DiscoveryResponse(
                    type_url=t, nonce=nonce, version_info=str(version),
                    resources=[a for _, a in wanted.values()])
        yield answer


class Reports(_als_grpc.AccessLogServiceServicer):
    """What proxies tell of their own accord: OTLP metrics and access log entries."""

    def __init__(self):
        self.points = []    # (metric name, {attribute: value}, number or histogram point)
        self.entries = []   # HTTPAccessLogEntry
        self.nodes = set()
        self.refuse = None  # a status to end calls with

    def handler(self):
        return grpc.method_handlers_generic_handler(
            "opentelemetry.proto.collector.metrics.v1.MetricsService",
            {"Export": grpc.unary_unary_rpc_method_handler(
                self.export, _metrics.ExportMetricsServiceRequest.FromString,
                _metrics.ExportMetricsServiceResponse.SerializeToString)})

    def export(self, request, context):
        if self.refuse:
            context.abort(self.refuse, "not now")
        for r in request.resource_metrics:
            for s in r.instrumentation_library_metrics:  # scope_metrics, before it had that name
                for m in s.metrics:
                    data = m.sum if m.HasField("sum") else m.histogram
                    assert data.aggregation_temporality == 1
                    for p in data.data_points:
                        self.points.append((m.name, {a.key: a.value.string_value for a in p.attributes}, p))
        return _metrics.ExportMetricsServiceResponse()

    def StreamAccessLogs(self, request_iterator, context):
        for m in request_iterator:
            self.nodes.add(m.identifier.node.id)
            self.entries.extend(m.http_logs.log_entry)
        return _als.StreamAccessLogsResponse()

    def total(self, name, **labels):
        return sum(p.as_int for n, a, p in self.points
                   if n == name and all(a.get(k) == v for k, v in labels.items()))


class AdsServer(_ads.AggregatedDiscoveryServiceServicer):
    def __init__(self, port=0):
        self.lock = threading.Condition()
        self.resources = {}         # type -> {name: (version text, Any)}
        self.version = {}           # type -> number of the last change
        self.requests = []
        self.refusals = []
        self.taken = {}             # type -> highest version acknowledged
        self.version_of_nonce = {}
        self.own = None             # names that "*" gives, where it is not all (on-demand discovery)
        self.silent = False         # says nothing more to delta clients
        self.streams = []
        self._server = grpc.server(futures.ThreadPoolExecutor(32))
        _ads.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        self.reports = Reports()
        _als_grpc.add_AccessLogServiceServicer_to_server(self.reports, self._server)
        self._server.add_generic_rpc_handlers((self.reports.handler(),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    def next_nonce(self, version):
        nonce = f"n{len(self.version_of_nonce)}"
        self.version_of_nonce[nonce] = version
        return nonce

    def put(self, *resources):
        """Adds or replaces these; answers {type: version}."""
        return self._change(resources, [])

    def put_as(self, name, resource):
        """The same for a resource that is not named by what is in it: a virtual host."""
        return self._change([(resource["@type"], name, pack(resource))], [])

    def names_asked(self, type_url):
        """All that was ever subscribed to, delta."""
        with self.lock:
            return [n for r in self.requests if r.type_url == type_url for n in r.resource_names_subscribe]

    def remove(self, type_url, *names):
        return self._change([], [(type_url, n) for n in names])

    def _change(self, resources, gone):
        packed = [r if isinstance(r, tuple) else (r["@type"], name_of(r), pack(r)) for r in resources]
        with self.lock:
            touched = {t for t, _, _ in packed} | {t for t, _ in gone}
            for t in touched:
                self.version[t] = self.version.get(t, 0) + 1
            for t, n, a in packed:
                self.resources.setdefault(t, {})[n] = (str(self.version[t]), a)
            for t, n in gone:
                self.resources.get(t, {}).pop(n, None)
            versions = {t: self.version[t] for t in touched}
            streams = list(self.streams)
        for s in streams:
            s.events.put("push")
        return versions

    def wait_taken(self, versions, deadline_s=20):
        """Until each of these versions was acknowledged."""
        def taken():
            return all(self.taken.get(t, 0) >= v for t, v in versions.items())
        with self.lock:
            assert self.lock.wait_for(taken, deadline_s), (
                f"not within {deadline_s} s: versions {versions} to be acknowledged; taken {self.taken}, "
                f"refused {self.refusals[-3:]}")

    def wait_refusal(self, type_url, version):
        return wait_until(lambda: next((r for r in self.refusals
                                        if r.type_url == type_url and r.version >= version), None),
                          f"{type_url} {version} to be refused")

    def _serve(self, requests, context, delta):
        stream = _Stream(self, delta)
        with self.lock:
            self.streams.append(stream)
        threading.Thread(target=stream.read, args=(requests,), daemon=True).start()
        context.add_callback(lambda: stream.events.put(None))
        try:
            yield from stream.answers()
        finally:
            with self.lock:
                self.streams.remove(stream)

    def StreamAggregatedResources(self, request_iterator, context):
        return self._serve(request_iterator, context, False)

    def DeltaAggregatedResources(self, request_iterator, context):
        return self._serve(request_iterator, context, True)

    def close(self):
        self._server.stop(0).wait(5)
