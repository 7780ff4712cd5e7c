"""`mesh ca`: who gets a certificate, for which name and how long; spoken to by grpcio as an Istio agent would."""
import datetime
import os
import subprocess
import time

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from harness.ca import Ca, HostedCa, Request, csr, forged, new_key, uri_of
from harness.pki import TrustDomain
from harness.proc import wait_until

pytestmark = pytest.mark.mesh_only
WEB = "spiffe://cluster.local/ns/default/sa/web"


@pytest.fixture
def start(mesh_bin, tmp_path):
    started = []

    def run(*args, **options):
        ca = Ca(mesh_bin, tmp_path, *args, **options)
        started.append(ca)
        return ca

    yield run
    for ca in started:
        if ca.alive():
            assert ca.stop() in (0, -15), ca.tail()


@pytest.fixture
def ca(start):
    return start()


def refusal(ca, request, status, words, **proof):
    with pytest.raises(grpc.RpcError) as e:
        ca.ask(request, **proof)
    assert e.value.code() == status, e.value.details()
    assert words in e.value.details(), e.value.details()


def leaf(identity):
    return x509.load_pem_x509_certificate(identity.chain_pem)


def life_s(identity):
    """From now on; certificates are dated back by two minutes."""
    return (leaf(identity).not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


# ---- what one gets

def test_join_by_token(ca):
    me = ca.join()
    cert = leaf(me)
    assert uri_of(me.chain_pem) == [WEB]
    assert 86400 - 60 < life_s(me) <= 86400
    root = x509.load_pem_x509_certificate(me.root.read_bytes())
    cert.verify_directly_issued_by(root)
    assert root == x509.load_pem_x509_certificate(ca.roots)
    usage = cert.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign
    assert not cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert cert.subject.rfc4514_string() == ""


def test_name_comes_from_the_proof_when_the_request_says_none(ca):
    assert uri_of(ca.join(uris=[]).chain_pem) == [WEB]


def test_token_of_a_namespace_takes_the_account_from_the_request(ca):
    token = ca.token("*", "shop", uses=2)
    me = ca.join("cart", "shop", token)
    assert me.uri == "spiffe://cluster.local/ns/shop/sa/cart"
    refusal(ca, Request(csr=csr(new_key(), "spiffe://cluster.local/ns/other/sa/cart")),
            grpc.StatusCode.PERMISSION_DENIED, "MESH3004", token=token)
    assert ca.join("till", "shop", token).uri.endswith("/shop/sa/till")


@pytest.mark.parametrize("asked,got", [(600, 600), (0, 86400), (-5, 86400), (10 ** 9, 86400), (2 ** 62, 86400)])
def test_validity_is_capped(ca, asked, got):
    assert got - 60 < life_s(ca.join(validity=asked)) <= got


def test_leaf_ttl_option(start):
    ca = start("--leaf-ttl", "1h")
    assert 3600 - 60 < life_s(ca.join()) <= 3600
    assert 7200 - 60 < life_s(ca.join(validity=7200)) <= 7200


# ---- who does not

def test_no_certificate_without_proof(ca):
    refusal(ca, Request(csr=csr(new_key(), WEB)), grpc.StatusCode.UNAUTHENTICATED, "MESH3003")
    assert ca.ledger() == []


def test_token_works_once(ca):
    token = ca.token()
    ca.join(token=token)
    refusal(ca, Request(csr=csr(new_key(), WEB)), grpc.StatusCode.UNAUTHENTICATED, "used up", token=token)
    assert len(ca.ledger()) == 1


def test_two_at_once_with_one_token_get_one_certificate(ca):
    token = ca.token()
    from concurrent.futures import ThreadPoolExecutor

    def one(_):
        try:
            return ca.join(token=token)
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.UNAUTHENTICATED, e
            return None
    with ThreadPoolExecutor(8) as pool:
        assert sum(i is not None for i in pool.map(one, range(8))) == 1
    assert len(ca.ledger()) == 1


def test_expired_token(ca):
    token = ca.token(ttl="1s")
    time.sleep(1.1)  # the life of the thing under test
    refusal(ca, Request(csr=csr(new_key(), WEB)), grpc.StatusCode.UNAUTHENTICATED, "has ended", token=token)


@pytest.mark.parametrize("spoil", [
    lambda t: t[:-1] + ("b" if t[-1] != "b" else "c"), lambda t: t.upper(), lambda t: t[:-1], lambda t: "-",
    lambda t: "x", lambda t: "mesh1.aaaaaaaaaa." + t.split(".")[2], lambda t: t + ".x", lambda t: t * 100])
def test_wrong_token(ca, spoil):
    token = ca.token()
    refusal(ca, Request(csr=csr(new_key(), WEB)), grpc.StatusCode.UNAUTHENTICATED, "MESH3003", token=spoil(token))
    ca.join(token=token)  # and it was not used up


def test_revoked_token(ca):
    token = ca.token(uses=5)
    ca.join(token=token)
    ca.api("DELETE", "/api/v1/tokens/" + token.split(".")[1])
    refusal(ca, Request(csr=csr(new_key(), WEB)), grpc.StatusCode.UNAUTHENTICATED, "revoked", token=token)


def test_request_for_another_identity_is_refused_and_the_token_stays(ca):
    token = ca.token("web")
    for other in ("spiffe://cluster.local/ns/default/sa/admin", "spiffe://cluster.local/ns/other/sa/web",
                  "spiffe://other.domain/ns/default/sa/web", "https://example.com/",
                  "spiffe://cluster.local/ns/mesh-system/sa/mesh-control"):
        refusal(ca, Request(csr=csr(new_key(), other)), grpc.StatusCode.PERMISSION_DENIED, "MESH3004", token=token)
    refusal(ca, Request(csr=csr(new_key(), WEB, WEB + "2")), grpc.StatusCode.PERMISSION_DENIED, "URI names",
            token=token)
    assert ca.ledger() == []
    ca.join(token=token)


def test_plaintext_is_refused(ca):
    with pytest.raises(grpc.RpcError) as e:
        ca.ask(Request(csr=csr(new_key(), WEB)), token=ca.token(), plain=True, timeout=5)
    assert e.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert ca.ledger() == []


@pytest.mark.parametrize("text,words", [
    ("", "no signing request"), ("nonsense", "no signing request"),
    (forged(csr(new_key(), WEB)), "not signed by its own key"),
    (csr(new_key(), WEB)[:200], ""), (csr(new_key(), WEB) + "x" * 20000, "longer than")])
def test_bad_requests(ca, text, words):
    token = ca.token()
    refusal(ca, Request(csr=text), grpc.StatusCode.INVALID_ARGUMENT, words, token=token)
    ca.join(token=token)


def test_weak_key_is_refused(ca):
    weak = rsa.generate_private_key(65537, 1024)
    refusal(ca, Request(csr=csr(weak, WEB)), grpc.StatusCode.INVALID_ARGUMENT, "1024 bits", token=ca.token())


def test_huge_message_is_refused_before_it_is_read(ca):
    refusal(ca, Request(csr="x" * (1 << 20)), grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", token=ca.token())


# ---- renewal

def test_renewal_by_certificate(ca):
    first = ca.join()
    second = ca.renew(first)
    third = ca.renew(second, uris=[])
    assert third.uri == WEB and leaf(third).serial_number != leaf(second).serial_number
    proofs = [r["proof"] for r in ca.ledger()]
    assert [p.split(":")[0] for p in proofs] == ["certificate", "certificate", "token"]
    assert proofs[0] == "certificate:%032x" % leaf(second).serial_number


def test_renewal_for_another_identity_is_refused(ca):
    me = ca.join()
    refusal(ca, Request(csr=csr(new_key(), WEB.replace("web", "admin"))), grpc.StatusCode.PERMISSION_DENIED,
            "default/admin", identity=me)
    assert len(ca.ledger()) == 1


def test_certificate_of_another_root_is_no_proof(ca, tmp_path):
    forger = TrustDomain(tmp_path / "forger").issue("web")
    with pytest.raises(grpc.RpcError) as e:
        ca.ask(Request(csr=csr(new_key(), WEB)), identity=forger, timeout=5)
    assert e.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert ca.ledger() == []


def test_revoked_certificate_is_not_renewed(ca):
    me, other = ca.join(), ca.join("api")
    serial = "%032x" % leaf(me).serial_number
    ca.api("POST", "/api/v1/certs/revoke", {"what": serial})
    refusal(ca, Request(csr=csr(new_key(), WEB)), grpc.StatusCode.UNAUTHENTICATED, "revoked", identity=me)
    assert [r["revoked"] for r in ca.ledger() if r["serial"] == serial] == [True]
    ca.renew(other)
    ca.api("POST", "/api/v1/certs/revoke", {"what": other.uri})
    refusal(ca, Request(csr=csr(new_key(), other.uri)), grpc.StatusCode.UNAUTHENTICATED, "revoked", identity=other)
    assert ca.api_raw("POST", "/api/v1/certs/revoke", {"what": "nonsense"})[0] == 400


def test_expired_certificate_is_not_renewed(ca):
    me = ca.join(validity=2)
    wait_until(lambda: _refused(ca, me), "the certificate to have ended", 20)


def _refused(ca, me):
    try:
        ca.ask(Request(csr=csr(new_key(), WEB)), identity=me, timeout=5)
        return False
    except grpc.RpcError as e:
        return e.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED,
                            grpc.StatusCode.DEADLINE_EXCEEDED)


# ---- ledger, tokens and restarts

def test_ledger_says_who_and_why(ca):
    token = ca.token()
    me = ca.join(token=token)
    row, = ca.ledger()
    assert row["serial"] == "%032x" % leaf(me).serial_number
    assert row["identity"] == WEB and row["proof"] == "token:" + token.split(".")[1]
    assert row["peer"].startswith("127.0.0.1:") and not row["revoked"]
    stamp = leaf(me).not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%S")
    assert row["notAfter"].startswith(stamp)


def test_the_secret_of_a_token_is_nowhere(ca):
    token = ca.token(uses=9)
    ca.join(token=token)
    secret = token.split(".")[2].encode()
    for path in [*ca.data.iterdir(), ca.log]:
        if path.is_file():
            assert secret not in path.read_bytes(), path
    assert secret.decode() not in str(ca.api("GET", "/api/v1/tokens"))


def test_tokens_of_the_command_line(ca, mesh):
    made = mesh("ca", "token", "create", "--data-dir", ca.data, "--service-account", "web")
    assert made.returncode == 0, made.stderr
    ca.join(token=made.stdout.strip())
    listed = mesh("ca", "token", "list", "--data-dir", ca.data).stdout
    assert made.stdout.split(".")[1] in listed and made.stdout.split(".")[2].strip() not in listed
    assert mesh("ca", "token", "revoke", made.stdout.split(".")[1], "--data-dir", ca.data).returncode == 0
    bad = mesh("ca", "token", "create", "--data-dir", ca.data, "--service-account", "a b")
    assert bad.returncode == 1 and "service account" in bad.stderr
    assert mesh("ca", "token", "nonsense", "--data-dir", ca.data).returncode == 2
    assert mesh("ca", "token", "list", "--data-dir", ca.data / "none").returncode == 1


def test_restart_keeps_root_tokens_and_ledger(start):
    ca = start()
    me, token, roots = ca.join(), ca.token(), ca.roots
    assert ca.stop() == 0
    again = start()
    assert again.roots == roots and "loaded the root" in again.text()
    again.join(token=token)
    again.renew(me)
    assert len(again.ledger()) == 3


def test_killed_authority_forgets_nothing_that_it_gave(start):
    ca = start()
    given = [leaf(ca.join()).serial_number for _ in range(5)]
    os.kill(ca.pid, 9)
    ca.wait()
    again = start()
    assert {int(r["serial"], 16) for r in again.ledger()} >= set(given)


# ---- files

def test_modes_of_the_files(ca):
    assert ca.data.stat().st_mode & 0o777 == 0o700
    for name, mode in (("ca-key.pem", 0o600), ("mesh.db", 0o600), ("ca.sock", 0o600), ("ca-cert.pem", 0o644)):
        assert (ca.data / name).stat().st_mode & 0o777 == mode, name


def _fails(start, *words):
    ca = start(wait=False)
    status = ca.wait()
    for word in words:
        assert word in ca.text(), ca.text()
    assert status == 2
    assert not (ca.folder / "ca-address").exists()


def test_key_that_others_can_read_is_refused(start):
    ca = start()
    ca.stop()
    (ca.data / "ca-key.pem").chmod(0o644)
    _fails(start, "ca-key.pem", "0644", "chmod 600")
    (ca.data / "ca-key.pem").chmod(0o600)
    start()


def test_missing_key_is_not_replaced(start):
    ca = start()
    ca.stop()
    (ca.data / "ca-key.pem").rename(ca.data / "elsewhere")
    _fails(start, "ca-key.pem", "is missing")


def test_key_of_another_certificate_is_refused(start):
    ca = start()
    ca.stop()
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", ca.data / "ca-key.pem"],
                   check=True)
    (ca.data / "ca-key.pem").chmod(0o600)
    _fails(start, "ca-cert.pem", "does not belong")


