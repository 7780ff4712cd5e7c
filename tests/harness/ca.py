"""The certificate authority as a process (`mesh ca`), and a client of its gRPC service that is not ours."""

import http.client
import json
import socket
import ssl

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from .pki import Identity
from .proc import Process, wait_until

METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"


def _messages():
    """Istio's security/v1alpha1/ca.proto: what an Istio agent sends."""
    f = descriptor_pb2.FileDescriptorProto(name="ca_of_the_tests.proto", package="istio.v1.auth", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    request = f.message_type.add(name="IstioCertificateRequest")
    request.field.add(name="csr", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    request.field.add(name="validity_duration", number=3, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL)
    answer = f.message_type.add(name="IstioCertificateResponse")
    answer.field.add(name="cert_chain", number=1, type=field.TYPE_STRING, label=field.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(f)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"istio.v1.auth.{m.name}"))
            for m in f.message_type]


Request, Answer = _messages()


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def csr(key, *uris):
    """A request for these URI names; none leaves the extension out."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if uris:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(u) for u in uris]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def forged(pem):
    """The same with a signature that is not of its key."""
    der = ssl.PEM_cert_to_DER_cert(pem.replace("CERTIFICATE REQUEST", "CERTIFICATE"))
    der = der[:-1] + bytes([der[-1] ^ 1])
    return ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "CERTIFICATE REQUEST")


def uri_of(pem):
    cert = x509.load_pem_x509_certificate(pem)
    return cert.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value.get_values_for_type(x509.UniformResourceIdentifier)


class Ca(Process):
    def __init__(self, binary, folder, *args, env=None, port=0, wait=True):
        self.folder = folder
        self.data = folder / "ca-data"
        self.socket = self.data / "ca.sock"
        self._address = folder / "ca-address"
        self._address.unlink(missing_ok=True)
        super().__init__([binary, "ca", "--data-dir", self.data, "--address", f"127.0.0.1:{port}", "--address-path",
                          self._address, *args], folder / "ca.log", env=env)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        self.wait_for(self._address.exists, "the CA to serve")
        return self

    @property
    def port(self):
        return int(self._address.read_text().rsplit(":", 1)[1])

    @property
    def roots(self):
        return self.api("GET", "/api/v1/roots")["rootsPem"].encode()

    @property
    def pin(self):
        return self.api("GET", "/api/v1/roots")["pin"]

    def api_raw(self, method, path, body=None):
        c = http.client.HTTPConnection("localhost", timeout=10)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.connect(str(self.socket))
        try:
            c.request(method, path, json.dumps(body) if body is not None else None)
            r = c.getresponse()
            return r.status, json.loads(r.read())
        finally:
            c.close()

    def api(self, method, path, body=None):
        status, answer = self.api_raw(method, path, body)
        assert status < 400, answer
        return answer

    def token(self, account="web", namespace="default", **more):
        return self.api("POST", "/api/v1/tokens",
                        {"namespace": namespace, "serviceAccount": account, **more})["token"]

    def ledger(self, proof=None):
        rows = self.api("GET", "/api/v1/certs")["items"]
        return [r for r in rows if r["proof"] != "self" and (proof is None or r["proof"].startswith(proof))]

    def ask(self, request, token=None, identity=None, plain=False, timeout=20, port=None):
        """One call; the chain (a list of PEM texts), or grpc.RpcError."""
        target = f"127.0.0.1:{port or self.port}"
        options = [("grpc.ssl_target_name_override", "istiod.istio-system.svc"),
                   ("grpc.use_local_subchannel_pool", 1)]
        if plain:
            channel = grpc.insecure_channel(target, options)
        else:
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(
                self.roots, *((identity.key_pem, identity.chain_pem) if identity else (None, None))), options)
        with channel:
            call = channel.unary_unary(METHOD, request_serializer=Request.SerializeToString,
                                       response_deserializer=Answer.FromString)
            metadata = [("authorization", f"Bearer {token}")] if token is not None else []
            return list(call(request, timeout=timeout, metadata=metadata).cert_chain)

    def join(self, account="web", namespace="default", token=None, validity=0, uris=None):
        """An identity by token."""
        key = new_key()
        uris = [f"spiffe://cluster.local/ns/{namespace}/sa/{account}"] if uris is None else uris
        chain = self.ask(Request(csr=csr(key, *uris), validity_duration=validity),
                         token or self.token(account, namespace))
        return self.identity(chain, key)

    def renew(self, identity, uris=None, validity=0):
        key = new_key()
        uris = [identity.uri] if uris is None else uris
        chain = self.ask(Request(csr=csr(key, *uris), validity_duration=validity), identity=identity)
        return self.identity(chain, key)

    def identity(self, chain, key):
        folder = self.folder / "identities"
        folder.mkdir(exist_ok=True)
        root = folder / "root.pem"
        root.write_text(chain[-1])
        leaf = "".join(c if c.endswith("\n") else c + "\n" for c in chain[:-1]).encode()
        return Identity(folder, uri_of(leaf)[0], leaf, key_pem(key), root)

    def wait_ledger(self, count, proof=None, deadline_s=20):
        return wait_until(lambda: len(self.ledger(proof)) >= count and self.ledger(proof),
                          f"{count} rows of {proof} in the ledger", deadline_s)


class HostedCa(Ca):
    """The one in `mesh control`, whose servers run on two threads; 15010 is open, too."""

    def __init__(self, binary, folder, plain_port, *args):
        self.folder = folder
        self.data = folder / "control-data"
        self.socket = folder / "control.sock"
        self.plain_port = plain_port
        (folder / "objects").mkdir(exist_ok=True)
        Process.__init__(self, [binary, "control", "--config-dir", folder / "objects", "--data-dir", self.data, "--socket",
                                self.socket, "--api-address", "off", "--xds-address", "127.0.0.1:0",
                                "--xds-plain-address", f"127.0.0.1:{plain_port}", "--workers", "2", *args],
                         folder / "control.log")
        self.wait_for(lambda: "control ready" in self.text(), "control to be ready")

    @property
    def port(self):
        line = next(x for x in self.text().splitlines() if "xds address=" in x)
        return int(line.split("xds address=")[1].split()[0].rsplit(":", 1)[1])
