"""On-demand discovery: a proxy learns a destination when it is first used, by standard delta xDS."""
import socket
import struct
import threading

import pytest
from google.protobuf import any_pb2
from harness import config
from harness.client import Raw, get

NODE = config.node("sidecar~127.0.0.1~app.default~default.svc.cluster.local", MESH_DISCOVERY="on-demand")


def table(name="http_proxy", status=502):
    return {"@type": config.ROUTES, "name": name, "vhds": {"config_source": config.ADS_SOURCE},
            "virtual_hosts": [config.vhost("any", ["*"], {
                "match": {"prefix": "/"},
                "direct_response": {"status": status, "body": {"inline_string": "catch-all"}}})]}


class Mesh:
    """A control plane with one workload's own side; services are added as they are needed."""

    def __init__(self, lab, ads_port=0):
        self.lab = lab
        self.ads = lab.ads(ads_port)
        self.http_port = lab.ports.take()
        self.out_port, self.any_port = lab.ports.take(), lab.ports.take()
        self.ads.own = {"http_proxy", "virtualOutbound"}
        self.ads.put(
            config.listener("http_proxy", self.http_port,
                            config.hcm("http_proxy", rds=config.ADS_SOURCE)),
            table(), config.cluster("BlackHoleCluster"))
        self.hint()

    def hint(self, *known):
        self.ads.put(config.listener(
            "virtualOutbound", self.out_port, config.tcp_proxy("BlackHoleCluster"), direction="OUTBOUND",
            use_original_dst=True, address=config.address(self.out_port, "0.0.0.0"),
            additional_addresses=[{"address": config.address(self.any_port, "0.0.0.0")}],
            metadata={"filter_metadata": {"mesh.discovery": {
                "ranges": ["127.240.0.0/16"], "known": list(known)}}}))

    def service(self, host, port):
        cluster = f"outbound|{port}||{host}"
        self.ads.put(config.cluster(cluster, eds=config.ADS_SOURCE),
                     config.assignment(cluster, port, typed=True))
        self.ads.put_as(f"http_proxy/{host}:9080", {
            "@type": config.VIRTUAL_HOST, **config.vhost(host, [host], config.route("/", cluster))})

    def tcp_service(self, ip, port):
        """Reached at IP:any_port; served on `port`."""
        cluster = f"outbound|{port}||{ip}"
        name = f"{ip}:{self.any_port}"
        self.ads.put(config.cluster(cluster, eds=config.ADS_SOURCE),
                     config.assignment(cluster, port, typed=True),
                     config.listener(name, self.any_port, config.tcp_proxy(cluster), bind_to_port=False,
                                     address=config.address(self.any_port, ip)))

    def proxy(self, **options):
        return self.lab.ads_proxy(self.ads.port, delta=True, node=NODE, **options)

    def get(self, host):
        return get(self.http_port, f"http://{host}:9080/", Host=f"{host}:9080")


@pytest.fixture
def mesh(lab):
    return Mesh(lab)


def lookups(proxy, kind, answer):
    return proxy.stat(f"mesh_discovery_lookups_total.type.{kind}.answer.{answer}")


def test_a_host_is_learned_on_first_use(lab, mesh):
    app, other = lab.http_origin("app"), lab.http_origin("other")
    mesh.service("reviews", app.port)
    mesh.service("ratings", other.port)
    proxy = mesh.proxy()
    assert mesh.ads.names_asked(config.CLUSTER) == ["BlackHoleCluster"]
    assert mesh.ads.names_asked(config.SECRET) == []
    assert mesh.get("reviews").body == b"app"
    assert "outbound|%d||reviews" % app.port in mesh.ads.names_asked(config.CLUSTER)
    assert mesh.ads.names_asked(config.VIRTUAL_HOST) == ["http_proxy/reviews:9080"]
    assert mesh.get("nobody").status == 502
    assert mesh.get("ratings").body == b"other"
    assert lookups(proxy, "VirtualHost", "found") == 2 and lookups(proxy, "VirtualHost", "unknown") == 1
    assert mesh.ads.refusals == []


def test_an_address_is_learned_on_first_use(lab, mesh):
    echo = lab.tcp_origin()
    mesh.tcp_service("127.240.0.1", echo.port)
    mesh.proxy()
    with Raw(mesh.any_port, host="127.240.0.1") as c:
        c.send(b"hello")
        assert c.exactly(5) == b"hello"
    with Raw(mesh.any_port, host="127.9.0.1") as c:  # unknown: the default chain, a black hole
        assert c.all() == b""
    assert f"127.9.0.1:{mesh.any_port}" in mesh.ads.names_asked(config.LISTENER)


def test_known_destinations_outlive_the_control_plane(lab, mesh):
    app, echo = lab.http_origin("app"), lab.tcp_origin()
    mesh.service("reviews", app.port)
    mesh.tcp_service("127.240.0.1", echo.port)
    proxy = mesh.proxy()
    assert mesh.get("reviews").body == b"app"
    with Raw(mesh.any_port, host="127.240.0.1") as c:
        c.send(b"x")
        assert c.exactly(1) == b"x"
    mesh.ads.close()
    proxy.wait_for(lambda: proxy.stat("control_plane.connected_state") == 0, "the stream to end")
    assert mesh.get("reviews").body == b"app"
    with Raw(mesh.any_port, host="127.240.0.1") as c:
        c.send(b"x")
        assert c.exactly(1) == b"x"
    assert mesh.get("ratings").status == 502
    with Raw(mesh.any_port, host="127.240.0.2") as c:
        assert c.all() == b""
    assert sum(v for n, v in proxy.stats().items() if n.endswith("downstream_cx_unknown_mesh")) == 1
    assert "MESH4050" in proxy.text()