def _openssl(folder, *args):
    subprocess.run(["openssl", *[str(a) for a in args]], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def cacerts(tmp_path):
    """An intermediate below a root that is elsewhere, made by OpenSSL in the form of Istio's plug-in certificates."""
    folder = tmp_path / "ca-data"
    folder.mkdir(mode=0o700)
    conf = tmp_path / "ca.cnf"
    conf.write_text("[req]\ndistinguished_name=dn\n[dn]\n[v3]\nbasicConstraints=critical,CA:true\n"
                    "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n")
    _openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "root.key", "-out",
             "root-cert.pem", "-subj", "/O=Example/CN=Root", "-days", "3650", "-config", conf, "-extensions", "v3")
    _openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca-key.pem", "-out", tmp_path / "ca.csr",
             "-subj", "/O=Example/CN=Intermediate", "-config", conf)
    _openssl(folder, "x509", "-req", "-in", tmp_path / "ca.csr", "-CA", "root-cert.pem", "-CAkey",
             tmp_path / "root.key", "-CAcreateserial", "-out", "ca-cert.pem", "-days", "400", "-extfile", conf,
             "-extensions", "v3")
    (folder / "cert-chain.pem").write_bytes((folder / "ca-cert.pem").read_bytes() +
                                            (folder / "root-cert.pem").read_bytes())
    (folder / "ca-key.pem").chmod(0o600)
    return folder


