"""Makes calls over REST to several gateways, and records when each was made and how it ended."""

import asyncio
import contextlib
import dataclasses
import time

import aiohttp

import rest

MODEL = "gemini-2.5-flash"


@dataclasses.dataclass
class Call:
    """A call that has ended. Times are of the monotonic clock, in seconds."""

    begun: float
    ended: float
    status: int
    error: dict | str | None
    headers: dict
    gateway: int

    @property
    def ok(self):
        return self.status == 200 and not self.error

    @property
    def seconds(self):
        return self.ended - self.begun

    @property
    def quota(self):
        """The limit that refused it, by its name."""
        details = self.error.get("details", []) if isinstance(self.error, dict) else []
        return next((v["quotaId"] for d in details for v in d.get("violations", []) if "quotaId" in v), None)

    @property
    def retry_after(self):
        """The seconds after which it may succeed."""
        details = self.error.get("details", []) if isinstance(self.error, dict) else []
        delay = next((d["retryDelay"] for d in details if "retryDelay" in d), None)
        return delay and float(delay.removesuffix("s"))


class Client:
    """Calls these gateways in turn."""

    def __init__(self, session, addresses):
        self.session, self.addresses, self.turn = session, addresses, 0

    async def call(self, wish, gateway=None, stream=False, model=MODEL):
        """Makes a call as the caller of the wish, whose token is made of its name."""
        if gateway is None:
            self.turn += 1
            gateway = self.turn % len(self.addresses)
        url = f"http://{self.addresses[gateway]}{rest.path(rest.EVENTS if stream else rest.UNARY, model)}"
        headers = {"x-goog-api-key": token(wish.caller)}
        body = {"contents": [{"role": "user", "parts": [{"text": wish.prompt()}]}]}
        begun = time.monotonic()
        try:
            async with self.session.post(url, json=body, headers=headers) as answer:
                if stream and answer.status == 200:
                    error = await self._read(answer)
                else:
                    error = (await answer.json(content_type=None)).get("error")
            return Call(begun, time.monotonic(), answer.status, error, dict(answer.headers), gateway)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return Call(begun, time.monotonic(), 0, f"{type(error).__name__}: {error}", {}, gateway)

    async def _read(self, answer):
        """Reads a stream, and returns what is wrong with it."""
        text = await answer.text()
        if '"finishReason"' in text and '"error"' not in text:
            return None
        return text[-500:] or "a stream without an end"

    async def offer(self, wish, rate, seconds, **more):
        """Makes calls at a fixed rate, whatever becomes of the ones before, and returns all of them."""
        begun, tasks = time.monotonic(), []
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0, begun + number / rate - time.monotonic()))
            tasks.append(asyncio.create_task(self.call(wish() if callable(wish) else wish, **more)))
        return await asyncio.gather(*tasks)


def token(caller):
    return f"token-of-{caller}-".ljust(40, "x")


@contextlib.asynccontextmanager
async def client(addresses, **options):
    """A `Client`, until the `with` block ends. The options are those of aiohttp's TCPConnector."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, **options), timeout=timeout) as session:
        yield Client(session, addresses)


def failures(calls):
    """The calls that did not succeed, in short."""
    return [f"{call.status} {call.error} after {call.seconds:.3f} s" for call in calls if not call.ok]


def percentile(calls, share):
    """The time that this share of calls took at most, in milliseconds."""
    times = sorted(call.seconds for call in calls)
    return times[min(int(len(times) * share), len(times) - 1)] * 1000
