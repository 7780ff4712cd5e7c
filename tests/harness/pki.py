"""Certificates of SPIFFE identities, good ones and wrong ones."""

import datetime
import ipaddress
import itertools
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_serial = itertools.count(1)


def _utc_now():
    return datetime.datetime.now(datetime.timezone.utc)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) if text else x509.Name([])


class Identity:
    """A leaf with its chain and key, as PEM texts and as files."""

    def __init__(self, folder, uri, chain_pem, key_pem, root):
        stem = f"{next(_serial)}-" + (uri.rsplit("/", 1)[-1] or "id")
        self.uri = uri
        self.root = root
        self.cert = folder / f"{stem}.crt"
        self.key = folder / f"{stem}.key"
        self.pair = folder / f"{stem}.pem"
        self.chain_pem = chain_pem
        self.key_pem = key_pem
        self.cert.write_bytes(chain_pem)
        for path, text in ((self.key, key_pem), (self.pair, chain_pem + key_pem)):
            path.touch(mode=0o600)
            path.write_bytes(text)


class TrustDomain:
    """A root that issues `spiffe://<name>/ns/<ns>/sa/<sa>`."""

    def __init__(self, folder, name="cluster.local"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name(f"root of {name}")
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        now = _utc_now()
        self._cert = (
            x509.CertificateBuilder().subject_name(self._subject).issuer_name(self._subject)
            .public_key(self._key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(f"spiffe://{name}")]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()),
                           critical=False)
            .sign(self._key, hashes.SHA256()))
        self.root_pem = self._cert.public_bytes(serialization.Encoding.PEM)
        self.root = self.folder / f"{next(_serial)}-root-{name}.crt"
        self.root.write_bytes(self.root_pem)

    def spiffe(self, service_account, namespace="default"):
        return f"spiffe://{self.name}/ns/{namespace}/sa/{service_account}"

    def issue(self, service_account, namespace="default", uri=None, dns=(), ips=(), valid_from_s=-3600,
              valid_for_s=86400, extra_uris=(), usages=None):
        """A leaf; `uri`="" leaves the SPIFFE ID out, times are relative to now."""
        uri = self.spiffe(service_account, namespace) if uri is None else uri
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.UniformResourceIdentifier(u) for u in (uri, *extra_uris) if u]
        names += [x509.DNSName(d) for d in dns]
        names += [x509.IPAddress(ipaddress.ip_address(i)) for i in ips]
        start = _utc_now() + datetime.timedelta(seconds=valid_from_s)
        usages = usages or [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        builder = (
            x509.CertificateBuilder().subject_name(_name("")).issuer_name(self._subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(start).not_valid_after(start + datetime.timedelta(seconds=valid_for_s))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                           critical=False))
        if names:
            # RFC 5280 4.2.1.6: critical, because the subject is empty.
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        cert = builder.sign(self._key, hashes.SHA256())
        key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                    serialization.NoEncryption())
        return Identity(self.folder, uri or "none", cert.public_bytes(serialization.Encoding.PEM),
                        key_pem, self.root)