def test_external_chain(start, cacerts):
    ca = start()
    key = new_key()
    chain = ca.ask(Request(csr=csr(key, WEB)), ca.token())
    assert len(chain) == 3
    certs = [x509.load_pem_x509_certificate(c.encode()) for c in chain]
    certs[0].verify_directly_issued_by(certs[1])
    certs[1].verify_directly_issued_by(certs[2])
    assert chain[2].encode().strip() == (cacerts / "root-cert.pem").read_bytes().strip()
    me = ca.identity(chain, key)
    assert ca.renew(me).uri == WEB


def test_external_chain_must_lead_to_its_root(start, cacerts, tmp_path):
    (cacerts / "root-cert.pem").write_bytes(TrustDomain(tmp_path / "other").root_pem)
    _fails(start, "ca-cert.pem", "does not lead to its root")


def test_external_chain_without_root_is_refused(start, cacerts):
    (cacerts / "root-cert.pem").unlink()
    _fails(start, "root-cert.pem")


@pytest.mark.parametrize("option,words", [
    (("--trust-domain", "Not Allowed"), "trust domain"), (("--address", "nonsense"), "--address"),
    (("--leaf-ttl", "0s"), "leaf-ttl"), (("--log-level", "loud"), "log-level")])
def test_bad_options(mesh, tmp_path, option, words):
    done = mesh("ca", "--data-dir", tmp_path / "d", *option)
    assert done.returncode == 2 and words in done.stderr, done.stderr


