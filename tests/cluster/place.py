"""Where the cluster lives: its folders, its addresses, its versions."""

import pathlib
import re
import subprocess
import sys
import typing

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/production"))

CACHE = ROOT / "target/cluster"
BIN = CACHE / "bin"
# All that a run makes, and nothing of which outlives it but the logs.
STATE = CACHE / "run"
LOGS = CACHE / "logs"

# Said once, by the module that its programs are built from.
KUBERNETES = re.search(r"^require k8s.io/kubernetes (\S+)", (HERE / "kubernetes/go.mod").read_text(), re.M)[1]

BRIDGE = "gemini-cluster"
# Has the second node's addresses: the bridge plugin refuses a bridge with addresses that are not its own.
SECOND_LINK = "gemini-second"
# The node's address is the bridge's: the pods reach it, and nobody outside of this machine does.
ADDRESS, ADDRESS_6 = "10.244.0.1", "fd00:10:244::1"
PODS, PODS_6 = "10.244.0.0/24", "fd00:10:244::/64"
SERVICES, SERVICES_6 = "10.96.0.0/16", "fd00:10:96::/112"
API = f"https://{ADDRESS}:6443"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
ETCD = "http://127.0.0.1:12379"
ETCD_PEERS = "http://127.0.0.1:12380"
# Pods and Services have an address of each family, where the kernel has both.
OFF = pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
DUAL = OFF.exists() and OFF.read_text().strip() == "0"
# The node's cgroups hang below one of their own.
CGROUP = "gemini-cluster"

# Does what a scenario needs done in a pod, and waits when it is told nothing.
TOOL = "localhost/tool:cluster"

KUBECONFIG = STATE / "kubeconfig"


class Node(typing.NamedTuple):
    """A machine of the cluster, as Kubernetes sees it: a kubelet with a containerd of its own, all on this machine."""

    name: str
    address: str
    address_6: str
    folder: pathlib.Path
    cgroup: str

    @property
    def socket(self):
        return self.folder / "containerd.sock"

    def process(self, program):
        """The name by which a program of this node is started and stopped."""
        return program if self == FIRST else f"{program}-{self.name}"


FIRST = Node("node", ADDRESS, ADDRESS_6, STATE, CGROUP)
# Runs during the scenario that drains it.
SECOND = Node("second", "10.244.0.2", "fd00:10:244::2", STATE / "second", f"{CGROUP}/second")
# The addresses below these are for nodes.
FIRST_POD, FIRST_POD_6 = "10.244.0.10", "fd00:10:244::10"


def families(four, six):
    """Both of them, as flags take them, or the one that this machine has."""
    return f"{four},{six}" if DUAL else four


def output(*command, **more):
    """What a command prints; a failure has its words."""
    command = [str(word) for word in command]
    if "input" not in more:
        more["stdin"] = subprocess.DEVNULL
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:300]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout
