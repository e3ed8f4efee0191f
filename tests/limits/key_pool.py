"""The keys of an upstream that refuses some of them at random: most for seconds, and some for good."""

import json
import random
import string
import time

from aiohttp import web

# Letters that no id and no word has in such a row, so that a piece of a key is not found by chance.
LETTERS = [letter for letter in string.ascii_uppercase if letter not in "AEIOUY"]
# How many letters of a key in a row may not be written anywhere.
PIECE = 6
# How long a request may be on its way to upstream after an answer to another one has left there, in seconds.
ON_ITS_WAY = 1.0
# Gateways learn from each other once a second which keys rest.
SHARED_WITHIN = 2.0
# How long a key rests that is refused for good, before it is tried again. That of a daily quota rests longer.
SHORTEST_REST = 55

TYPES = "type.googleapis.com/google.rpc."
INVALID = {"@type": f"{TYPES}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
SUSPENDED = {"@type": f"{TYPES}ErrorInfo", "reason": "CONSUMER_SUSPENDED", "domain": "googleapis.com"}
DAILY = {"@type": f"{TYPES}QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}
# How upstream refuses a key for good: HTTP status, status and detail.
FOR_GOOD = [
    (401, "UNAUTHENTICATED", None),
    (400, "INVALID_ARGUMENT", INVALID),
    (403, "PERMISSION_DENIED", SUSPENDED),
    (429, "RESOURCE_EXHAUSTED", DAILY),
]


class Key:
    def __init__(self, name):
        self.name, self.text = name, "".join(random.choices(LETTERS, k=40))
        # Until when upstream refuses it, how, and when it did so first.
        self.until, self.how, self.first = 0.0, None, None
        self.requests = 0


class Keys:
    """The keys of upstream. At any time it takes one of them."""

    def __init__(self, count):
        self.keys = [Key(f"key-{number}") for number in range(count + len(FOR_GOOD))]
        self.passing, self.failing = self.keys[:count], self.keys[count:]
        self.by_text = {key.text: key for key in self.keys}
        self.requests = self.refusals = 0
        # The seconds since the first refusal, for requests with a key that had to rest.
        self.too_early = []

    def write(self, file):
        """Writes them into a file with names and weights, and returns its name."""
        file.write_text("".join(f"{key.name} {number + 1} {key.text}\n" for number, key in enumerate(self.keys)))
        return str(file)

    def refuse_for_good(self):
        """Lets upstream refuse one more key for good, in another way than those before."""
        if self.failing:
            key, how = self.failing.pop(), FOR_GOOD[len(self.failing)]
            key.until, key.how, key.first = float("inf"), how, None

    def refuse_for_seconds(self):
        """Lets upstream refuse a key for some seconds, but never all."""
        now = time.monotonic()
        taken = [key for key in self.passing if key.until <= now]
        if len(taken) > 1:
            key = random.choice(taken)
            key.until, key.how, key.first = now + random.uniform(3, 8), None, None

    def answer(self, text):
        """The refusal of a key, if upstream refuses it."""
        key, now = self.by_text[text], time.monotonic()
        self.requests += 1
        key.requests += 1
        if key.until <= now:
            return None
        self.refusals += 1
        key.first = key.first or now
        since = now - key.first
        if SHARED_WITHIN + ON_ITS_WAY < since < SHORTEST_REST:
            self.too_early.append((key.name, round(since, 2)))
        return refusal(key, now)


def refusal(key, now):
    """Gemini's answer, which also repeats the key."""
    retry = {"@type": f"{TYPES}RetryInfo", "retryDelay": f"{key.until - now + 0.001:.3f}s"}
    code, status, detail = key.how or (429, "RESOURCE_EXHAUSTED", retry)
    error = {"code": code, "message": f"the key {key.text} may not", "status": status, "details": [detail] if detail else []}
    return web.Response(text=json.dumps({"error": error}), status=code, content_type="application/json")


def pieces(text):
    return {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}
