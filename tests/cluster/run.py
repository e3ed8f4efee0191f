"""Tests the Helm chart in a real Kubernetes on this machine.

Starts etcd, the control plane, containerd, kubelet, kube-proxy and CoreDNS, installs the chart, and runs scenarios
under load. All files are in target/cluster, and everything except the logs and programs is removed at the end. Needs
root.
"""

import argparse
import importlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "production"))
SCENARIOS = [
    *("helm_test", "accepted", "memory_limit", "upgrade", "deletion", "hung", "few_files", "scaling"),
    *("autoscaling_on", "many_pods", "node_drain", "dual_stack", "rotation", "shared_limits", "policy", "envoy_gateway"),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--only", choices=SCENARIOS, action="append", help="run only this scenario; can be repeated")
    add("--keep", action="store_true", help="leave the cluster running, and print how to use it with kubectl")
    add("--down", action="store_true", help="only remove a cluster that was left running")
    add("--rate", type=float, default=200, help="calls per second")
    add("--connections", type=int, default=200, help="connections on which they are made")
    add("--streams", type=int, default=100, help="streams that are open at the same time")
    add("--words", type=int, default=800, help="average words of a stream, at forty words per second")
    return parser.parse_args()


def main(args):
    import chart
    import cluster
    import machine
    import programs
    from running import end_well
    from tools import say
    from verdict import Verdict, table

    if args.down:
        machine.restore()
        return 0
    end_well()
    verdict = Verdict()
    with cluster.cluster(args.keep):
        table(("program", "version"), *programs.versions())
        say("\n=== bring-up")
        resolved, answer = cluster.up()
        verdict.check("bring-up: a pod resolves a Service", resolved, answer)
        chart.install()
        for name in args.only or SCENARIOS:
            scenario = importlib.import_module(name)
            say(f"\n=== {name}: {scenario.__doc__.splitlines()[0]}")
            try:
                scenario.run(args, verdict)
            except (RuntimeError, AssertionError, OSError) as error:
                verdict.check(f"{name}: runs to its end", False, str(error)[:300])
    if not args.keep:
        left = machine.leftovers()
        verdict.check("end: nothing is left on the machine", not left, ", ".join(left) or "nothing")
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    import tools

    tools.enter()
    raise SystemExit(main(parsed))
