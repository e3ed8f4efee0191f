"""Two gateways with Redis, a pool of keys and budgets under load for a long time: nothing grows, and every token is counted.

Callers with every kind of limit make calls and streams with a random number of tokens and pictures, and upstream refuses
keys at random. The gateways' memory, files and threads, and the keys, connections and memory of Redis, are read every ten
seconds. After the first two minutes (at most a fifth of the time) none of them may grow; what counts as growth is as in
soak.py. At the end, each gateway must report exactly the calls, tokens, pictures and costs that upstream has given.
"""

import argparse
import asyncio
import random
import statistics

import tools

# The allowed growth of a figure: a share of its median, but at least this much.
ALLOWED_GROWTH_SHARE = 0.05
ALLOWED_GROWTH = {
    "memory": 8 << 20,
    "files": 20,
    "threads": 0,
    "keys in Redis": 2,
    "connections of Redis": 2,
    "memory of Redis": 1 << 20,
}
LIMITS = {
    "calls_in_flight": 10_000,
    "calls_per_minute": 10_000_000,
    "tokens_per_minute": 1_000_000_000,
    "tokens_per_day": 1_000_000_000_000,
    "tokens_per_month": 1_000_000_000_000,
    "images_per_day": 1_000_000_000,
    "cost_per_day": 1_000_000,
    "cost_per_month": 1_000_000,
}
TEXT, IMAGE = "gemini-2.5-flash", "gemini-2.5-flash-image"
# Each caller calls one model, so that its usage can be compared.
CALLERS = {"text-a": TEXT, "text-b": TEXT, "text-c": TEXT, "image-a": IMAGE}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--minutes", type=float, default=20, help="how long to call")
    add("--rate", type=float, default=150, help="calls a second, a third of them for a stream")
    add("--every", type=float, default=10, help="the interval between readings, in seconds")
    return parser.parse_args()


def wish(model):
    """A call of any caller of a model."""
    from double import Wish

    caller = random.choice([name for name, each in CALLERS.items() if each == model])
    cached = random.randint(0, 200)
    tokens = {"input": cached + random.randint(1, 500), "cached": cached, "output": random.randint(1, 500)}
    return Wish(caller, pause=random.uniform(0, 0.2), pictures=int(model == IMAGE), **tokens)


def read(started, server):
    """The figures of all gateways together, and of Redis."""
    from running import Gateway

    servers = [Gateway(gateway.process, gateway.address) for gateway in started]
    memory = next(line for line in server.cli("info", "memory").splitlines() if line.startswith("used_memory:"))
    return {
        "memory": sum(each.status("VmRSS") for each in servers),
        "files": sum(each.files() for each in servers),
        "threads": sum(each.status("Threads") for each in servers),
        "keys in Redis": server.keys(),
        "connections of Redis": server.clients(),
        "memory of Redis": int(memory.partition(":")[2]),
    }


async def keep_calling(calls, rate, seconds, model, stream):
    """Makes calls at a fixed rate; returns how many, and what is wrong with those that failed."""
    from rest_calls import failures

    total, wrong, end = 0, [], asyncio.get_running_loop().time() + seconds
    while (left := end - asyncio.get_running_loop().time()) > 0:
        ended = await calls.offer(lambda: wish(model), rate, min(10, left + 0.1), model=model, stream=stream)
        total += len(ended)
        wrong += failures(ended)
    return total, wrong


async def refuse_some(keys):
    while True:
        keys.refuse_for_seconds()
        await asyncio.sleep(random.uniform(0.5, 1.5))


async def watch(started, server, every, samples):
    from verdict import mib

    begun = asyncio.get_running_loop().time()
    while True:
        figures = await asyncio.to_thread(read, started, server)
        for name, value in figures.items():
            samples[name].append(value)
        shown = ", ".join(f"{mib(value) if 'memory' in name else value} {name}" for name, value in figures.items())
        tools.say(f"  {asyncio.get_running_loop().time() - begun:6.0f} s  {shown}")
        await asyncio.sleep(every)


async def run(args, verdict, samples):
    from double import upstream
    from engine import redis
    from gateways import gateways, used
    from key_pool import Keys
    from rest_calls import client

    folder, keys = tools.scratch("store_soak"), Keys(4)
    file = keys.write(folder / "keys")
    async with upstream() as double:
        double.refuse = keys.answer
        # Redis writes nothing: what it would rewrite from time to time has nothing to do with the gateways.
        settings = ["--appendonly", "no"]
        with redis(folder / "redis", *settings) as server:
            callers = dict.fromkeys(CALLERS, LIMITS)
            with gateways(folder, 2, double.url, server.url, callers, "--api-key-file", file, key=None) as started:
                await asyncio.to_thread(started.connected)
                async with client(started.addresses) as calls:
                    kinds = [(TEXT, False), (TEXT, True), (IMAGE, False)]
                    others = [refuse_some(keys), watch(started, server, args.every, samples)]
                    others = [asyncio.create_task(each) for each in others]
                    loads = [keep_calling(calls, args.rate / 3, args.minutes * 60, *kind) for kind in kinds]
                    results = await asyncio.gather(*loads)
                    for each in others:
                        each.cancel()
                for caller, model in CALLERS.items():
                    wanted = used(double.given[caller])
                    found = await asyncio.to_thread(started.settled_usage, caller, model, wanted)
                    verdict.check(f"{caller}: usage is what upstream gave", found == [wanted] * len(started), found[0])
    wrong = [each for _, some in results for each in some]
    total = sum(count for count, _ in results)
    verdict.check("no call fails", not wrong, f"{len(wrong)} of {total} {wrong[:1] or ''}")
    verdict.check("keys were refused", keys.refusals > 0, f"{keys.refusals} of {keys.requests} requests")


def main(args):
    from running import end_well
    from soak import growth
    from verdict import Verdict, mib

    end_well()
    verdict, samples = Verdict(), {name: [] for name in ALLOWED_GROWTH}
    asyncio.run(run(args, verdict, samples))
    warm = int(min(120, args.minutes * 12) / args.every)
    for name, values in samples.items():
        late = values[warm:]
        line, medians = growth(late)
        share = ALLOWED_GROWTH_SHARE * statistics.median(late) if "memory" in name else 0
        shown = [mib(value) if "memory" in name else round(value, 1) for value in (late[0], max(late), line, medians)]
        seen = "from {}, at most {}, line {:+}, quarters {:+}".format(*shown)
        verdict.check(f"{name}: no growth", len(late) > 3 and min(line, medians) <= max(ALLOWED_GROWTH[name], share), seen)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
