"""HBONE by hand: configuration of both sides in Istio's form, and a client that speaks it with h2 over ssl."""
import socket

import h2.config
import h2.connection
import h2.events

from harness import config
from harness.client import TIMEOUT_S, tls_connect

_STATE = config.TYPE + "envoy.extensions.filters.http.set_filter_state.v3.Config"
_INTERNAL = config.TYPE + "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"
_RAW = config.TYPE + "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
_ORIGINAL = config.TYPE + "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"
_HTTP_INSPECTOR = config.TYPE + "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
_PROTOCOL = config.TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _state(key, value):
    return {"object_key": key, "factory_key": "envoy.string" if key.startswith("io.istio") else key,
            "format_string": {"text_format_source": {"inline_string": value}},
            "shared_with_upstream": "ONCE"}


def terminate(port, identity, accept=None, log=None, **more):
    """Istio's connect_terminate: CONNECT over mutual TLS to the internal listener."""
    state = {"name": "connect_authority", "typed_config": {"@type": _STATE, "on_request_headers": [
        _state("envoy.filters.listener.original_dst.local_ip", "%REQ(:AUTHORITY)%"),
        _state("io.istio.peer_principal", "%DOWNSTREAM_PEER_URI_SAN%")]}}
    to = config.route({"connect_matcher": {}}, "main_internal",
                      upgrade_configs=[{"upgrade_type": "CONNECT", "connect_config": {}}])
    table = {"name": "connect_terminate", "virtual_hosts": [config.vhost("default", ["*"], to)]}
    http = config.hcm(table, [state], log, stat_prefix="connect_terminate",
                      http2_protocol_options={"allow_connect": True},
                      upgrade_configs=[{"upgrade_type": "CONNECT"}], **more)
    return config.listener("connect_terminate", port, http,
                           tls=config.tls_downstream(identity, sans=accept, alpn=("h2",)))


def internal_listener(name, *chains, inspect=True, **more):
    filters = [{"name": "envoy.filters.listener.original_dst", "typed_config": {"@type": _ORIGINAL}}]
    if inspect:
        filters.append({"name": "envoy.filters.listener.http_inspector", "typed_config": {"@type": _HTTP_INSPECTOR}})
    return {"@type": config.LISTENER, "name": name, "internal_listener": {}, "listener_filters": filters,
            "filter_chains": list(chains), **more}


def internal_cluster(name, listener_name):
    return {"@type": config.CLUSTER, "name": name, "type": "STATIC", "connect_timeout": "2s",
            "transport_socket": _internal_socket(),
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {
                "address": {"envoy_internal_address": {"server_listener_name": listener_name}}}}]}]}}


def _internal_socket():
    return {"name": "envoy.transport_sockets.internal_upstream", "typed_config": {
        "@type": _INTERNAL,
        "passthrough_metadata": [{"kind": {"host": {}}, "name": "envoy.filters.listener.original_dst"}],
        "transport_socket": {"name": "envoy.transport_sockets.raw_buffer", "typed_config": {"@type": _RAW}}}}


def original_dst(name, **more):
    return {"@type": config.CLUSTER, "name": name, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "2s", **more}


def accepting(port, identity, app_port=None, http_filters=(), tcp_filters=(), accept=None, logs=(None, None), **more):
    """(listeners, clusters) of a server: HTTP to `app_port`, anything else as opaque bytes to where it was meant for."""
    chains = []
    if app_port is not None:
        http = config.hcm(config.routes_to("app", timeout="0s"), http_filters, logs[1], stat_prefix="inbound",
                          forward_client_cert_details="APPEND_FORWARD",
                          set_current_client_cert_details={"uri": True})
        chains.append({"name": "http", "filter_chain_match": {"destination_port": app_port}, "filters": [http]})
    chains.append({"name": "rest", "filters": [*tcp_filters, config.tcp_proxy("orig")]})
    listeners = [terminate(port, identity, accept, logs[0], **more),
                 internal_listener("main_internal", *chains, traffic_direction="INBOUND")]
    clusters = [internal_cluster("main_internal", "main_internal"), original_dst("orig")]
    if app_port is not None:
        clusters.append(config.cluster("app", app_port))
    return listeners, clusters


