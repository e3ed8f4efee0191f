"""The cluster's certificate authority, its certificates, and the kubeconfig file."""

import ipaddress

import place
from certificates import Authority, pem_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FOLDER = place.STATE / "certificates"
NAMES = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
ADDRESSES = [place.ADDRESS, place.API_SERVICE, "127.0.0.1"]


def write(name, data):
    path = FOLDER / name
    path.touch(mode=0o600)
    path.write_bytes(data)


def issue(authority, file, name, organization):
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [(NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, name)]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])
    names = [*map(x509.DNSName, NAMES), *(x509.IPAddress(ipaddress.ip_address(address)) for address in ADDRESSES)]
    builder = authority.builder(subject, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
    write(f"{file}.pem", builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    write(f"{file}-key.pem", pem_of(key))


def make():
    """Issues a certificate for the API server, and one that all its clients share: permissions are not tested here."""
    FOLDER.mkdir(parents=True)
    authority = Authority()
    write("ca.pem", authority.pem())
    issue(authority, "server", "kube-apiserver", "a cluster for a test")
    issue(authority, "admin", "admin", "system:masters")
    accounts = ec.generate_private_key(ec.SECP256R1())
    # Kubernetes reads such a key in this format.
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = accounts.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    write("accounts-key.pem", pem)
    place.KUBECONFIG.write_text(f"""apiVersion: v1
kind: Config
clusters:
  - name: cluster
    cluster: {{server: "{place.API}", certificate-authority: {FOLDER}/ca.pem}}
users:
  - name: admin
    user: {{client-certificate: {FOLDER}/admin.pem, client-key: {FOLDER}/admin-key.pem}}
contexts:
  - name: cluster
    context: {{cluster: cluster, user: admin}}
current-context: cluster
""")
    place.KUBECONFIG.chmod(0o600)
