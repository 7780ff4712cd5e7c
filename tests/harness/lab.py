"""One test's world: ports, certificates, services, proxies; all gone when it closes."""

from . import config
from .origin import Background, GrpcOrigin, HttpOrigin, TcpOrigin
from .pki import TrustDomain
from .proc import Ports
from .proxy import Proxy, subject


class Pair:
    """client -> outer (outbound sidecar) -> mutual TLS -> inner (inbound sidecar) -> app."""

    def __init__(self, outer, inner, port, inner_port, client, server):
        self.outer = outer
        self.inner = inner
        self.port = port
        self.inner_port = inner_port
        self.client = client
        self.server = server


class Lab:
    def __init__(self, folder):
        self.folder = folder
        self.ports = Ports()
        self.kind, self.binary = subject()
        self._trust = None
        self._background = None
        self._ends = []
        self._count = 0

    def close(self):
        failed = []
        for end in reversed(self._ends):
            try:
                end()
            except AssertionError as error:
                failed.append(str(error))
        self._ends.clear()
        if self._background:
            self._background.close()
        self.ports.close()
        assert not failed, "\n".join(failed)

    def at_end(self, call):
        self._ends.append(call)

    @property
    def trust(self):
        if self._trust is None:
            self._trust = TrustDomain(self.folder / "pki")
        return self._trust

    @property
    def background(self):
        if self._background is None:
            self._background = Background()
        return self._background

    def _add(self, service):
        self.at_end(service.close)
        return service

    def http_origin(self, name="app"):
        return self._add(HttpOrigin(self.background, name))

    def tcp_origin(self, mode="echo"):
        return self._add(TcpOrigin(self.background, mode))

    def grpc_origin(self):
        return self._add(GrpcOrigin())

    def ads(self, port=0):
        from .ads import AdsServer
        return self._add(AdsServer(port))

    def ads_proxy(self, ads_port, delta=False, name=None, node=None, **options):
        """A proxy that knows nothing but where its configuration comes from."""
        xds = config.cluster("xds", ads_port, http2=True)
        boot = config.bootstrap(self.ports.take(), [], [xds], node, config.ads_dynamic("xds", delta))
        return self.boot(boot, name, **options)

    def dead_port(self):
        """A port where nobody listens while the lab lives."""
        return self.ports.take()

    def boot(self, boot, name=None, wait=True, **options):
        self._count += 1
        admin_port = boot["admin"]["address"]["socket_address"]["port_value"]
        p = Proxy(self.folder, name or f"proxy{self._count}", boot, admin_port, self.kind, self.binary,
                  **options)
        self.at_end(p.stop)
        return p.wait_ready() if wait else p

    def proxy(self, listeners, clusters, name=None, node=None, **options):
        """A proxy with static resources, ready."""
        boot = config.bootstrap(self.ports.take(), listeners, clusters, node)
        return self.boot(boot, name, **options)

    def http_front(self, *app_ports, routes=None, clusters=None, log=None, hcm=None, filters=(), **options):
        """A plain HTTP proxy before these ports: (proxy, port)."""
        port = self.ports.take()
        clusters = clusters or [config.cluster("app", *app_ports)]
        front = config.hcm(routes or config.routes_to("app"), filters, log, **(hcm or {}))
        return self.proxy([config.listener("front", port, front)], clusters, **options), port

    def tcp_front(self, app_port, filters=(), log=None, **options):
        port = self.ports.take()
        front = config.listener("front", port, *filters, config.tcp_proxy("app", log))
        return self.proxy([front], [config.cluster("app", app_port)], **options), port

    def pair(self, app_port, tcp=False, client=None, server=None, expect=None, accept=None, app_http2=False,
             inner_filters=(), outer_routes=None, logs=(None, None), outer_tls=None, inner_tls=None, outer_hcm=None,
             inner_hcm=None, nodes=(None, None), outer_options=None, inner_options=None, app_more=None,
             server_http2=False, server_more=None):
        """`expect`: SPIFFE IDs the client side takes for the server (secure naming); `accept`: those the
        server side lets in at the handshake (None = any of the trust domain)."""
        client = client or self.trust.issue("client")
        server = server or self.trust.issue("server")
        port, inner_port = self.ports.take(), self.ports.take()
        app = config.cluster("app", app_port, http2=app_http2, **(app_more or {}))
        upstream = config.cluster("server", inner_port, tls=config.tls_upstream(
            client, sans=expect if expect is not None else [server.uri],
            sni="outbound_.80_._.server.default.svc.cluster.local",
            **(outer_tls or {})), http2=server_http2, **(server_more or {}))
        if tcp:
            inner_chain = [*inner_filters, config.tcp_proxy("app", logs[1])]
            outer_chain = [config.tcp_proxy("server", logs[0])]
        else:
            inner_chain = [config.hcm(config.routes_to("app", timeout="0s"), inner_filters, logs[1],
                                      stat_prefix="inbound", **(inner_hcm or {}))]
            outer_chain = [config.hcm(outer_routes or config.routes_to("server", timeout="0s"), (), logs[0],
                                      stat_prefix="outbound", **(outer_hcm or {}))]
        inner = self.proxy([config.listener(
            "virtualInbound", inner_port, *inner_chain, direction="INBOUND",
            tls=config.tls_downstream(server, sans=accept, **(inner_tls or {})))], [app], "inner", nodes[1],
            **(inner_options or {}))
        outer = self.proxy([config.listener("outbound", port, *outer_chain, direction="OUTBOUND")],
                           [upstream], "outer", nodes[0], **(outer_options or {}))
        return Pair(outer, inner, port, inner_port, client, server)
