"""Two sidecars with mutual TLS between them: who may talk to whom, and what each side knows."""
import ssl

import pytest
from harness import config
from harness.client import Http, Raw, get, presented, refused, request, tls_connect
from harness.config import policy, principal, rbac_http, rbac_network
from harness.pki import TrustDomain


@pytest.fixture
def app(lab):
    return lab.http_origin()


def test_requests_pass_and_the_wire_is_tls(lab, app):
    pair = lab.pair(app.port)
    with Http(pair.port) as c:
        assert c.get("/").body == b"app"
        assert c.request("POST", "/echo", b"x" * 100000).json()["body_bytes"] == 100000
    with Raw(pair.inner_port) as plain:
        plain.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"HTTP/1.1 200" not in plain.all()


def test_large_bodies_both_ways(lab, app):
    pair = lab.pair(app.port)
    body = bytes(range(256)) * (20 << 12)
    assert request(pair.port, "POST", "/mirror", body).body == body


def test_connections_between_sidecars_are_reused(lab, app):
    pair = lab.pair(app.port)
    for _ in range(30):
        assert get(pair.port, "/").status == 200
    assert pair.outer.wait_stat("cluster.server.upstream_cx_total", 1) == 1
    assert app.connections == 1


def test_server_with_another_identity_is_refused(lab, app):
    """Secure naming: a valid certificate of another service on this service's address."""
    pair = lab.pair(app.port, server=lab.trust.issue("other"), expect=[lab.trust.spiffe("server")])
    assert get(pair.port, "/").status == 503
    assert app.seen == []
    assert pair.outer.wait_stat("cluster.server.ssl.fail_verify_san", 1) == 1


def test_server_of_another_trust_domain_is_refused(lab, app):
    foreign = TrustDomain(lab.folder / "foreign", "other.domain")
    server = foreign.issue("server")
    server.root = lab.trust.root  # it trusts our clients; we do not trust it
    pair = lab.pair(app.port, server=server, expect=[server.uri])
    assert get(pair.port, "/").status == 503
    assert app.seen == []


def test_same_name_from_another_root_is_refused(lab, app):
    """The name alone proves nothing."""
    forger = TrustDomain(lab.folder / "forger", lab.trust.name)
    server = forger.issue("server")
    server.root = lab.trust.root
    pair = lab.pair(app.port, server=server, expect=[lab.trust.spiffe("server")])
    assert get(pair.port, "/").status == 503
    assert app.seen == []


@pytest.mark.parametrize("wrong", ["expired", "not-yet", "no-identity", "foreign", "none"])
def test_client_without_a_good_certificate_is_refused(lab, app, wrong):
    pair = lab.pair(app.port)
    identity = {
        "expired": lambda: lab.trust.issue("client", valid_from_s=-7200, valid_for_s=3600),
        "not-yet": lambda: lab.trust.issue("client", valid_from_s=3600),
        "no-identity": lambda: lab.trust.issue("client", uri="", dns=["client.example"]),
        "foreign": lambda: TrustDomain(lab.folder / "foreign", "other.domain").issue("client"),
        "none": lambda: None,
    }[wrong]()
    if wrong == "no-identity":
        # Without a SPIFFE ID only a policy on identities refuses it.
        pair = lab.pair(app.port, accept=[lab.trust.spiffe("client")])
    assert not refused(pair.inner_port, pair.client)
    assert refused(pair.inner_port, identity)
    assert len(app.seen) == 1


def test_expired_server_is_refused(lab, app):
    server = lab.trust.issue("server", valid_from_s=-7200, valid_for_s=3600)
    pair = lab.pair(app.port, server=server)
    assert get(pair.port, "/").status == 503
    assert app.seen == []


def test_tls_1_2_is_refused_where_1_3_is_asked_for(lab, app):
    pair = lab.pair(app.port)
    assert refused(pair.inner_port, pair.client, version=ssl.TLSVersion.TLSv1_2)
    assert not refused(pair.inner_port, pair.client, version=ssl.TLSVersion.TLSv1_3)


@pytest.mark.parametrize("both", [True, False], ids=["both", "client-only"])
def test_tls_1_2_works_where_it_is_allowed(lab, app, both):
    only_1_2 = {"params": {"tls_minimum_protocol_version": "TLSv1_2",
                           "tls_maximum_protocol_version": "TLSv1_2"}}
    pair = lab.pair(app.port, outer_tls=only_1_2, inner_tls=only_1_2 if both else None)
    assert get(pair.port, "/").status == (200 if both else 503)