def test_what_was_used_is_subscribed_to_before_ready(lab, mesh, tmp_path):
    app = lab.http_origin("app")
    mesh.service("reviews", app.port)
    mesh.service("ratings", app.port)
    first = mesh.proxy(args=("--state-dir", tmp_path))
    assert mesh.get("reviews").body == b"app"
    assert first.stop() == 0
    kept = tmp_path / "destinations"
    assert kept.read_text() == "VirtualHost|http_proxy/reviews:9080\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    mesh.hint("VirtualHost|http_proxy/ratings:9080")
    mesh.proxy(args=("--state-dir", tmp_path))
    mesh.ads.silent = True
    assert mesh.get("reviews").body == b"app"
    assert mesh.get("ratings").body == b"app"


def test_a_port_scan_asks_little(lab, mesh):
    proxy = mesh.proxy()
    for i in range(300):
        with socket.socket() as s:
            s.settimeout(5)
            s.connect((f"127.10.{i // 250}.{i % 250}", mesh.any_port))
    proxy.wait_for(lambda: lookups(proxy, "Listener", "limited") > 0, "the limit")
    asked = [n for n in mesh.ads.names_asked(config.LISTENER) if n.startswith("127.10.")]
    assert len(asked) <= 150


def test_on_demand_needs_delta(lab):
    boot = config.bootstrap(lab.ports.take(), [], [config.cluster("xds", 1, http2=True)],
                            NODE, config.ads_dynamic("xds", delta=False))
    p = lab.boot(boot, wait=False)
    assert p.wait(5) == 2
    assert "MESH_DISCOVERY" in p.text()


# ---- DNS

NAME_TABLE = config.TYPE + "istio.networking.nds.v1.NameTable"


def field(number, value):
    return bytes([number << 3 | 2, len(value)]) + value


def name_table(name, *ips):
    row = b"".join(field(1, ip.encode()) for ip in ips)
    table = field(1, field(1, name.encode()) + field(2, row))
    return NAME_TABLE, name, any_pb2.Any(type_url=NAME_TABLE, value=table)


def question(name, kind=1):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01" + bytes(6) + labels + b"\0" + struct.pack(">HH", kind, 1)


def answer_to(query, *ips):
    body = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x07\x00\x04"
    return (query[:2] + b"\x81\x80\x00\x01" + struct.pack(">H", len(ips)) + bytes(4) + query[12:] +
            b"".join(body + socket.inet_aton(ip) for ip in ips))


def addresses(answer):
    """IPv4 addresses of an answer whose records have compressed names."""
    count, at, found = struct.unpack(">H", answer[6:8])[0], answer.index(b"\0", 12) + 5, []
    for _ in range(count):
        found.append(socket.inet_ntoa(answer[at + 12:at + 16]))
        at += 16
    return found


class Dns:
    """A resolver that knows one name more than the mesh."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                query, peer = self.sock.recvfrom(4096)
                self.asked += 1
                self.sock.sendto(answer_to(query, "192.0.2.53"), peer)
        except OSError:
            pass

    def close(self):
        self.sock.close()


def resolve(port, name, kind=1):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(question(name, kind), ("127.0.0.1", port))
        return s.recv(4096)


def test_dns_knows_the_mesh_and_passes_on_the_rest(lab, mesh):
    upstream = Dns()
    lab.at_end(upstream.close)
    port = lab.ports.take()
    mesh.ads.put(name_table("reviews.default.svc.cluster.local", "240.240.0.5", "240.240.0.6"))
    proxy = mesh.proxy(args=("--dns-address", f"127.0.0.1:{port}", "--dns-upstream",
                             f"127.0.0.1:{upstream.port}"))
    assert sorted(addresses(resolve(port, "reviews"))) == ["240.240.0.5", "240.240.0.6"]
    assert addresses(resolve(port, "www.example.com")) == ["192.0.2.53"]
    assert upstream.asked == 1
    assert mesh.ads.names_asked(NAME_TABLE)[:2] == ["reviews.default.svc.cluster.local", "www.example.com"]
    with Raw(port) as c:
        query = question("Reviews.default.svc.cluster.local")
        c.send(struct.pack(">H", len(query)) + query)
        answer = c.exactly(struct.unpack(">H", c.exactly(2))[0])
        assert len(addresses(answer)) == 2 and b"\x07Reviews" in answer
    mesh.ads.close()
    proxy.wait_for(lambda: proxy.stat("control_plane.connected_state") == 0, "the stream to end")
    assert len(addresses(resolve(port, "reviews.default.svc.cluster.local"))) == 2
    assert addresses(resolve(port, "other.example.com")) == ["192.0.2.53"]
    assert proxy.stat("mesh_dns_queries_total.answer.mesh") == 3
