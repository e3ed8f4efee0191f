"""Runs several gateways in front of one upstream, with the same callers and the same Redis, as the pods of a deployment."""

import contextlib
import hashlib
import json
import signal
import urllib.request

from rest_calls import token
from processes import address_in, admin_in, start
from telemetry import wait_until

# Dollars per million tokens, and per picture: numbers of which every sum is exact.
PRICES = {"input": 1.0, "cached_input": 0.25, "output": 4.0, "image": 0.5}
LOG = "warn,gemini_grpc=info,gemini_grpc::access=off"
# Whether a gateway uses Redis, how many it has seen there, and how many calls its share has decided.
UP, PODS, SHARES = "gemini_grpc_store_up", "gemini_grpc_store_pods", "gemini_grpc_store_shares_total"
MODELS = {"text_model": "gemini-2.5-flash", "image_model": "gemini-2.5-flash-image"}


def callers_file(folder, callers):
    """A file with these callers and their limits."""
    lines = []
    for name, limits in callers.items():
        lines += [f"[callers.{name}]", f'token_sha256 = "{hashlib.sha256(token(name).encode()).hexdigest()}"']
        lines += [f"{limit} = {value}" for limit, value in limits.items()]
    file = folder / "callers.toml"
    file.write_text("\n".join([*lines, ""]))
    return file


def catalogue_file(folder):
    """A catalogue with the prices of the models that are called."""
    prices = ", ".join(f"{name} = {value}" for name, value in PRICES.items())
    file = folder / "catalog.toml"
    file.write_text("".join(f'[[{kind}]]\nids = ["{name}"]\nprices = {{ {prices} }}\n' for kind, name in MODELS.items()))
    return file


class Gateway:
    def __init__(self, flags, env):
        self.flags, self.env = flags, env
        self.start()

    def start(self):
        """Starts it, also again after it has ended."""
        find, found = parts(address=address_in, admin=admin_in)
        self.process, _ = start(find, "serve", *self.flags, env=self.env)
        self.address, self.admin = found["address"], found["admin"]

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.process.send_signal(signal.SIGKILL)
        self.process.process.wait(10)

    @property
    def pid(self):
        return self.process.process.pid

    def read(self, path):
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as answer:
            return answer.read().decode()

    def usage(self):
        """What each caller has used, by its name."""
        found = json.loads(self.read("/usage"))
        return {each["caller"]: each for each in found["callers"]}

    def metric(self, name, label=""):
        """The sum of a metric over the series whose labels contain this text."""
        lines = [line.rpartition(" ") for line in self.read("/metrics").splitlines()]
        return sum(float(value) for series, _, value in lines if series.partition("{")[0] == name and label in series)

    def log(self, text):
        """The lines of its log with this text."""
        return [line for line in self.process.output if text in line]


def parts(**finders):
    """A function that is true once each finder has found something, and a dict with that."""
    found = {}

    def find(line):
        found.update({name: value for name, finder in finders.items() if (value := finder(line))})
        return len(found) == len(finders)

    return find, found


class Gateways(list):
    """Some gateways that share their limits."""

    @property
    def addresses(self):
        return [gateway.address for gateway in self]

    def connected(self):
        """Waits until every gateway uses Redis and has seen all the others, and maybe some that were killed lately."""
        wait_until(lambda: all(each.metric(UP) and each.metric(PODS) >= len(self) for each in self), "Redis is used")

    def disconnected(self):
        """Waits until every gateway has noticed that Redis is away."""
        wait_until(lambda: not any(each.metric(UP) for each in self), "Redis is away")

    def settled_usage(self, caller, model, wanted, seconds=30):
        """What a caller has used of a model today, once all gateways say the same and it is what is wanted; or the last."""
        found = None
        with contextlib.suppress(AssertionError):
            wait_until(lambda: (found := self._usages(caller, model)) and all(each == wanted for each in found), "", seconds)
        return found or self._usages(caller, model)

    def _usages(self, caller, model):
        return [day_of(gateway.usage(), caller, model) for gateway in self]


def day_of(usage, caller, model):
    """What a caller has used of a model today."""
    models = usage.get(caller, {}).get("models", [])
    day = next((each["day"] for each in models if each["model"] == model), None)
    return day and {name: day[name] for name in USED}


# What the tests compare.
USED = ("calls", "input_tokens", "cached_input_tokens", "output_tokens", "images", "cost")


def used(given):
    """What the usage of a caller has to be, if upstream has given it this."""
    fresh = given.input - given.cached
    cost = (fresh * PRICES["input"] + given.cached * PRICES["cached_input"] + given.output * PRICES["output"]) / 1e6
    cost = round(cost + given.pictures * PRICES["image"], 9)
    values = (given.calls, given.input, given.cached, given.output, given.pictures, cost)
    return dict(zip(USED, values, strict=True))


@contextlib.contextmanager
def gateways(folder, count, upstream, url, callers, *flags, key="a-key", log=LOG):
    """Running gateways, until the `with` block ends. Each has one worker, as a small pod has."""
    folder.mkdir(parents=True, exist_ok=True)
    common = [
        *("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--workers", "1", "--retries", "0"),
        *("--drain-delay", "0", "--upstream-url", upstream, "--auth", "tokens"),
        *("--callers", str(callers_file(folder, callers)), "--catalog", str(catalogue_file(folder))),
        *("--log", log),
    ]
    variables = {"MOUNTSEA_API_KEY": key, "GEMINI_GRPC_LIMITS_URL": url}
    variables = {name: value for name, value in variables.items() if value}
    started = Gateways()
    try:
        for _ in range(count):
            started.append(Gateway([*common, *flags], variables))
        yield started
    finally:
        for each in started:
            each.stop()
