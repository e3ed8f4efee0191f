"""Says what happened when."""

import time

from tools import say


class Clock:
    """Counts from when it was made."""

    def __init__(self):
        self.begun = time.monotonic()

    def say(self, what):
        say(f"  {time.monotonic() - self.begun:6.1f} s  {what}")
