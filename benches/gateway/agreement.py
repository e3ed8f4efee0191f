"""Whether two runs agree: their ratios of CPU time to nginx, scenario by scenario."""

import scenarios
from figures import Figure, Results
from table import base_of, grid, number, shown

# Ratios of two runs in a row on a quiet machine differ by less.
MAX_DIFFERENCE = 0.15
# Far below full load, CPU time per call depends on how often processes sleep, which differs from run to run.
NOT_JUDGED = {scenario.name for scenario in scenarios.OPEN_LOOP}
COLUMNS = ["scenario", "row", "first", "now", "difference, %", ""]


def differences(first, second):
    """Scenario, row, both ratios, and their difference as a share of the smaller if both are figures."""
    first, second = Results(first), Results(second)
    for scenario in scenarios.LOADS:
        base = base_of(scenario)
        for row in second.rows(scenario):
            if row == base or row not in first.rows(scenario):
                continue
            ratios = [results.ratio(scenario, row, base) for results in (first, second)]
            if ratios == [None, None]:
                # A row or a scenario without CPU time, or without nginx next to it.
                continue
            difference = None
            if all(isinstance(ratio, Figure) for ratio in ratios):
                middles = sorted(ratio.middle for ratio in ratios)
                difference = middles[1] / middles[0] - 1
            yield scenario.name, row, *ratios, difference


def agreement(first, second):
    """The table in Markdown, and whether the closed loops of the runs agree."""
    found = list(differences(first, second))
    compared = [line for line in found if line[4] is not None and line[0] not in NOT_JUDGED]
    apart = [line for line in compared if line[4] > MAX_DIFFERENCE]
    lines = ["### Ratios to nginx, compared with an earlier run", "", *grid(COLUMNS, map(cells, found)), ""]
    if not compared:
        return "\n".join([*lines, "The runs have no ratio in common."]), False
    scenario, row, *_, most = max(compared, key=lambda line: line[4])
    lines.append(f"Largest difference: {most * 100:.0f} % ({scenario}, {row}).")
    limit = f"{MAX_DIFFERENCE * 100:.0f} %"
    lines.append(
        f"{len(apart)} of {len(compared)} ratios differ by more than {limit}" + (":" if apart else ".")
    )
    lines += [f"- {scenario}, {row}: {difference * 100:.0f} %" for scenario, row, *_, difference in apart]
    return "\n".join(lines), not apart


def cells(line):
    scenario, row, first, second, difference = line
    if difference is None:
        return scenario, row, shown(first), shown(second), "–", "not compared"
    verdict = "differs" if difference > MAX_DIFFERENCE else "agrees"
    if scenario in NOT_JUDGED:
        verdict = "open loop"
    return scenario, row, shown(first), shown(second), number(difference * 100), verdict
