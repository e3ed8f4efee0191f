"""The control plane: etcd, API server, controller manager, scheduler."""

import authority
import place
from children import start, wait_until
from kube import kubectl


def start_all():
    data = place.STATE / "etcd"
    data.mkdir(mode=0o700)
    flags = ["--listen-client-urls", place.ETCD, "--advertise-client-urls", place.ETCD]
    flags += ["--listen-peer-urls", place.ETCD_PEERS, "--initial-advertise-peer-urls", place.ETCD_PEERS]
    # Without fsync: a test cluster may lose its last second when the machine crashes.
    flags += ["--initial-cluster", f"default={place.ETCD_PEERS}", "--unsafe-no-fsync", "--logger", "zap"]
    start("etcd", "/usr/bin/etcd", "--data-dir", data, *flags)

    folder = authority.FOLDER
    start(
        "kube-apiserver",
        place.BIN / "kube-apiserver",
        f"--etcd-servers={place.ETCD}",
        f"--bind-address={place.ADDRESS}",
        f"--advertise-address={place.ADDRESS}",
        "--secure-port=6443",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-cluster-ip-range={place.families(place.SERVICES, place.SERVICES_6)}",
        "--authorization-mode=RBAC",
        "--anonymous-auth=false",
        "--enable-admission-plugins=PodSecurity",
        f"--client-ca-file={folder}/ca.pem",
        f"--tls-cert-file={folder}/server.pem",
        f"--tls-private-key-file={folder}/server-key.pem",
        f"--kubelet-client-certificate={folder}/admin.pem",
        f"--kubelet-client-key={folder}/admin-key.pem",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={folder}/accounts-key.pem",
        f"--service-account-signing-key-file={folder}/accounts-key.pem",
    )
    wait_until("the API server answers", lambda: kubectl("get", "--raw", "/readyz") == "ok", 60, "kube-apiserver")
    start(
        "kube-controller-manager",
        place.BIN / "kube-controller-manager",
        f"--kubeconfig={place.KUBECONFIG}",
        f"--root-ca-file={folder}/ca.pem",
        f"--service-account-private-key-file={folder}/accounts-key.pem",
        "--use-service-account-credentials=false",
        "--leader-elect=false",
        "--secure-port=0",
    )
    start(
        "kube-scheduler",
        place.BIN / "kube-scheduler",
        f"--kubeconfig={place.KUBECONFIG}",
        "--leader-elect=false",
        "--secure-port=0",
    )
