"""A pool of upstream keys, of which upstream refuses some at random: calls succeed, and keys that rest are not used."""

import asyncio
import random

from double import Wish, upstream
from engine import redis
from gateways import gateways
from key_pool import FOR_GOOD, Keys, pieces
from rest_calls import client, failures

RATE, SECONDS = 200, 60
CALLERS = {"team": {"calls_in_flight": 10_000}}


async def refuse_some(keys, until):
    """Refuses another key for seconds every second, and one for good every five."""
    number = 0
    while not until.done():
        number += 1
        keys.refuse_for_seconds()
        if number % 5 == 0:
            keys.refuse_for_good()
        await asyncio.sleep(random.uniform(0.5, 1.5))


async def test_calls_succeed_while_keys_are_refused_at_random(tmp_path):
    keys = Keys(5)
    more = {"key": None, "log": "trace"}
    flags = ["--api-key-file", keys.write(tmp_path / "keys")]
    async with upstream() as double:
        double.refuse = keys.answer
        with redis(tmp_path / "redis") as server:
            with gateways(tmp_path, 2, double.url, server.url, CALLERS, *flags, **more) as started:
                started.connected()
                async with client(started.addresses) as calls:
                    offered = asyncio.create_task(calls.offer(Wish("team"), RATE, SECONDS))
                    await refuse_some(keys, offered)
                    ended = await offered
                metrics = "".join(gateway.read("/metrics") for gateway in started)
            written = "".join(line for gateway in started for line in gateway.process.output)
    by_key = ", ".join(f"{key.name} {key.requests}" for key in keys.keys)
    print(f"{len(ended)} calls, {keys.requests} requests, of which {keys.refusals} were refused; {by_key}")
    assert not failures(ended)
    assert not keys.failing and keys.refusals > len(FOR_GOOD) + 10 and not keys.too_early
    # A key that is refused costs the few requests that are on their way.
    assert keys.refusals < len(ended) / 20
    assert written.count("TRACE") > 1000 and all(key.name in metrics for key in keys.keys)
    for key in keys.keys:
        assert not [piece for piece in pieces(key.text) if piece in written or piece in metrics]
