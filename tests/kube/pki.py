"""The certificates of a cluster, of the kind that kubeadm makes: RSA, one CA, a client certificate for each component."""
import base64
import datetime
import ipaddress

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Who may do what is Kubernetes' own: groups and users that it binds to roles at its first start.
CLIENTS = {
    "admin": ("kubernetes-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kubelet-client": ("kube-apiserver-kubelet-client", "system:masters"),
    "node": ("mesh-lab-node", "system:masters"),  # one program plays every node, kube-proxy and the cloud
}


def _key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _private(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption())


def _name(common, organization=None):
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        names.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(names)


class Pki:
    """`folder`: ca.crt, ca.key, NAME.crt, NAME.key, sa.pub, sa.key; made when there are none."""

    def __init__(self, folder):
        self.folder = folder
        self._subject = _name("kubernetes")
        if (folder / "ca.key").exists():
            self._key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        else:
            folder.mkdir(parents=True)
            self._make()

    def _make(self):
        self._key = _key()
        usage = x509.KeyUsage(True, False, True, False, False, True, False, False, False)
        cert = (self._builder(self._subject, self._key.public_key(), days=3650)
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .add_extension(usage, critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
                .sign(self._key, hashes.SHA256()))
        self._write("ca", cert, self._key)
        accounts = _key()
        self._private_file("sa.key", _private(accounts))
        (self.folder / "sa.pub").write_bytes(accounts.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    def _builder(self, subject, public, days):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self._subject).public_key(public)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(minutes=5))
                .not_valid_after(now + datetime.timedelta(days=days)))

    def _private_file(self, name, content):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)

    def _write(self, name, cert, key):
        (self.folder / f"{name}.crt").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        self._private_file(f"{name}.key", _private(key))

    def issue(self, name, common, organization=None, dns=(), ips=()):
        """NAME.crt and NAME.key, of a server if it has names, else of a client only."""
        key = _key()
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] + [ExtendedKeyUsageOID.SERVER_AUTH] * bool(dns or ips)
        builder = (self._builder(_name(common, organization), key.public_key(), days=365)
                   .add_extension(x509.KeyUsage(True, False, True, False, False, False, False, False, False), critical=True)
                   .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                                  critical=False))
        if dns or ips:
            names = [x509.DNSName(d) for d in dns] + [x509.IPAddress(ipaddress.ip_address(i)) for i in ips]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self._write(name, builder.sign(self._key, hashes.SHA256()), key)


def _coded(path):
    return base64.b64encode(path.read_bytes()).decode()


def _config(folder, server, name, user, credentials):
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": _coded(folder / "ca.crt")}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
    })


def kubeconfig(folder, client, server, name="mesh-kube"):
    """The text of a kubeconfig with everything in it."""
    return _config(folder, server, name, client, {"client-certificate-data": _coded(folder / f"{client}.crt"),
                                                  "client-key-data": _coded(folder / f"{client}.key")})


def kubeconfig_of_token(folder, token, server, name="mesh-kube"):
    return _config(folder, server, name, "token", {"token": token})
