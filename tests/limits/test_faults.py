"""Redis is slow, hangs, or is away while 200 calls a second are made: none fails for it, and what was spent is settled."""

import asyncio
import contextlib
import random
import time

import pytest

from rest_calls import client, failures, percentile
from double import Wish, upstream
from engine import redis
from gateways import SHARES, gateways, used
from toxics import toxiproxy

RATE = 200
# How long calls are made before, during and after a fault, in seconds.
BEFORE, DURING, AFTER = 2, 4, 3
MODEL = "gemini-2.5-flash"
# No call reaches these limits, also not the share of one gateway.
LIMITS = {
    "calls_in_flight": 10_000,
    "calls_per_minute": 10_000_000,
    "tokens_per_minute": 1_000_000_000,
    "tokens_per_day": 1_000_000_000_000,
    "cost_per_month": 1_000_000,
}
CALLERS = dict.fromkeys(("team-0", "team-1", "team-2"), LIMITS)
# The most that may differ from what upstream gave, as a share.
TOLERANCE = 0.01
# What --judge-times allows, in milliseconds: in the first second, and after the circuit breaker has opened.
FIRST_SECOND, OPEN = 60, 5


def wish():
    """A call of any caller, with any number of tokens."""
    output = random.randint(1, 500)
    return Wish(random.choice(list(CALLERS)), input=random.randint(1, 500), output=output, pause=random.uniform(0, 0.03))


# Each is a fault of a server behind a proxy, and whether the gateways have to do without Redis meanwhile.
@contextlib.contextmanager
def paused(server, _):
    server.pause()
    try:
        yield
    finally:
        server.go_on()


@contextlib.contextmanager
def killed(server, _):
    server.kill()
    try:
        yield
    finally:
        server.start()


def toxic(kind, **attributes):
    return lambda _, proxy: proxy.toxic(kind, **attributes)


FAULTS = {
    "a delay within the limit": (toxic("latency", latency=10, jitter=5), False),
    "a delay over the limit": (toxic("latency", latency=300, jitter=100), True),
    "no bytes arrive": (toxic("timeout", timeout=0), True),
    "no bytes are sent on": (toxic("timeout", stream="upstream", timeout=0), True),
    "connections are reset": (toxic("reset_peer", timeout=0), True),
    "connections close late": (toxic("slow_close", delay=2000), False),
    "answers come in pieces": (toxic("slicer", average_size=2, size_variation=1, delay=100), False),
    "connections are refused": (lambda _, proxy: proxy.down(), True),
    "the server is stopped": (paused, True),
    "the server is killed and starts again": (killed, True),
}


async def call_through(fault, calls, started):
    """Calls before, during and after a fault, when it began, and how many calls had to do without Redis."""
    loop = asyncio.get_running_loop()
    before = await calls.offer(wish, RATE, BEFORE)
    with fault:
        begun = time.monotonic()
        during = await calls.offer(wish, RATE, DURING)
        # What ends the fault may wait for a process.
        after = loop.create_task(calls.offer(wish, RATE, AFTER))
        await asyncio.sleep(0.2)
    after = await after
    return before, during, after, begun, sum(gateway.metric(SHARES) for gateway in started)


def check_times(name, before, during, begun, judged):
    """Prints what the fault added to the slowest calls, and checks it if that is judged. Without an open circuit breaker it
    may be added to every call."""
    normal = percentile(before, 0.99)
    first = percentile([call for call in during if call.begun < begun + 1], 0.99) - normal
    later = percentile([call for call in during if call.begun >= begun + 1], 0.99) - normal
    print(f"{name}: p99 {normal:.1f} ms, in the first second {first:+.1f} ms, later {later:+.1f} ms")
    assert not judged or (first <= FIRST_SECOND and later <= (OPEN if FAULTS[name][1] else FIRST_SECOND))


async def check_settled(started, double, exact=False):
    """Checks what was used of each caller against what upstream gave, as each gateway reports it."""
    for caller in CALLERS:
        wanted = used(double.given[caller])
        for found in await asyncio.to_thread(started.settled_usage, caller, MODEL, wanted, 10):
            assert found, caller
            for what, value in wanted.items():
                allowed = 0 if exact else TOLERANCE * value
                assert abs(found[what] - value) <= allowed, f"{caller}: {what}: {found[what]} instead of {value}"


