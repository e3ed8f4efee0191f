"""Prints what happens during a scenario, with the time."""

import time

from tools import say


class Clock:
    """Counts the seconds since it was created."""

    def __init__(self):
        self.started = time.monotonic()

    def say(self, what):
        say(f"  {time.monotonic() - self.started:6.1f} s  {what}")
