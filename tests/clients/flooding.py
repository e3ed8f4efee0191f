"""Runs a flood in a thread. When the gateway closes its connection, it opens a new one."""

import contextlib
import threading

from frames import Connection, Stopped


class Flood:
    """A flood in a thread, which runs until the `with` block ends."""

    def __init__(self, kind, address):
        self.kind, self.address = kind, address
        self.stop, self.started = threading.Event(), threading.Event()
        # Steps that were sent, and connections that the gateway closed.
        self.steps = self.closed = 0
        self.connection = self.error = None
        # Whether it has sent everything and only keeps its connection open.
        self.finished = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def is_enough(self, steps=300, closed=20):
        """Whether it has sent this number of steps, has lost this number of connections, or cannot send any more."""
        stuck = self.connection is not None and self.connection.stuck
        return self.steps >= steps or self.closed >= closed or stuck or self.finished or self.error is not None

    def __enter__(self):
        self.thread.start()
        assert self.started.wait(60), f"{self.kind.__name__} has not finished its first step"
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)
        if self.error:
            raise self.error

    def _run(self):
        try:
            while not self.stop.is_set():
                self.connection = Connection(self.address, self.stop)
                with contextlib.closing(self.connection):
                    self._flood(self.connection)
        except Exception as error:  # It is raised again in the thread that waits for the flood.
            self.error = error
        finally:
            self.started.set()

    def _flood(self, connection):
        try:
            for _ in self.kind(connection):
                self.steps += 1
                self.started.set()
                if self.stop.is_set():
                    return
            self.finished = True
            while True:
                connection.receive()
        except Stopped:
            pass
        except ConnectionError:
            self.closed += 1
            self.started.set()
