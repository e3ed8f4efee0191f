"""Runs the real Redis: one server, a cluster of three masters, or a server with a replica and sentinels.

Their data is in folders of the run. Ports are chosen here, since Redis cannot choose one.
"""

import contextlib
import shutil
import signal
import subprocess

from processes import Process, free_port
from telemetry import wait_until

SERVER, CLI = shutil.which("redis-server"), shutil.which("redis-cli")
SLOTS = 16384


class Redis:
    """One redis-server. It writes each change to a file before it answers, so that it loses nothing if it is killed."""

    def __init__(self, folder, *settings, url_options="", user=""):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.port = free_port()
        self.user = user
        self.url_options = url_options
        self.settings = [
            *("--port", self.port, "--bind", "127.0.0.1", "--dir", folder, "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "no", "--shutdown-timeout", "0"),
            *settings,
        ]
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"redis://{self.user}{self.address}{self.url_options}"

    def start(self):
        """Starts it, also again after it was killed, and waits until it answers."""
        self.server = Process(*map(str, self.settings), program=SERVER)
        try:
            self.server.wait_for(lambda line: "Ready to accept connections" in line)
        except BaseException:
            self.stop()
            raise

    def send(self, number):
        self.server.process.send_signal(number)

    def pause(self):
        """It keeps its connections and answers nothing."""
        self.send(signal.SIGSTOP)

    def go_on(self):
        self.send(signal.SIGCONT)

    def kill(self):
        self.send(signal.SIGKILL)
        self.server.process.wait(10)

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            self.go_on()
        self.server.stop()

    def cli(self, *words):
        """What redis-cli prints for a command."""
        return cli(self.port, *words)

    def id(self):
        """Its name in a cluster."""
        return self.cli("cluster", "myid").strip()

    def keys(self):
        """The number of keys."""
        return int(self.cli("dbsize"))

    def clients(self):
        """The number of connections, without the one that asks."""
        return self.cli("client", "list").count("\n") - 1


def cli(port, *words):
    command = [CLI, "-h", "127.0.0.1", "-p", port, *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=30, check=True)
    assert not done.stdout.startswith(("ERR", "WRONG", "NO")), f"{words}: {done.stdout}"
    return done.stdout


@contextlib.contextmanager
def redis(folder, *settings, **more):
    """A server, until the `with` block ends."""
    server = Redis(folder, *settings, **more)
    try:
        yield server
    finally:
        server.stop()


class Cluster:
    """Three masters, each with a third of the slots, and one replica of each."""

    def __init__(self, folder):
        self.nodes = []
        try:
            for number in range(6):
                settings = ["--cluster-enabled", "yes", "--cluster-port", free_port(), "--cluster-node-timeout", 1000]
                settings += ["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", 0]
                self.nodes.append(Redis(folder / str(number), *settings))
            self._join()
        except BaseException:
            self.stop()
            raise

    def _join(self):
        self.masters, replicas = self.nodes[:3], self.nodes[3:]
        ends = [SLOTS * part // 3 for part in range(4)]
        for number, master in enumerate(self.masters):
            master.cli("cluster", "set-config-epoch", number + 1)
            master.cli("cluster", "addslotsrange", ends[number], ends[number + 1] - 1)
        for node in self.nodes[1:]:
            bus = node.settings[node.settings.index("--cluster-port") + 1]
            self.nodes[0].cli("cluster", "meet", "127.0.0.1", node.port, bus)
        wait_until(lambda: all(node.cli("cluster", "nodes").count("\n") == 6 for node in self.nodes), "all are known")
        for master, replica in zip(self.masters, replicas, strict=True):
            wait_until(lambda master=master, replica=replica: master.id() in replica.cli("cluster", "nodes"), "the master")
            replica.cli("cluster", "replicate", master.id())
        wait_until(lambda: all("cluster_state:ok" in node.cli("cluster", "info") for node in self.nodes), "a cluster")
        wait_until(lambda: all("master_link_status:up" in node.cli("info", "replication") for node in replicas), "replicas")

    @property
    def url(self):
        """The first two: the others are found through them."""
        return f"redis://{self.nodes[0].address},{self.nodes[1].address}?cluster=true"

    def running(self):
        return [node for node in self.nodes if node.server.process.poll() is None]

    def master_of(self, slot):
        """The master that serves a slot, as its nodes see it."""
        for node in self.running():
            for line in node.cli("cluster", "nodes").splitlines():
                fields = line.split()
                if "myself,master" in fields[2] and any(holds(slot, text) for text in fields[8:]):
                    return node
        return None

    def slot_of(self, key):
        return int(self.running()[0].cli("cluster", "keyslot", key))

    def move(self, slot, target):
        """Moves a slot with its keys to another master, in the steps that Redis documents for it."""
        source = self.master_of(slot)
        target.cli("cluster", "setslot", slot, "importing", source.id())
        source.cli("cluster", "setslot", slot, "migrating", target.id())
        while keys := source.cli("cluster", "getkeysinslot", slot, 100).split():
            source.cli("migrate", "127.0.0.1", target.port, "", 0, 5000, "keys", *keys)
        for node in (target, source, *(each for each in self.masters if each not in (source, target))):
            node.cli("cluster", "setslot", slot, "node", target.id())

    def stop(self):
        for node in self.nodes:
            node.stop()


def holds(slot, text):
    """Whether a range of slots in a line of CLUSTER NODES contains a slot."""
    first, _, last = text.partition("-")
    return first.isdecimal() and int(first) <= slot <= int(last or first)


class Sentinels:
    """A server with a replica, and three sentinels that make the replica the master when the master is down."""

    NAME = "limits"

    def __init__(self, folder):
        self.processes, self.nodes = [], []
        try:
            self.master = self._server(folder / "master")
            self.replica = self._server(folder / "replica", "--replicaof", f"127.0.0.1 {self.master.port}")
            wait_until(lambda: "master_link_status:up" in self.replica.cli("info", "replication"), "the replica")
            self.ports = [self._sentinel(folder / f"sentinel-{number}") for number in range(3)]
            wait_until(lambda: all(self._sees_others(port) for port in self.ports), "the sentinels see each other")
        except BaseException:
            self.stop()
            raise

    def _server(self, folder, *settings):
        node = Redis(folder, "--repl-diskless-sync-delay", 0, *settings)
        self.nodes.append(node)
        return node

    def _sentinel(self, folder):
        folder.mkdir()
        port, file = free_port(), folder / "sentinel.conf"
        lines = [f"port {port}", "bind 127.0.0.1", f"dir {folder}"]
        lines += [f"sentinel monitor {self.NAME} 127.0.0.1 {self.master.port} 2"]
        lines += [f"sentinel down-after-milliseconds {self.NAME} 1000", f"sentinel failover-timeout {self.NAME} 5000"]
        file.write_text("\n".join([*lines, ""]))
        process = Process(str(file), "--sentinel", program=SERVER)
        self.processes.append(process)
        process.wait_for(lambda line: "+monitor master" in line)
        return port

    def _sees_others(self, port):
        words = cli(port, "sentinel", "master", self.NAME).split()
        found = dict(zip(words[::2], words[1::2], strict=False))
        return (found["num-other-sentinels"], found["num-slaves"]) == ("2", "1")

    @property
    def url(self):
        return f"redis://{','.join(f'127.0.0.1:{port}' for port in self.ports)}?sentinel={self.NAME}"

    def fail_over(self):
        """Kills the master, and waits until the sentinels name the replica."""
        self.master.kill()
        wait_until(lambda: self.named() == self.replica.port, "the replica is the master")

    def named(self):
        """The port of the master that the first sentinel names."""
        return int(cli(self.ports[0], "sentinel", "get-master-addr-by-name", self.NAME).split()[1])

    def stop(self):
        for process in self.processes:
            process.stop()
        for node in self.nodes:
            node.stop()


@contextlib.contextmanager
def running(kind, folder):
    """A `Cluster` or `Sentinels`, until the `with` block ends."""
    engine = kind(folder)
    try:
        yield engine
    finally:
        engine.stop()