@pytest.mark.parametrize("name", FAULTS)
async def test_no_call_fails_and_what_was_spent_is_settled(name, tmp_path, judge_times):
    fault, is_away = FAULTS[name]
    async with upstream() as double:
        with redis(tmp_path / "redis") as server, toxiproxy(server.address) as proxy:
            with gateways(tmp_path, 2, double.url, proxy.url, CALLERS) as started:
                started.connected()
                async with client(started.addresses) as calls:
                    before, during, after, begun, shares = await call_through(fault(server, proxy), calls, started)
                assert not failures([*before, *during, *after])
                # A busy machine may delay answers too.
                assert shares > RATE * DURING / 2 or not is_away
                await asyncio.to_thread(started.connected)
                await check_settled(started, double)
                check_times(name, before, during, begun, judge_times)


async def test_gateways_that_start_without_redis_use_it_when_it_is_there(tmp_path):
    async with upstream() as double:
        with redis(tmp_path / "redis") as server, toxiproxy(server.address) as proxy:
            with proxy.down(), contextlib.ExitStack() as stack:
                started = stack.enter_context(gateways(tmp_path, 2, double.url, proxy.url, CALLERS))
                keep = stack.pop_all()
                async with client(started.addresses) as calls:
                    assert not failures(await calls.offer(wish, RATE, 1))
                started.disconnected()
            with keep:
                await asyncio.to_thread(started.connected)
                async with client(started.addresses) as calls:
                    assert not failures(await calls.offer(wish, RATE, 1))
                await check_settled(started, double)


async def test_a_share_of_the_limit_holds_without_redis(tmp_path):
    callers = {"calls": {"calls_per_minute": 600}, "flight": {"calls_in_flight": 20}}
    async with upstream() as double:
        with redis(tmp_path / "redis") as server, gateways(tmp_path, 4, double.url, server.url, callers) as started:
            started.connected()
            async with client(started.addresses) as calls:
                server.kill()
                begun = time.monotonic()
                # Each may admit a quarter: a minute's worth at once, and what refills.
                ended = await calls.offer(Wish("calls"), RATE, 6)
                admitted = sum(call.ok for call in ended)
                refused = {(call.status, call.quota) for call in ended if not call.ok}
                assert refused == {(429, "calls_per_minute")} and 600 <= admitted <= 680, admitted
                assert {call.gateway for call in ended if call.ok} == {0, 1, 2, 3}
                streams = [asyncio.create_task(calls.call(Wish("flight", pause=1), stream=True)) for _ in range(40)]
                ended = await asyncio.gather(*streams)
                assert double.given["flight"].most_in_flight == 20 == sum(call.ok for call in ended)
                assert {call.quota for call in ended if not call.ok} == {"calls_in_flight"}
                server.start()
                await asyncio.to_thread(started.connected)
                wanted = used(double.given["calls"])
                assert await asyncio.to_thread(started.settled_usage, "calls", MODEL, wanted) == [wanted] * 4
                # What was spent meanwhile counts now: of these, only what has refilled since is admitted.
                await calls.offer(Wish("calls"), RATE, 1)
                most = 600 + (time.monotonic() - begun) * 600 / 60
                assert double.given["calls"].calls <= most * (1 + TOLERANCE)


async def test_data_that_redis_loses_disturbs_no_call(tmp_path):
    callers = {**CALLERS, "late": LIMITS}
    async with upstream() as double:
        with redis(tmp_path / "redis") as server, gateways(tmp_path, 2, double.url, server.url, callers) as started:
            started.connected()
            async with client(started.addresses) as calls:
                running = asyncio.create_task(calls.offer(wish, RATE, 3))
                await asyncio.sleep(1)
                server.cli("flushall")
                server.cli("script", "flush")
                assert not failures(await running)
                # What is used from there on counts.
                assert not failures(await calls.offer(Wish("late"), RATE, 1))
                wanted = used(double.given["late"])
                assert await asyncio.to_thread(started.settled_usage, "late", MODEL, wanted) == [wanted] * 2
