"""Every form of Redis that is supported: a cluster, sentinels, and a server with TLS and a user that may do little."""

import asyncio
import contextlib
import re
from urllib.parse import quote

import pytest

from rest_calls import client, failures
from certificates import Authority
from double import upstream
from engine import Cluster, Sentinels, redis, running
from gateways import gateways
from processes import ROOT, free_port
from telemetry import wait_until
from test_faults import CALLERS, RATE, check_settled, wish



def permissions():
    """The commands that a gateway needs, as docs/operations.md gives them to a user of Redis."""
    (line,) = re.findall("^ACL SETUSER .*$", (ROOT / "docs/operations.md").read_text(), re.M)
    return [word for word in line.split() if word.startswith("+")]


@contextlib.asynccontextmanager
async def calling(folder, url, *flags, **more):
    """Two gateways with this URL: the gateways, the upstream, and a client."""
    async with upstream() as double:
        with gateways(folder, 2, double.url, url, CALLERS, *flags, **more) as started:
            await asyncio.to_thread(started.connected)
            async with client(started.addresses) as calls:
                yield started, double, calls


async def test_a_cluster_whose_slots_move_and_whose_masters_die(tmp_path):
    with running(Cluster, tmp_path / "cluster") as cluster:
        async with calling(tmp_path, cluster.url) as (started, double, calls):
            slots = [cluster.slot_of(f"gemini-grpc:{{{caller}}}:rates") for caller in CALLERS]
            offered = asyncio.create_task(calls.offer(wish, RATE, 12))
            await asyncio.sleep(1)
            # Every slot that is used moves to another master, one after the other.
            await asyncio.to_thread(move_all, cluster, slots)
            await asyncio.sleep(1)
            await asyncio.to_thread(kill_master, cluster, slots[0])
            ended = await offered
            assert not failures(ended)
            await asyncio.to_thread(started.connected)
            await check_settled(started, double)


def move_all(cluster, slots):
    for slot in slots:
        source = cluster.master_of(slot)
        cluster.move(slot, next(node for node in cluster.masters if node is not source))


def kill_master(cluster, slot):
    """Kills a master, and waits until its replica serves the slot."""
    cluster.master_of(slot).kill()
    wait_until(lambda: cluster.master_of(slot), "a replica has become a master")


async def test_sentinels_that_name_another_master(tmp_path):
    with running(Sentinels, tmp_path / "sentinels") as sentinels:
        async with calling(tmp_path, sentinels.url) as (started, double, calls):
            offered = asyncio.create_task(calls.offer(wish, RATE, 8))
            await asyncio.sleep(1)
            await asyncio.to_thread(sentinels.fail_over)
            assert not failures(await offered)
            await asyncio.to_thread(started.connected)
            await check_settled(started, double)


@pytest.fixture
def authority(tmp_path):
    """The files of an authority, and of a certificate and key for this machine."""
    authority, files = Authority(), [tmp_path / name for name in ("ca.pem", "certificate.pem", "key.pem")]
    _, certificate, key = authority.issue()
    for file, text in zip(files, (authority.pem(), certificate, key), strict=True):
        file.write_bytes(text)
    return files


async def test_tls_with_a_private_authority_and_a_user_that_may_do_little(tmp_path, authority):
    ca, certificate, key = authority
    port, passwords = free_port(), ["a:password/with?all#of@it%", "another-password"]
    settings = ["--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no"]
    secret = tmp_path / "url"

    def let_in(password):
        server.cli("acl", "setuser", "gateway", "reset", "on", f">{password}", "~shared:*", *permissions())
        secret.write_text(f"rediss://gateway:{quote(password, safe='')}@localhost:{port}/3\n")

    flags = ["--limits-url-file", secret, "--limits-ca", ca, "--limits-prefix", "shared", "--reload-interval", "1"]
    with redis(tmp_path / "redis", *settings) as server:
        let_in(passwords[0])
        async with calling(tmp_path, None, *map(str, flags), log="trace") as (started, double, calls):
            assert not failures(await calls.offer(wish, RATE, 2))
            await check_settled(started, double, exact=True)
            # The password changes, and connections with the old one are closed.
            let_in(passwords[1])
            server.cli("client", "kill", "user", "gateway")
            assert not failures(await calls.offer(wish, RATE, 1))
            await asyncio.to_thread(started.connected)
            await check_settled(started, double)
            names = server.cli("-n", "3", "keys", "*").split()
            assert names and all(name.startswith("shared:") for name in names), names
            assert server.keys() == 0
            # Nothing but the old password was refused.
            assert set(re.findall(r"reason\n(\S+)", server.cli("acl", "log"))) <= {"auth"}
            written = "".join(line for gateway in started for line in gateway.process.output)
            assert "TRACE" in written
            for password in passwords:
                assert password not in written and quote(password, safe="") not in written


@pytest.mark.parametrize("url", ["rediss://gateway:WRONG-MARK@localhost:{port}", "rediss://localhost:{port}"])
async def test_a_server_that_refuses_the_gateway_disturbs_no_call(tmp_path, authority, url):
    ca, certificate, key = authority
    port = free_port()
    settings = ["--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no"]
    with redis(tmp_path / "redis", *settings) as server:
        server.cli("acl", "setuser", "default", "resetpass", ">a-password")
        # The second trusts no authority that has signed the server's certificate.
        flags = ["--limits-ca", str(ca)] if "MARK" in url else []
        async with upstream() as double:
            with gateways(tmp_path, 2, double.url, url.format(port=port), CALLERS, *flags) as started:
                async with client(started.addresses) as calls:
                    assert not failures(await calls.offer(wish, RATE, 1))
                started.disconnected()
                for gateway in started:
                    lines = gateway.log("WARN")
                    # It says so once, and not with each call.
                    assert 1 <= len(lines) <= 3 and "WRONG-MARK" not in "".join(lines), lines
