"""Prepares the machine for the cluster, and afterwards restores it to its earlier state."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import time

import children
import place

ROUTER_SETS = ("KUBE-", "kube-router-")
ROUTER_CHAINS = (":KUBE-ROUTER-", ":KUBE-POD-FW-", ":KUBE-NWPLCY-")
CGROUPS = pathlib.Path("/sys/fs/cgroup")
SYSCTLS = place.CACHE / "sysctls.json"
# The components create these at fixed paths, which cannot be configured. Inner folders come first.
FIXED_FOLDERS = [
    "/var/log/containers", "/var/lib/kubelet/device-plugins", "/var/lib/kubelet", "/var/lib/cni/results", "/var/lib/cni",
    "/run/containerd/s", "/run/containerd/fifo", "/run/containerd/runc/k8s.io", "/run/containerd/runc", "/run/containerd",
]  # fmt: skip
# Sysctls that the kubelet and the network plugins change.
CHANGED_SYSCTLS = [
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/netfilter/nf_conntrack_max",
    "net/ipv6/conf/all/forwarding",
]  # fmt: skip
# Sysctls that the cluster needs. If a pod calls a Service whose pod is on the same bridge, kube-proxy's rules must also
# see the packets of the answer.
NEEDED_SYSCTLS = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}
if place.DUAL_STACK:
    NEEDED_SYSCTLS |= {"net/ipv6/conf/all/forwarding": "1", "net/bridge/bridge-nf-call-ip6tables": "1"}


def prepare():
    """Creates the folder, the bridge and the cgroups, and sets sysctls after it has stored their old values."""
    place.STATE.mkdir(parents=True)
    settings = [pathlib.Path("/proc/sys", name) for name in [*CHANGED_SYSCTLS, *NEEDED_SYSCTLS]]
    before = {str(path): path.read_text().strip() for path in settings if path.exists()}
    SYSCTLS.write_text(json.dumps(before))
    for name, value in NEEDED_SYSCTLS.items():
        pathlib.Path("/proc/sys", name).write_text(value)
    four, six = (pods.partition("/")[2] for pods in (place.PODS, place.PODS_6))
    link(place.BRIDGE, f"{place.ADDRESS}/{four}", f"{place.ADDRESS_6}/{six}")
    make_cgroups(place.CGROUP)


def link(name, four, six):
    """Creates a bridge with an address of each family that this machine has."""
    place.output("ip", "link", "add", name, "type", "bridge")
    place.output("ip", "address", "add", four, "dev", name)
    if place.DUAL_STACK:
        place.output("ip", "address", "add", six, "dev", name, "nodad")
    place.output("ip", "link", "set", name, "up")


def make_cgroups(name):
    for hierarchy in CGROUPS.iterdir():
        if hierarchy.is_dir() and not hierarchy.is_symlink():
            with contextlib.suppress(OSError):
                (hierarchy / name).mkdir(exist_ok=True)


def restore():
    """Ends and removes a cluster completely, whether it is this run's or was left by an earlier one."""
    for name in (place.SECOND.process("kubelet"), "kubelet", "kube-proxy", "kube-router", "kube-scheduler", "kube-controller-manager"):
        children.stop(name)
    for node in (place.SECOND, place.FIRST):
        end_containers(node)
        children.stop(node.process("containerd"))
    for name in ("kube-apiserver", "etcd"):
        children.stop(name)
    for pid in list(children.shims()):
        children.end(pid)
    unmount()
    remove_cgroups()
    remove_rules()
    for name in (place.SECOND_LINK, place.BRIDGE):
        attempt("ip", "link", "delete", name)
    for family in ("ip", "ip6"):
        attempt("nft", "delete", "table", family, "kube-proxy")
    if SYSCTLS.exists():
        for path, value in json.loads(SYSCTLS.read_text()).items():
            with contextlib.suppress(OSError):
                if pathlib.Path(path).read_text().strip() != value:
                    pathlib.Path(path).write_text(value)
        SYSCTLS.unlink()
    remove_files()
    # What cannot be removed is reported by `leftovers`, behind the results of the run.
    shutil.rmtree(place.STATE, ignore_errors=True)