def test_rbac_denies_by_identity(lab, app):
    pair = lab.pair(app.port, inner_filters=[rbac_http({
        "only-admin": policy(principal(lab.trust.spiffe("admin")))})])
    a = get(pair.port, "/")
    assert a.status == 403 and a.body == b"RBAC: access denied"
    assert app.seen == []
    assert pair.inner.wait_stat("http.inbound.rbac.denied", 1) == 1


def test_rbac_allows_by_identity_path_and_method(lab, app):
    pair = lab.pair(app.port, inner_filters=[rbac_http({"readers": policy(
        principal(lab.trust.spiffe("client")),
        [{"and_rules": {"rules": [
            {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
            {"url_path": {"path": {"prefix": "/public"}}}]}}])})])
    with Http(pair.port) as c:
        assert c.get("/public/x").status == 200
        assert c.get("/public/x?q=/").status == 200
        assert c.get("/private").status == 403
        assert c.request("POST", "/public/x", b"b").status == 403
        assert c.get("/public").status == 200
    assert len(app.seen) == 3


def test_rbac_deny_comes_before_allow(lab, app):
    pair = lab.pair(app.port, inner_filters=[
        rbac_http({"no-admin-path": policy(None, [{"url_path": {"path": {"prefix": "/admin"}}}])}, "DENY"),
        rbac_http({"all-of-us": policy(principal(lab.trust.spiffe("client")))})])
    with Http(pair.port) as c:
        assert c.get("/x").status == 200
        assert c.get("/admin/x").status == 403


def test_two_identities_two_answers(lab, app):
    pair = lab.pair(app.port, inner_filters=[rbac_http({
        "client": policy(principal(lab.trust.spiffe("client")))})])
    assert get(pair.port, "/").status == 200
    other = lab.trust.issue("other")
    with tls_connect(pair.inner_port, other) as s:
        s.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert b" 403 " in s.recv(4096).split(b"\r\n")[0]


def test_tcp_through_the_pair_with_half_close(lab):
    app = lab.tcp_origin("after-eof")
    pair = lab.pair(app.port, tcp=True)
    with Raw(pair.port) as c:
        c.send(b"x" * 1000000)
        c.end()
        assert c.all() == b"got 1000000"


def test_tcp_rbac_closes_without_a_byte(lab):
    app = lab.tcp_origin()
    pair = lab.pair(app.port, tcp=True, inner_filters=[rbac_network({
        "only-admin": policy(principal(lab.trust.spiffe("admin")))})])
    with Raw(pair.port) as c:
        try:
            c.send(b"secret")
        except ConnectionError:
            pass
        assert c.all() == b""
    assert app.received == 0
    assert pair.inner.wait_stat("tcp.rbac.denied", 1) == 1


def test_peer_certificate_details_reach_the_service(lab, app):
    """x-forwarded-client-cert, and what the client wrote there itself is not believed."""
    pair = lab.pair(app.port, inner_hcm={
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"subject": True, "uri": True}})
    assert get(pair.port, "/", x_forwarded_client_cert="URI=spiffe://forged").status == 200
    xfcc = app.last().get("x-forwarded-client-cert")
    assert f"URI={pair.client.uri}" in xfcc and f"By={pair.server.uri}" in xfcc and "Hash=" in xfcc
    assert "forged" not in xfcc


def test_certificates_replaced_on_file_are_used(lab, app):
    """SDS from a file: the next handshake presents the new certificate."""
    own, trust = lab.folder / "own.yaml", lab.folder / "trust.yaml"

    def write(version, identity):
        config.write_yaml(own, config.discovery_response(version, [config.secret_pair("own", identity)]))
    config.write_yaml(trust, config.discovery_response(1, [config.secret_trust("trust", lab.trust.root_pem)]))
    first, second = lab.trust.issue("server"), lab.trust.issue("server")
    write(1, first)
    sds = {"name": "own", "sds": config.file_source(own), "trust_name": "trust",
           "trust_sds": config.file_source(trust)}
    port = lab.ports.take()
    inner = lab.proxy([config.listener("in", port, config.hcm(config.routes_to("app")),
                                       tls=config.tls_downstream(sds), direction="INBOUND")],
                      [config.cluster("app", app.port)])
    client = lab.trust.issue("client")
    assert presented(port, client) == first.chain_pem.strip()
    with tls_connect(port, client) as kept:
        write(2, second)
        inner.wait_for(lambda: presented(port, client) == second.chain_pem.strip(), "the new certificate")
        # Connections that were there are not cut.
        kept.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
