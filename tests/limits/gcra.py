"""What a limit per minute admits if one process sees everything: the generic cell rate algorithm."""

MINUTE = 60.0


class Rate:
    """A whole minute's budget may be used at once, and refills gradually."""

    def __init__(self, per_minute):
        self.cost, self.even_at = MINUTE / per_minute, 0.0

    def has_one(self, now):
        return max(self.even_at, now) + self.cost <= now + MINUTE

    def charge(self, amount, now):
        self.even_at = max(self.even_at, now) + amount * self.cost

    def take(self, now):
        if admitted := self.has_one(now):
            self.charge(1, now)
        return admitted