def originate(hbone_port, identity, sans=None, **more):
    """Istio's connect_originate: listener and cluster of the client side's tunnels."""
    tcp = config.tcp_proxy("connect_originate", tunneling_config={"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"})
    protocol = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": _PROTOCOL, "explicit_http_config": {"http2_protocol_options": {"allow_connect": True}}}}
    return (internal_listener("connect_originate", {"filters": [tcp]}, inspect=False),
            original_dst("connect_originate", original_dst_lb_config={"upstream_port_override": hbone_port},
                         typed_extension_protocol_options=protocol,
                         transport_socket=config.tls_upstream(identity, sans=sans, alpn=("h2",)), **more))


def tunnelled(name, *ports, identity=None, host="127.0.0.1", **more):
    """A cluster whose endpoints are reached by tunnels; `identity`: who must be there."""
    def endpoint(port):
        metadata = {"envoy.transport_socket_match": {"tunnel": "http"},
                    "envoy.filters.listener.original_dst": {"local": f"{host}:{port}"}}
        if identity:
            metadata["mesh.tunnel"] = {"identity": identity}
        return {"endpoint": {"address": {"envoy_internal_address": {
            "server_listener_name": "connect_originate", "endpoint_id": f"{host}:{port}"}}},
            "metadata": {"filter_metadata": metadata}}
    match = [{"name": "hbone", "match": {"tunnel": "http"}, "transport_socket": _internal_socket()}]
    return {"@type": config.CLUSTER, "name": name, "type": "STATIC", "connect_timeout": "2s",
            "transport_socket_matches": match,
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
                endpoint(p) for p in ports]}]}, **more}


class Client:
    """A ztunnel in small: tunnels over one connection."""

    def __init__(self, port, identity):
        self.sock = tls_connect(port, identity, alpn=("h2",))
        self.sock.settimeout(TIMEOUT_S)
        assert self.sock.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.status, self.data, self.ended, self.reset = {}, {}, set(), {}
        self.goaway = self.closed = False
        self._flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def connect(self, authority, **headers):
        """A stream; its status comes by `answer`."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", "CONNECT"), (":authority", authority), *headers.items()])
        self.data[stream] = b""
        self._flush()
        return stream

    def answer(self, stream):
        self._until(lambda: stream in self.status or stream in self.reset)
        return self.status.get(stream)

    def open(self, authority):
        stream = self.connect(authority)
        assert self.answer(stream) == "200"
        return stream

    def send(self, stream, data, end=False):
        sent = 0
        while sent < len(data) or (end and sent == len(data)):
            self._until(lambda: self.h2.local_flow_control_window(stream) > 0 or sent == len(data))
            n = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data) - sent)
            last = sent + n == len(data)
            self.h2.send_data(stream, data[sent:sent + n], end_stream=end and last)
            self._flush()
            sent += n
            if last:
                return

    def until(self, stream, marker):
        self._until(lambda: marker in self.data[stream] or stream in self.reset)
        return self.data[stream]

    def all(self, stream):
        self._until(lambda: stream in self.ended or stream in self.reset)
        return self.data[stream]

    def wait_closed(self):
        self._until(lambda: self.closed)

    def _until(self, done):
        while not done() and not self.closed:
            try:
                got = self.sock.recv(65536)
            except (ConnectionError, socket.timeout) as e:
                assert not isinstance(e, socket.timeout), "nothing came"
                got = b""
            if not got:
                self.closed = True
                return
            for e in self.h2.receive_data(got):
                self._take(e)
            self._flush()

    def _take(self, e):
        if isinstance(e, h2.events.ResponseReceived):
            self.status[e.stream_id] = dict(e.headers)[":status"]
        elif isinstance(e, h2.events.DataReceived):
            self.data[e.stream_id] += e.data
            self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.StreamEnded):
            self.ended.add(e.stream_id)
        elif isinstance(e, h2.events.StreamReset):
            self.reset[e.stream_id] = e.error_code
        elif isinstance(e, h2.events.ConnectionTerminated):
            self.goaway = True
