"""A flood from a thread. When the gateway closes its connection, it comes again with a new one."""

import contextlib
import threading

from frames import Connection, Stopped


class Flood:
    """A flood from a thread, for as long as the block runs."""

    def __init__(self, kind, address):
        self.kind, self.address = kind, address
        self.stop, self.begun = threading.Event(), threading.Event()
        # Steps that were sent, and connections that the gateway closed.
        self.steps = self.closed = 0
        self.connection = self.fault = None
        # It has sent all that it has, and only stays.
        self.stays = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def is_enough(self, steps=300, closed=20):
        """Whether it has done what it can: so many steps, or connections; or the gateway does not listen any more."""
        stuck = self.connection is not None and self.connection.stuck
        return self.steps >= steps or self.closed >= closed or stuck or self.stays or self.fault is not None

    def __enter__(self):
        self.thread.start()
        assert self.begun.wait(60), f"{self.kind.__name__} does not get a step done"
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)
        if self.fault:
            raise self.fault

    def _run(self):
        try:
            while not self.stop.is_set():
                self.connection = Connection(self.address, self.stop)
                with contextlib.closing(self.connection):
                    self._flood(self.connection)
        except Exception as fault:  # It belongs to whoever waits for the flood.
            self.fault = fault
        finally:
            self.begun.set()

    def _flood(self, connection):
        try:
            for _ in self.kind(connection):
                self.steps += 1
                self.begun.set()
                if self.stop.is_set():
                    return
            self.stays = True
            while True:
                connection.receive()
        except Stopped:
            pass
        except ConnectionError:
            self.closed += 1
            self.begun.set()
