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
    """Starts the second node, until the `with` block ends.

    It needs no kube-proxy: the rules of the first node's kube-proxy apply to the whole machine.
    """
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
        machine.attempt("ip", "link", "delete", place.SECOND_LINK)
