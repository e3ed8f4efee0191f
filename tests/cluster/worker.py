"""Configures and starts the programs of a node: containerd, the kubelet and kube-proxy."""

import json
import resource

import authority
import place
from children import start, wait_until
from kube import kubectl

# The soft limit that systemd gives to services by default, and therefore to containers on some nodes.
FEW_FILES = 1024


def containerd(node=place.FIRST):
    state = node.folder
    # All nodes share one bridge, and one store of pod addresses.
    networks = place.STATE / "cni"
    networks.mkdir(exist_ok=True)
    (networks / "10-bridge.conflist").write_text(json.dumps(network(), indent=2))
    config = state / "containerd.toml"
    config.write_text(f"""version = 2
root = "{state}/containerd"
state = "{state}/containerd-state"
[grpc]
  address = "{node.socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{state}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{place.TOOL}"
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  # Without CAP_SYS_RESOURCE, a process cannot give another one a lower OOM score than its own.
  restrict_oom_score_adj = true
  # The machine may lack containerd's AppArmor profile.
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "{state}/runc"
{few_files_runtimes()}""")
    name = node.process("containerd")
    start(name, "/usr/bin/containerd", "--config", config)
    wait_until("containerd answers", lambda: ctr("version", node=node), 30, name)


def few_files_runtimes():
    """The configuration of two runtimes whose containers may open few files: `few-files-soft` and `few-files-hard`.

    A pod's spec cannot set this limit, and a node sets it for all of its pods. A pod can choose a runtime, though.
    """
    spec, text = json.loads(place.output("/usr/bin/ctr", "oci", "spec")), ""
    # A limit above this script's own needs CAP_SYS_RESOURCE.
    many = min(524288, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    for kind, hard in (("soft", many), ("hard", FEW_FILES)):
        spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": FEW_FILES, "hard": hard}]
        base = place.STATE / f"few-files-{kind}.json"
        base.write_text(json.dumps(spec))
        runtime = f'plugins."io.containerd.grpc.v1.cri".containerd.runtimes.few-files-{kind}'
        text += f"""  [{runtime}]
    runtime_type = "io.containerd.runc.v2"
    base_runtime_spec = "{base}"
    [{runtime}.options]
      SystemdCgroup = false
      Root = "{place.STATE}/runc"
"""
    return text


def network():
    """The CNI configuration: one bridge, without masquerading, since no packet leaves the machine.

    So the plugins create no iptables chain, which would have to be removed.
    """
    ranges = [[{"subnet": place.PODS, "rangeStart": place.FIRST_POD, "gateway": place.ADDRESS}]]
    if place.DUAL_STACK:
        ranges.append([{"subnet": place.PODS_6, "rangeStart": place.FIRST_POD_6, "gateway": place.ADDRESS_6}])
    bridge = {
        "type": "bridge",
        "bridge": place.BRIDGE,
        "isDefaultGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "dataDir": str(place.STATE / "addresses"), "ranges": ranges},
    }
    return {"cniVersion": "1.0.0", "name": place.BRIDGE, "plugins": [bridge]}


def ctr(*words, node=place.FIRST):
    return place.output("/usr/bin/ctr", "--address", node.socket, "--namespace", "k8s.io", *words)


def process_of(pod):
    """The pid of a pod's only container, on this machine."""
    (status,) = pod["status"]["containerStatuses"]
    tasks = [line.split() for line in ctr("tasks", "list").splitlines()]
    return next(int(task[1]) for task in tasks if task[0] == status["containerID"].removeprefix("containerd://"))


def kubelet(node):
    never = ["memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"]
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(authority.FOLDER / "ca.pem")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [place.DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        # These chains only help other programs, and would not be removed.
        "makeIPTablesUtilChains": False,
        "podLogsDir": str(node.folder / "pod-logs"),
        "volumePluginDir": str(node.folder / "volume-plugins"),
        # No pod is evicted because of other files on this machine's disk.
        "evictionHard": dict.fromkeys(never, "0%"),
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        # So a changed Secret is in the pod's volume after seconds instead of a minute or two.
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "syncFrequency": "5s",
    }
    path = node.folder / "kubelet.json"
    path.write_text(json.dumps(config, indent=2))
    start(
        node.process("kubelet"),
        place.BIN / "kubelet",
        f"--config={path}",
        f"--kubeconfig={place.KUBECONFIG}",
        f"--root-dir={node.folder}/kubelet",
        f"--cert-dir={node.folder}/kubelet-certificates",
        f"--hostname-override={node.name}",
        f"--node-ip={place.families(node.address, node.address_6)}",
    )
    wait_until(f"{node.name} is registered", lambda: kubectl("get", "node", node.name), 60, node.process("kubelet"))
    kubectl("wait", f"node/{node.name}", "--for=condition=Ready", "--timeout=60s")


def proxy():
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(place.KUBECONFIG)},
        "hostnameOverride": place.FIRST.name,
        # In this mode its rules are in separate tables, which can be removed completely.
        "mode": "nftables",
        "clusterCIDR": place.families(place.PODS, place.PODS_6),
        "bindAddress": place.ADDRESS,
        "healthzBindAddress": f"{place.ADDRESS}:10256",
        "metricsBindAddress": f"{place.ADDRESS}:10249",
        # 0 keeps the machine's own settings.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    path = place.STATE / "kube-proxy.json"
    path.write_text(json.dumps(config, indent=2))
    start("kube-proxy", place.BIN / "kube-proxy", f"--config={path}")


def start_all():
    """Starts the kubelet and kube-proxy. containerd must run and have the images."""
    kubelet(place.FIRST)
    proxy()
