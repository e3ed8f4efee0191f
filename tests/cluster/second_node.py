"""A second node of the cluster, on the same machine."""

import contextlib

import images
import machine
import place
import worker
from children import stop
from kube import kubectl


@contextlib.contextmanager
def second_node():
    """Another node, for as long as the block runs. The rules of kube-proxy on the first hold for this machine."""
    node = place.SECOND
    node.folder.mkdir()
    machine.link(place.SECOND_LINK, f"{node.address}/32", f"{node.address_6}/128")
    machine.make_cgroups(node.cgroup)
    worker.containerd(node)
    images.copy(node)
    worker.kubelet(node)
    try:
        yield node
    finally:
        kubectl("delete", "node", node.name)
        stop(node.process("kubelet"))
        machine.end_containers(node)
        stop(node.process("containerd"))
        machine.quietly("ip", "link", "delete", place.SECOND_LINK)