# ---- in the control plane, on several threads

@pytest.fixture
def hosted(mesh_bin, tmp_path, lab):
    ca = HostedCa(mesh_bin, tmp_path, lab.ports.take())
    yield ca
    assert ca.stop() in (0, -15), ca.tail()
    for word in ("Sanitizer", "runtime error", "assertion failed"):
        assert word not in ca.text(), ca.tail(60)


def test_hosted_by_control(hosted):
    me = hosted.join()
    assert hosted.renew(me).uri == WEB
    refusal(hosted, Request(csr=csr(new_key(), WEB)), grpc.StatusCode.UNAUTHENTICATED, "MESH3003")
    assert [r["proof"].split(":")[0] for r in hosted.ledger()] == ["certificate", "token"]


def test_plain_port_gives_no_certificate(hosted):
    """A token that is seen on the way is nobody's secret any more; so it is refused before it is looked at."""
    token = hosted.token()
    refusal(hosted, Request(csr=csr(new_key(), WEB)), grpc.StatusCode.UNAUTHENTICATED, "MESH3006", token=token,
            plain=True, port=hosted.plain_port)
    assert hosted.ledger() == []
    hosted.join(token=token)


def test_many_at_once_on_several_threads(hosted):
    """One token, used as often as it may be, from many connections that fall on both threads."""
    from concurrent.futures import ThreadPoolExecutor
    token = hosted.token(uses=40)

    def one(_):
        try:
            return hosted.renew(hosted.join(token=token))
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.UNAUTHENTICATED, e
            return None
    with ThreadPoolExecutor(16) as pool:
        assert sum(i is not None for i in pool.map(one, range(48))) == 40
    serials = [r["serial"] for r in hosted.ledger()]
    assert len(serials) == len(set(serials)) == 80
