"""Gateways are killed and restarted: no place is taken forever, and nothing that was used is forgotten."""

import asyncio
import datetime
import time

import pytest

from rest_calls import client
from double import Wish, upstream
from engine import redis
from gateways import PRICES, gateways, used

MODEL, IMAGE_MODEL = "gemini-2.5-flash", "gemini-2.5-flash-image"
# A gateway that is killed keeps the places of its calls for this time, in seconds.
LEASE = 30
# The time that a busy machine may need beyond that.
SLACK = 5


async def open_streams(calls, gateway, count, wish):
    """Tasks of streams that stay open."""
    return [asyncio.create_task(calls.call(wish, gateway, stream=True)) for _ in range(count)]


async def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.02)


async def test_the_places_of_a_killed_gateway_are_free_after_the_lease(tmp_path):
    callers = {"flight": {"calls_in_flight": 50}}
    long, short = Wish("flight", pause=0.5, events=1000), Wish("flight")
    async with upstream() as double:
        with redis(tmp_path / "redis") as server, gateways(tmp_path, 2, double.url, server.url, callers) as started:
            started.connected()
            async with client(started.addresses) as calls:
                streams = await open_streams(calls, 0, 50, long)
                await wait_for(lambda: double.given["flight"].in_flight == 50, "all streams are open")
                # As long as they last, beyond the lease, their places are taken.
                begun = time.monotonic()
                while time.monotonic() < begun + LEASE + SLACK:
                    refused = await calls.call(short, 1)
                    assert (refused.status, refused.quota) == (429, "calls_in_flight"), refused
                    await asyncio.sleep(0.5)
                assert double.given["flight"].in_flight == 50

                started[0].kill()
                killed = time.monotonic()
                ended = await asyncio.gather(*streams)
                assert not any(call.ok for call in ended)
                # The leases end one after the other, in the order in which they were renewed.
                first = None
                while time.monotonic() < killed + LEASE:
                    if (await calls.call(short, 1)).ok and first is None:
                        first = time.monotonic() - killed
                    await asyncio.sleep(0.5)
                print(f"a first place was free {first and round(first, 1)} s after the gateway was killed")
                await asyncio.sleep(1)
                streams = await open_streams(calls, 1, 50, long)
                await wait_for(lambda: double.given["flight"].in_flight == 50, "all places are free", SLACK)
                assert (await calls.call(short, 1)).quota == "calls_in_flight"

                # A gateway that replaces it has the same places. Those of calls that were cancelled are free again.
                started[0].start()
                calls.addresses = started.addresses
                started.connected()
                assert (await calls.call(short, 0)).quota == "calls_in_flight"
                for stream in streams:
                    stream.cancel()
                await wait_for(lambda: double.given["flight"].in_flight == 0, "the streams have ended")
                await asyncio.sleep(2)
                for gateway in (0, 1):
                    assert (await calls.call(short, gateway)).ok


# A call of each caller uses a third of its limit.
WISHES = {
    "tokens_per_day": (MODEL, Wish("tokens_per_day", input=60, output=40), 300),
    "tokens_per_month": (MODEL, Wish("tokens_per_month", input=60, output=40), 300),
    "images_per_day": (IMAGE_MODEL, Wish("images_per_day", pictures=1), 3),
    "cost_per_day": (MODEL, Wish("cost_per_day", input=1000, cached=400, output=500), 3 * 0.0027),
    "cost_per_month": (IMAGE_MODEL, Wish("cost_per_month", pictures=2), 3.0),
}


@pytest.fixture
def same_day():
    """Not just before midnight in UTC, when budgets start again."""
    now = datetime.datetime.now(datetime.UTC)
    if (now + datetime.timedelta(minutes=1)).date() != now.date():
        time.sleep(60)


async def test_what_was_used_survives_restarts(tmp_path, same_day):
    cost = (600 * PRICES["input"] + 400 * PRICES["cached_input"] + 500 * PRICES["output"]) / 1e6
    assert cost == 0.0027
    callers = {name: {name: limit} for name, (_, _, limit) in WISHES.items()}
    async with upstream() as double:
        with redis(tmp_path / "redis") as server, gateways(tmp_path, 2, double.url, server.url, callers) as started:
            started.connected()
            async with client(started.addresses) as calls:
                for model, wish, _ in WISHES.values():
                    for gateway in (0, 1, 0):
                        call = await calls.call(wish, gateway, model=model)
                        assert call.ok, call
                        settled(started, double, wish.caller, model)
                await check_all_used(calls)
                # One ends orderly, the other is killed.
                started[0].stop()
                started[1].kill()
                for gateway in started:
                    gateway.start()
                calls.addresses = started.addresses
                started.connected()
                for model, wish, _ in WISHES.values():
                    settled(started, double, wish.caller, model)
                await check_all_used(calls)


def settled(started, double, caller, model):
    """Checks that every gateway reports what upstream gave."""
    wanted = used(double.given[caller])
    assert started.settled_usage(caller, model, wanted) == [wanted] * len(started)


async def check_all_used(calls):
    """Checks that each gateway refuses each caller, until its limit starts again."""
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.datetime.combine(now.date() + datetime.timedelta(days=1), datetime.time(), datetime.UTC)
    month = (day.replace(day=1) + datetime.timedelta(days=32)).replace(day=1) if day.day != 1 else day
    for name, (model, wish, _) in WISHES.items():
        for gateway in (0, 1):
            call = await calls.call(wish, gateway, model=model)
            assert (call.status, call.quota) == (429, name), call
            end = month if name.endswith("month") else day
            assert abs(call.retry_after - (end - now).total_seconds()) < 60, call
