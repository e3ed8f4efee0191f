"""The cluster's folders, addresses and versions."""

import pathlib
import re
import subprocess
import sys
import typing

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/production"))

# Without links, because the kernel lists mounts by their real path.
CACHE = (ROOT / "target/cluster").resolve()
BIN = CACHE / "bin"
# All files of a run. They are removed at its end, except for the logs.
STATE = CACHE / "run"
LOGS = CACHE / "logs"

# The Go module that Kubernetes is built from has the version.
KUBERNETES = re.search(r"^require k8s.io/kubernetes (\S+)", (HERE / "kubernetes/go.mod").read_text(), re.M)[1]

BRIDGE = "gemini-cluster"
# A bridge for the second node's addresses: the bridge plugin refuses to use a bridge that has other addresses.
SECOND_LINK = "gemini-second"
# The node has the bridge's address, which pods can reach, and other machines cannot.
ADDRESS, ADDRESS_6 = "10.244.0.1", "fd00:10:244::1"
PODS, PODS_6 = "10.244.0.0/24", "fd00:10:244::/64"
SERVICES, SERVICES_6 = "10.96.0.0/16", "fd00:10:96::/112"
API = f"https://{ADDRESS}:6443"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
ETCD = "http://127.0.0.1:12379"
ETCD_PEERS = "http://127.0.0.1:12380"
# Pods and Services have an IPv4 and an IPv6 address, if the kernel has IPv6.
DISABLE_IPV6 = pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
DUAL_STACK = DISABLE_IPV6.exists() and DISABLE_IPV6.read_text().strip() == "0"
# The parent of all cgroups of the node.
CGROUP = "gemini-cluster"

# The image of the program in `tool`, which scenarios run in pods.
TOOL = "localhost/tool:cluster"

KUBECONFIG = STATE / "kubeconfig"


class Node(typing.NamedTuple):
    """A node of the cluster: a kubelet with its own containerd. All nodes run on this machine."""

    name: str
    address: str
    address_6: str
    folder: pathlib.Path
    cgroup: str

    @property
    def socket(self):
        return self.folder / "containerd.sock"

    def process(self, program):
        """The name of this node's process of a program, in `children`."""
        return program if self == FIRST else f"{program}-{self.name}"


FIRST = Node("node", ADDRESS, ADDRESS_6, STATE, CGROUP)
# Exists only during the scenario that drains it.
SECOND = Node("second", "10.244.0.2", "fd00:10:244::2", STATE / "second", f"{CGROUP}/second")
# Lower addresses are reserved for nodes.
FIRST_POD, FIRST_POD_6 = "10.244.0.10", "fd00:10:244::10"


def families(four, six):
    """The IPv4 and the IPv6 address or range, separated by a comma; without IPv6 the first one only."""
    return f"{four},{six}" if DUAL_STACK else four


def output(*command, **more):
    """The standard output of a command. An error contains what the command printed."""
    command = [str(word) for word in command]
    if "input" not in more:
        more["stdin"] = subprocess.DEVNULL
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:300]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout
