"""What the cluster needs of the machine, and how the machine is left as it was found."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import time

import children
import place

SETS_BY_ROUTER = ("KUBE-", "kube-router-")
MADE_BY_ROUTER = (":KUBE-ROUTER-", ":KUBE-POD-FW-", ":KUBE-NWPLCY-")
CGROUPS = pathlib.Path("/sys/fs/cgroup")
SYSCTLS = place.CACHE / "sysctls.json"
# Made where nobody asked for them; the inner ones first.
FOLDERS = [
    "/var/log/containers", "/var/lib/kubelet/device-plugins", "/var/lib/kubelet", "/var/lib/cni/results", "/var/lib/cni",
    "/run/containerd/s", "/run/containerd/fifo", "/run/containerd/runc/k8s.io", "/run/containerd/runc", "/run/containerd",
]  # fmt: skip
# What the kubelet and the network plugin set, and what this sets for them.
OTHERS = [
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/netfilter/nf_conntrack_max",
    "net/ipv6/conf/all/forwarding",
]  # fmt: skip
# A call of a pod to a Service whose pod is on the same bridge: the answer has to be seen by the rules as well.
NEEDED = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}
if place.DUAL:
    NEEDED |= {"net/ipv6/conf/all/forwarding": "1", "net/bridge/bridge-nf-call-ip6tables": "1"}


def prepare():
    """An empty folder, the bridge, the settings, the cgroup."""
    place.STATE.mkdir(parents=True)
    settings = [pathlib.Path("/proc/sys", name) for name in [*OTHERS, *NEEDED]]
    before = {str(path): path.read_text().strip() for path in settings if path.exists()}
    SYSCTLS.write_text(json.dumps(before))
    for name, value in NEEDED.items():
        pathlib.Path("/proc/sys", name).write_text(value)
    four, six = (pods.partition("/")[2] for pods in (place.PODS, place.PODS_6))
    link(place.BRIDGE, f"{place.ADDRESS}/{four}", f"{place.ADDRESS_6}/{six}")
    make_cgroups(place.CGROUP)


def link(name, four, six):
    """Makes a bridge with an address of each family that this machine has."""
    place.output("ip", "link", "add", name, "type", "bridge")
    place.output("ip", "address", "add", four, "dev", name)
    if place.DUAL:
        place.output("ip", "address", "add", six, "dev", name, "nodad")
    place.output("ip", "link", "set", name, "up")


def make_cgroups(name):
    for hierarchy in CGROUPS.iterdir():
        if hierarchy.is_dir() and not hierarchy.is_symlink():
            with contextlib.suppress(OSError):
                (hierarchy / name).mkdir(exist_ok=True)


def restore():
    """Ends and removes all of a cluster, whether it is this run's or one that was left behind."""
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
        quietly("ip", "link", "delete", name)
    for family in ("ip", "ip6"):
        quietly("nft", "delete", "table", family, "kube-proxy")
    if SYSCTLS.exists():
        for path, value in json.loads(SYSCTLS.read_text()).items():
            with contextlib.suppress(OSError):
                if pathlib.Path(path).read_text().strip() != value:
                    pathlib.Path(path).write_text(value)
        SYSCTLS.unlink()
    remove_files()
    if place.STATE.exists():
        shutil.rmtree(place.STATE)


def remove_files():
    """Removes what is written to places that nothing configures: links to logs, and what each pod's network is."""
    for link in pathlib.Path("/var/log/containers").glob("*"):
        if str(place.STATE) in os.readlink(link):
            link.unlink()
    for path in pathlib.Path("/var/lib/cni/results").glob(f"{place.BRIDGE}-*"):
        path.unlink()
        pod = path.name.removeprefix(f"{place.BRIDGE}-").rpartition("-")[0]
        path.with_name(f"cni-loopback-{pod}-lo").unlink(missing_ok=True)
    pathlib.Path("/var/lib/kubelet/device-plugins/kubelet.sock").unlink(missing_ok=True)
    for folder in FOLDERS:
        # Whoever else has something there keeps it.
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def quietly(*command):
    """For what may be gone already."""
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def end_containers(node):
    """Kills what is in the containers; their shims take down what is around them."""
    ctr = ["/usr/bin/ctr", "--address", str(node.socket), "--connect-timeout", "2s", "--namespace", "k8s.io"]
    if not node.socket.exists() or not children.lives(children.started().get(node.process("containerd"), 0)):
        return
    tasks = quietly(*ctr, "tasks", "list", "--quiet").stdout.split()
    for task in tasks:
        quietly(*ctr, "tasks", "kill", "--signal", "SIGKILL", "--all", task)
    for task in tasks:
        quietly(*ctr, "tasks", "delete", "--force", task)
    for container in quietly(*ctr, "containers", "list", "--quiet").stdout.split():
        quietly(*ctr, "containers", "delete", container)


def unmount():
    """Unmounts what lies in the folder, the innermost first: volumes, root file systems, network namespaces."""
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
                    # A process that was killed leaves its cgroup a moment later.
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.1)


def remove_rules():
    """Removes the chains and sets that kube-router made."""
    rules = [line.split() for line in quietly("iptables-save", "-t", "filter").stdout.splitlines()]
    chains = [words[0][1:] for words in rules if words and words[0].startswith(MADE_BY_ROUTER)]
    for words in rules:
        if words[:1] == ["-A"] and not words[1].startswith("KUBE-") and words[-1].startswith("KUBE-ROUTER"):
            # The text of a comment may be of several words, so the rule is named by its number.
            numbered = quietly("iptables", "--line-numbers", "-nL", words[1]).stdout.splitlines()
            numbers = [line.split()[0] for line in numbered if line.split()[1:2] == [words[-1]]]
            for number in reversed(numbers):
                quietly("iptables", "-D", words[1], number)
    for action in ("-F", "-X"):
        for chain in chains:
            quietly("iptables", action, chain)
    for name in quietly("ipset", "list", "-name").stdout.split():
        if name.startswith(SETS_BY_ROUTER):
            quietly("ipset", "destroy", name)


def leftovers():
    """What would still be there of a cluster; nothing, if it was removed well."""
    found = [f"process {pid}" for pid in [*children.started().values(), *children.shims()] if children.lives(pid)]
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    found += [f"mount {line.split()[4]}" for line in mounts.splitlines() if str(place.STATE) in line]
    found += [str(path) for path in CGROUPS.glob(f"*/{place.CGROUP}")]
    links = (place.BRIDGE, place.SECOND_LINK)
    found += [f"bridge {name}" for name in links if pathlib.Path("/sys/class/net", name).exists()]
    tables = quietly("nft", "list", "tables").stdout
    found += [line for line in tables.splitlines() if "kube-proxy" in line]
    rules = quietly("iptables-save").stdout
    found += [line for line in rules.splitlines() if "KUBE-" in line or "CNI-" in line]
    found += [f"ipset {name}" for name in quietly("ipset", "list", "-name").stdout.split() if name.startswith(SETS_BY_ROUTER)]
    return found