def remove_files():
    """Removes the files that are written to fixed paths: links to logs, and the network results of each pod."""
    for link in pathlib.Path("/var/log/containers").glob("*"):
        if str(place.STATE) in os.readlink(link):
            link.unlink()
    for path in pathlib.Path("/var/lib/cni/results").glob(f"{place.BRIDGE}-*"):
        path.unlink()
        pod = path.name.removeprefix(f"{place.BRIDGE}-").rpartition("-")[0]
        path.with_name(f"cni-loopback-{pod}-lo").unlink(missing_ok=True)
    pathlib.Path("/var/lib/kubelet/device-plugins/kubelet.sock").unlink(missing_ok=True)
    for folder in FIXED_FOLDERS:
        # A folder that contains other files is not removed.
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def attempt(*command):
    """Runs a command that may fail, such as one that removes something that no longer exists."""
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def end_containers(node):
    """Kills the processes in the containers. The shims then remove the rest of each container."""
    ctr = ["/usr/bin/ctr", "--address", str(node.socket), "--connect-timeout", "2s", "--namespace", "k8s.io"]
    if not node.socket.exists() or not children.is_running(children.started().get(node.process("containerd"), 0)):
        return
    tasks = attempt(*ctr, "tasks", "list", "--quiet").stdout.split()
    for task in tasks:
        attempt(*ctr, "tasks", "kill", "--signal", "SIGKILL", "--all", task)
    for task in tasks:
        attempt(*ctr, "tasks", "delete", "--force", task)
    for container in attempt(*ctr, "containers", "list", "--quiet").stdout.split():
        attempt(*ctr, "containers", "delete", container)


def unmount():
    """Unmounts everything below the folder, innermost first: volumes, root file systems, network namespaces."""
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{place.STATE}/")]):
        place.output("umount", "--lazy", mount)


def remove_cgroups():
    for top in CGROUPS.glob(f"*/{place.CGROUP}"):
        for folder, _, _ in os.walk(top, topdown=False):
            until = time.monotonic() + 10
            while pathlib.Path(folder).exists():
                try:
                    os.rmdir(folder)
                except OSError:
                    # A process that was killed may be in its cgroup for a moment longer.
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.1)


def remove_rules():
    """Removes kube-router's chains and sets."""
    rules = [line.split() for line in attempt("iptables-save", "-t", "filter").stdout.splitlines()]
    chains = [words[0][1:] for words in rules if words and words[0].startswith(ROUTER_CHAINS)]
    for words in rules:
        if words[:1] == ["-A"] and not words[1].startswith("KUBE-") and words[-1].startswith("KUBE-ROUTER"):
            # The rule is deleted by its number, since its comment may contain spaces.
            numbered = attempt("iptables", "--line-numbers", "-nL", words[1]).stdout.splitlines()
            numbers = [line.split()[0] for line in numbered if line.split()[1:2] == [words[-1]]]
            for number in reversed(numbers):
                attempt("iptables", "-D", words[1], number)
    for action in ("-F", "-X"):
        for chain in chains:
            attempt("iptables", action, chain)
    for name in attempt("ipset", "list", "-name").stdout.split():
        if name.startswith(ROUTER_SETS):
            attempt("ipset", "destroy", name)


def leftovers():
    """What is left of a cluster on this machine; empty if everything was removed."""
    found = [f"process {pid}" for pid in [*children.started().values(), *children.shims()] if children.is_running(pid)]
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    found += [f"mount {line.split()[4]}" for line in mounts.splitlines() if str(place.STATE) in line]
    found += [f"folder {place.STATE}"] if place.STATE.exists() else []
    found += [str(path) for path in CGROUPS.glob(f"*/{place.CGROUP}")]
    links = (place.BRIDGE, place.SECOND_LINK)
    found += [f"bridge {name}" for name in links if pathlib.Path("/sys/class/net", name).exists()]
    tables = attempt("nft", "list", "tables").stdout
    found += [line for line in tables.splitlines() if "kube-proxy" in line]
    rules = attempt("iptables-save").stdout
    found += [line for line in rules.splitlines() if "KUBE-" in line or "CNI-" in line]
    found += [f"ipset {name}" for name in attempt("ipset", "list", "-name").stdout.split() if name.startswith(ROUTER_SETS)]
    return found
