"""Figures from raw results: the middle, lowest and highest of the rounds, or why there is none."""

import collections
import dataclasses
import math
import statistics

# Reasons for which a figure is refused.
LATE = "load was late"
FEW = "too few calls"
SLOW = "rate not reached"
FAILED = "failed"
NONE = "no call ended"

# A latency is refused if more than this part of it, at the same quantile, is lateness of the load itself.
MAX_LATE_SHARE = 0.5
# More calls than this share without an answer, and a latency would be that of the lucky ones.
MAX_MISSING_SHARE = 0.01
# The rows in which the load calls upstream itself.
DIRECT, DIRECT_GRPC = "direct", "direct gRPC"
QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


@dataclasses.dataclass(frozen=True)
class Figure:
    middle: float
    low: float
    high: float


def figure(values, middle=statistics.median):
    """The figure of one value or reason per round. It needs values of more than half of the rounds."""
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) * 2 > len(values):
        return Figure(middle(numbers), min(numbers), max(numbers))
    reasons = collections.Counter(value for value in values if isinstance(value, str))
    return reasons.most_common(1)[0][0] if reasons else None


class Results:
    """Raw results by scenario and row."""

    def __init__(self, raw):
        self._results = raw["results"]
        self._protocols = {row["name"]: row["protocol"] for row in raw["rows"]}

    def rounds(self, scenario, row):
        return self._results.get(scenario.name, {}).get(row, [])

    def rows(self, scenario):
        return list(self._results.get(scenario.name, {}))

    def cpu(self, scenario, row):
        """CPU time of the gateway for each call or chunk, in the scenario's unit."""
        return figure(
            [
                _cpu(scenario, result)
                for result in self.rounds(scenario, row)
                if "cpu" in result or "failed" in result
            ]
        )

    def ratio(self, scenario, row, base):
        """The CPU time divided by that of another row in the same round, as a geometric mean: two runs agree better in it
        than in the median."""
        return figure(self._ratios(scenario, row, base), statistics.geometric_mean)

    def ratio_error(self, scenario, row, base):
        """The standard error of the ratio, as a share of it: 0 if fewer than two rounds have one."""
        logs = [math.log(ratio) for ratio in self._ratios(scenario, row, base) if not isinstance(ratio, str)]
        return statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else 0

    def _ratios(self, scenario, row, base):
        pairs = zip(self.rounds(scenario, row), self.rounds(scenario, base), strict=False)
        # The row that calls upstream itself has no CPU time.
        pairs = [pair for pair in pairs if pair[0].keys() & {"cpu", "failed"}]
        return [
            _combined(_cpu(scenario, one), _cpu(scenario, other), lambda a, b: a / b) for one, other in pairs
        ]

    def quantile(self, scenario, row, what, quantile):
        """A latency in microseconds: `what` is latency_us, first_us or chunk_us."""
        return figure([_quantile(scenario, result, what, quantile) for result in self.rounds(scenario, row)])

    def baseline(self, row):
        """The row without a gateway that `row` is compared with. HTTP/2 takes longer without a gateway too."""
        is_grpc = row != DIRECT_GRPC and self._protocols[row] == "grpc"
        return DIRECT_GRPC if is_grpc and DIRECT_GRPC in self._protocols else DIRECT

    def added(self, scenario, row, what, quantile):
        """A latency minus that of the same load without a gateway in the same round."""
        pairs = zip(self.rounds(scenario, row), self.rounds(scenario, self.baseline(row)), strict=False)
        both = [[_quantile(scenario, result, what, quantile) for result in pair] for pair in pairs]
        return figure([_combined(one, other, lambda a, b: a - b) for one, other in both])

    def rate(self, scenario, row):
        return figure([result["calls_s"] for result in self.rounds(scenario, row) if "calls_s" in result])

    def peak(self, scenario, row):
        return figure([result["cpu"]["peak_mib"] for result in self.rounds(scenario, row) if "cpu" in result])

    def errors(self, scenario, row):
        """Calls of all rounds that failed, were not finished, or could not be made."""
        names = ("errors", "unfinished")
        return sum(
            int(sum(result.get(name, 0) for name in names) + ("failed" in result))
            for result in self.rounds(scenario, row)
        )

    def first_error(self, scenario, row):
        found = (result.get("first_error") or result.get("failed") for result in self.rounds(scenario, row))
        return next((error for error in found if error), None)

    def busiest(self, scenario, row):
        """The share of the calls that the busiest thread of the gateway served, in percent."""
        shares = [
            result["threads"][0]["share"] * 100
            for result in self.rounds(scenario, row)
            if result.get("threads")
        ]
        return figure(shares)

    def idle_steps(self, scenario, row):
        return [step for result in self.rounds(scenario, row) for step in result.get("steps", [])]


def _cpu(scenario, result):
    if "cpu" not in result:
        return FAILED
    # Without a call there is no figure. Without CPU time the gateway did not run, or a process of it ended.
    value = result["cpu"].get(scenario.figure)
    return value / scenario.divisor if value and value > 0 else NONE


def _quantile(scenario, result, what, quantile):
    found = result.get(what)
    if not found:
        return FAILED if "failed" in result else NONE
    if scenario.rate:
        missing = result["errors"] + result["unfinished"]
        if missing > MAX_MISSING_SHARE * result["planned"]:
            return SLOW
    if found["count"] * (1 - QUANTILES[quantile]) < 1:
        return FEW
    if scenario.rate and result["late_us"][quantile] > MAX_LATE_SHARE * found[quantile]:
        return LATE
    return found[quantile]


def _combined(one, other, function):
    reason = next((value for value in (one, other) if isinstance(value, str)), None)
    return reason or function(one, other)
