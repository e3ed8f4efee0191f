"""A certificate authority for tests, and certificates that it signs."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def replace(path, data):
    """Replaces a file atomically: a reader sees the old content or the new one."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    os.replace(new, path)


def pem_of(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


class Authority:
    """Signs certificates for this machine."""

    def __init__(self):
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for a test")])
        self.key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = (
            self.builder(self.name, self.key).add_extension(basic, critical=True).sign(self.key, hashes.SHA256())
        )

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def revocations(self):
        """An empty certificate revocation list."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(now - DAY).next_update(now + 30 * DAY)
        of_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        for extension in (x509.CRLNumber(1), of_key):
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def builder(self, name, key):
        """A builder of a certificate from this authority, without extensions and signature."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - DAY).not_valid_after(now + 30 * DAY)

    def issue(self, *more):
        """A new certificate for 127.0.0.1, localhost and more names: its serial number, the certificate, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *more]
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a gateway")])
        builder = self.builder(name, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.serial_number, certificate.public_bytes(serialization.Encoding.PEM), pem_of(key)


def serial_at(port, ca):
    """The serial number of the certificate that a new connection gets."""
    import socket
    import ssl

    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            return x509.load_der_x509_certificate(connection.getpeercert(True)).serial_number
